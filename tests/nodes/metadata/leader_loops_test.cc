// Liveness, Expiry, Deletion and others on a metadata group of one server, in the simulated world,
// with heartbeats and clients that are faked by a script.
#include <map>
#include <optional>
#include <set>

#include "core/env/nursery.h"
#include "core/namespace/tables.h"
#include "core/proto/namespace_codec.h"
#include "nodes/metadata/append_tasks.h"
#include "nodes/metadata/compaction.h"
#include "nodes/metadata/deletion.h"
#include "nodes/metadata/expiry.h"
#include "nodes/metadata/liveness.h"
#include "nodes/metadata/raft_server.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

using namespace metadata;
using placement::NodeState;

constexpr ClusterId kCluster{5};

RaftServerOptions group_of_one() {
  RaftServerOptions options;
  options.node = NodeId(1);
  options.cluster = kCluster;
  options.bootstrap = Bootstrap{StoreId(101), {{NodeId(1), StoreId(101)}}};
  return options;
}

// A leader and its loops. The script gets it when it leads a founded cluster.
class Leader {
 public:
  using Script = Task<> (*)(Leader&);

  explicit Leader(Env& e) : env(e) {}

  Task<> run(Script script) {
    auto opened = co_await RaftServer::open(env, group_of_one(), state_);
    REQUIRE(opened.has_value());
    raft_ = std::move(*opened);
    group.emplace(env, raft_->host(), state_);
    liveness.emplace(env, LivenessOptions(), *group);
    expiry.emplace(env, ExpiryOptions{.session_silence = 20s, .lease_silence = 5s}, *group);
    deletion.emplace(env, DeletionOptions{.grace = 10s}, *group);
    append_tasks.emplace(env, AppendTaskOptions(), *group);
    compaction.emplace(env, CompactionOptions{.sparse_for = 10s, .again_after = 40s}, *group);
    co_await nursery(env, [&](Nursery& children) { return drive(children, script); });
  }

  Task<Response> must(Operation operation, ClientId client = {}) {
    Command command{.client = client, .operation = std::move(operation)};
    if (client) command.request = request_ = request_.next();
    expiry->heard(command);
    auto done = co_await group->execute(std::move(command));
    REQUIRE(done.has_value());
    const auto response = proto::decode_response(done->reply.text());
    REQUIRE(response.has_value());
    REQUIRE_MESSAGE(response->has_value(), response->error().message);
    co_return *response;
  }
  Task<> add_chunk_server(uint32_t node) {
    co_await must(RegisterNode{.node = NodeId(node),
                               .name = fmt::format("chunk-{}", node),
                               .store = StoreId(1000 + node),
                               .address = fmt::format("chunk-{}:1", node),
                               .zone = fmt::format("zone-{}", node),
                               .capacity_bytes = 1 * limits::kGiB});
  }
  Task<> hear_for(NodeId node, Duration duration) { return hear_all_for({node}, duration); }
  Task<> hear_all_for(std::vector<NodeId> nodes, Duration duration) {
    for (const Instant end = env.now() + duration; env.now() < end;) {
      for (const NodeId node : nodes) liveness->heard(node);
      co_await env.sleep(200ms);
    }
  }
  Task<AppendOpened> open_append(ClientId client, std::string path) {
    OpenAppend open{.path = std::move(path), .create = true, .policy = {}, .attributes = {}};
    co_return std::get<AppendOpened>(*co_await must(std::move(open), client));
  }
  Task<AppendOpened> begin_append(ClientId client, std::string path) {
    const auto block = co_await open_append(client, std::move(path));
    co_await must(ActivateAppend{block.file, block.block.block, block.epoch,
                                 block.block.shards[0].node, 7, true});
    co_return block;
  }
  // "seal 12": each task that is waiting, and for whom.
  std::string tasks() {
    std::string out;
    for (uint32_t node = 11; node <= 14; ++node) {
      for (const auto& task : append_tasks->take(NodeId(node)))
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ",
                           task.kind == AppendTaskKind::kSeal ? "seal" : "convert", node);
    }
    return out;
  }
  NodeState state_of(NodeId node) const { return group->state().cluster_map().find(node)->state; }

  Env& env;
  std::optional<MetadataGroup> group;
  std::optional<Liveness> liveness;
  std::optional<Expiry> expiry;
  std::optional<Deletion> deletion;
  std::optional<AppendTasks> append_tasks;
  std::optional<Compaction> compaction;
  bool finished = false;

 private:
  Task<> drive(Nursery& children, Script script) {
    children.spawn(run_raft());
    children.spawn(liveness->run());
    children.spawn(expiry->run());
    children.spawn(deletion->run());
    children.spawn(append_tasks->run());
    children.spawn(compaction->run());
    co_await group->leadership();
    placement::Policy policy = *placement::Policy::parse("rep-1");
    co_await must(CreateCluster{kCluster, policy, limits::kBlockBytesMin, 64 * limits::kKiB});
    co_await script(*this);
    finished = true;
  }
  Task<> run_raft() {
    auto ended = co_await raft_->run();
    CHECK_MESSAGE(ended.has_value(), ended.error().message);
  }

  MetadataState state_;
  std::unique_ptr<RaftServer> raft_;
  RequestId request_;
};

Task<> leader_main(Env& env, Leader::Script script, bool& finished) {
  Leader leader(env);
  co_await leader.run(script);
  finished = leader.finished;
}

void play(Leader::Script script) {
  sim::World world(7);
  sim::Host& host = world.add_host("meta-1", {});
  bool finished = false;
  host.set_main([&](Env& env) { return leader_main(env, script, finished); });
  host.boot();
  world.run_for(300s);
  CHECK(finished);
}

Task<> silence(Leader& leader) {
  const NodeId heard(11);
  const NodeId silent(12);
  co_await leader.add_chunk_server(11);
  co_await leader.add_chunk_server(12);
  leader.liveness->heard(silent);
  co_await leader.hear_for(heard, 1s);
  CHECK_EQ(leader.state_of(silent), NodeState::kLive);
  co_await leader.hear_for(heard, 2s);
  CHECK_EQ(leader.state_of(silent), NodeState::kSuspect);
  co_await leader.hear_for(heard, 11s);
  CHECK_EQ(leader.state_of(silent), NodeState::kSuspect);
  co_await leader.hear_for(heard, 3s);
  CHECK_EQ(leader.state_of(silent), NodeState::kDead);
  CHECK_EQ(leader.state_of(heard), NodeState::kLive);
  co_await leader.hear_for(silent, 1s);
  CHECK_EQ(leader.state_of(silent), NodeState::kLive);
}

TEST_CASE("a silent chunk server is suspect, then dead, and live again when it is heard") {
  play(silence);
}

Task<> idle_session(Leader& leader) {
  const auto busy = std::get<ClientRegistered>(*co_await leader.must(RegisterClient{})).client;
  const auto idle = std::get<ClientRegistered>(*co_await leader.must(RegisterClient{})).client;
  for (int second = 0; second < 18; ++second) {
    co_await leader.must(MakeDirectory{.path = fmt::format("/{}", second)}, busy);
    co_await leader.env.sleep(1s);
  }
  CHECK_EQ(leader.group->state().sessions({}, 10).size(), 2);
  for (int second = 18; second < 24; ++second) {
    co_await leader.must(MakeDirectory{.path = fmt::format("/{}", second)}, busy);
    co_await leader.env.sleep(1s);
  }
  const auto left = leader.group->state().sessions({}, 10);
  REQUIRE_EQ(left.size(), 1);
  CHECK_EQ(left[0].client, busy);
  CHECK_NE(left[0].client, idle);
}

TEST_CASE("a session expires after silence, not while its client is heard") { play(idle_session); }

Task<> removed_bytes(Leader& leader) {
  constexpr NodeId kServer(11);
  co_await leader.add_chunk_server(11);
  const auto client = std::get<ClientRegistered>(*co_await leader.must(RegisterClient{})).client;
  co_await leader.must(MakeDirectory{.path = "/v"}, client);
  const auto upload =
      std::get<UploadStarted>(*co_await leader.must(StartUpload{.path = "/v/file"}, client));
  AllocateBlocks allocate{.file = upload.file, .epoch = upload.epoch, .lengths = {1000}};
  co_await leader.must(std::move(allocate), client);

  for (int second = 0; second < 8; ++second) {  // longer than a lease may be silent
    co_await leader.must(RenewLease{upload.file, upload.epoch}, client);
    co_await leader.hear_for(kServer, 1s);
  }
  CHECK_EQ(leader.group->state().uploads({}, 10).size(), 1);
  co_await leader.hear_for(kServer, 8s);
  CHECK(leader.group->state().uploads({}, 10).empty());

  CHECK(leader.deletion->orders_for(kServer, 10).empty());  // its grace is not over
  co_await leader.hear_for(kServer, 12s);
  const auto orders = leader.deletion->orders_for(kServer, 10);
  REQUIRE_EQ(orders.size(), 1);
  CHECK(leader.deletion->orders_for(NodeId(12), 10).empty());
  CHECK(leader.deletion->orders_for(kServer, 0).empty());

  AckDeleted confirmed{kServer, {{.block = orders[0].block, .index = orders[0].shard}}};
  co_await leader.must(std::move(confirmed));
  co_await leader.hear_for(kServer, 2s);
  CHECK(leader.deletion->orders_for(kServer, 10).empty());
  CHECK(leader.group->state().garbage({}, 10).empty());
}

TEST_CASE("the blocks of a silent writer are ordered away after their grace, until confirmed") {
  play(removed_bytes);
}

// Three servers with a replica each, and a client.
Task<ClientId> with_servers(Leader& leader, uint32_t count) {
  for (uint32_t node = 11; node < 11 + count; ++node) co_await leader.add_chunk_server(node);
  co_return std::get<ClientRegistered>(*co_await leader.must(RegisterClient{})).client;
}

bool is_one_of(const std::string& tasks, std::vector<std::string> expected) {
  CAPTURE(tasks);
  const bool found = std::ranges::find(expected, tasks) != expected.end();
  CHECK(found);
  return found;
}

Task<> sealed_and_converted(Leader& leader) {
  const ClientId client = co_await with_servers(leader, 3);
  const std::vector<NodeId> all{NodeId(11), NodeId(12), NodeId(13)};
  const auto block = co_await leader.begin_append(client, "/log");
  const NodeId primary = block.block.shards[0].node;
  co_await leader.hear_all_for(all, 30s);
  CHECK_EQ(leader.tasks(), "");  // all is well

  // A replica falls silent: it is suspect, and some seconds later the block is to be sealed.
  const std::vector<NodeId> rest{primary, block.block.shards[1].node};
  co_await leader.hear_all_for(rest, 3s);
  CHECK_EQ(leader.tasks(), "");
  co_await leader.hear_all_for(rest, 4s);
  const std::string first = leader.tasks();
  is_one_of(first, {fmt::format("seal {}", rest[0]), fmt::format("seal {}", rest[1])});
  CHECK_EQ(leader.tasks(), "");  // it is handed out once
  co_await leader.hear_all_for(rest, 12s);
  const std::string second = leader.tasks();
  is_one_of(second, {fmt::format("seal {}", rest[0]), fmt::format("seal {}", rest[1])});
  CHECK_NE(second, first);  // to another one

  // Somebody seals; what becomes of it is not known for a while.
  co_await leader.must(BeginSeal{block.file, block.block.block});
  co_await leader.hear_all_for(rest, 1s);
  CHECK_EQ(leader.tasks(), "");
  co_await leader.hear_all_for(rest, 3s);
  CHECK(leader.tasks().starts_with("seal"));
  co_await leader.must(FixAppend{block.file, block.block.block, Epoch(2), 100, {0, 1}});
  co_await leader.hear_all_for(rest, 2s);
  is_one_of(leader.tasks(),
            {fmt::format("convert {}", rest[0]), fmt::format("convert {}", rest[1])});

  const auto begun = std::get<ConversionBegun>(
      *co_await leader.must(BeginConversion{block.block.block, Generation(1), 5, {}}));
  CommitConversion commit{block.block.block, begun.next.generation, {{.index = 0, .checksum = 1}}};
  co_await leader.must(std::move(commit));
  co_await leader.hear_all_for(rest, 40s);
  CHECK_EQ(leader.tasks(), "");
}

TEST_CASE("a block that lost a replica is sealed and converted by those that are there, in turn") {
  play(sealed_and_converted);
}

Task<> damaged(Leader& leader) {
  const ClientId client = co_await with_servers(leader, 3);
  const auto block = co_await leader.begin_append(client, "/log");
  const std::vector<NodeId> all{NodeId(11), NodeId(12), NodeId(13)};
  co_await leader.hear_all_for(all, 2s);
  CHECK_EQ(leader.tasks(), "");
  co_await leader.must(JudgeShards{block.block.shards[1].node,
                                   {{.block = block.block.block,
                                     .index = block.block.shards[1].index,
                                     .generation = Generation(1)}}});
  co_await leader.hear_all_for(all, 1s);
  CHECK(leader.tasks().starts_with("seal"));
}

TEST_CASE("a block with a damaged replica is sealed though all its servers live") { play(damaged); }

Task<> unused(Leader& leader) {
  const ClientId client = co_await with_servers(leader, 1);
  (void)co_await leader.open_append(client, "/log");
  co_await leader.hear_for(NodeId(11), 50s);
  CHECK_EQ(leader.tasks(), "");
  co_await leader.hear_for(NodeId(11), 15s);
  CHECK_EQ(leader.tasks(), "seal 11");
}

TEST_CASE("a block whose primary never asked is sealed after a while") { play(unused); }

Task<> at_most_eight(Leader& leader) {
  const ClientId client = co_await with_servers(leader, 1);
  for (int i = 0; i < 12; ++i) {
    const auto block = co_await leader.begin_append(client, fmt::format("/log-{}", i));
    co_await leader.must(BeginSeal{block.file, block.block.block});
    co_await leader.must(FixAppend{block.file, block.block.block, Epoch(2), 10, {0}});
  }
  co_await leader.hear_for(NodeId(11), 5s);
  const auto tasks = leader.append_tasks->take(NodeId(11));
  CHECK_EQ(tasks.size(), 8);
  // When some are done there is room for others.
  for (size_t i = 0; i < 3; ++i) {
    const auto begun = std::get<ConversionBegun>(
        *co_await leader.must(BeginConversion{tasks[i].block, Generation(1), 5, {}}));
    CommitConversion commit{tasks[i].block, begun.next.generation, {{.index = 0, .checksum = 1}}};
    co_await leader.must(std::move(commit));
  }
  co_await leader.hear_for(NodeId(11), 2s);
  CHECK_EQ(leader.append_tasks->take(NodeId(11)).size(), 3);
}

TEST_CASE("a chunk server is given a few append blocks to work on at a time") {
  play(at_most_eight);
}

Task<> former_generations(Leader& leader) {
  const ClientId client = co_await with_servers(leader, 3);
  const std::vector<NodeId> all{NodeId(11), NodeId(12), NodeId(13)};
  const auto block = co_await leader.begin_append(client, "/log");
  const BlockId id = block.block.block;
  co_await leader.must(BeginSeal{block.file, id});
  co_await leader.must(FixAppend{block.file, id, Epoch(2), 100, {0, 1, 2}});
  const auto begun =
      std::get<ConversionBegun>(*co_await leader.must(BeginConversion{id, Generation(1), 5, {}}));
  CommitConversion commit{id, begun.next.generation, {{.index = 0, .checksum = 1}}};
  co_await leader.must(std::move(commit));

  co_await leader.hear_all_for(all, 8s);
  for (const NodeId node : all) CHECK(leader.deletion->orders_for(node, 10).empty());
  co_await leader.hear_all_for(all, 6s);
  for (const NodeId node : all) {
    const auto orders = leader.deletion->orders_for(node, 10);
    REQUIRE_EQ(orders.size(), 1);
    CHECK_EQ(orders[0].generation, Generation(1));
    // One of the servers is gone and will never confirm.
    if (node == NodeId(13)) continue;
    co_await leader.must(AckDeleted{
        node, {{.block = id, .index = orders[0].shard, .generation = orders[0].generation}}});
  }
  CHECK_EQ(leader.group->state().formers({}, 10).size(), 1);
  co_await leader.must(SetNodeState{NodeId(13), NodeState::kGone, {}});
  co_await leader.hear_all_for({NodeId(11), NodeId(12)}, 3s);
  CHECK(leader.group->state().formers({}, 10).empty());
  CHECK_EQ(leader.group->state().tables().block(id)->durable_shards(), 1);
}

TEST_CASE("the logs of a converted block are ordered away after their grace, and only they") {
  play(former_generations);
}

// A settled block of a pack, on all three servers, of which a file has a tenth.
Task<BlockId> sparse_block(Leader& leader, ClientId client, int number) {
  const auto pack = co_await leader.begin_append(client, fmt::format("/.packs/rep-3.{}", number));
  const BlockId id = pack.block.block;
  PutPacked put{.path = fmt::format("/f-{}", number),
                .policy = placement::Policy::parse("rep-3").value(),
                .pack = pack.file,
                .block = id,
                .length = 10};
  co_await leader.must(std::move(put), client);
  co_await leader.must(BeginSeal{pack.file, id});
  co_await leader.must(FixAppend{pack.file, id, Epoch(2), 100, {0, 1, 2}});
  const auto begun =
      std::get<ConversionBegun>(*co_await leader.must(BeginConversion{id, Generation(1), 5, {}}));
  CommitConversion commit{id, begun.next.generation, {}};
  for (const auto& shard : begun.next.shards) commit.shards.push_back({shard.index, 1});
  co_await leader.must(std::move(commit));
  OrderDeletion order{.blocks = {}, .former = {{id, Generation(1)}}};
  co_await leader.must(std::move(order));
  for (const auto& shard : pack.block.shards) {
    AckDeleted deleted{shard.node, {{id, shard.index, Generation(1)}}};
    co_await leader.must(std::move(deleted));
  }
  co_return id;
}

Task<> compactions(Leader& leader) {
  const ClientId client = co_await with_servers(leader, 3);
  const std::vector<NodeId> all{NodeId(11), NodeId(12), NodeId(13)};
  const auto taken = [&] {
    std::map<BlockId, std::set<NodeId>> out;
    for (const NodeId node : all)
      for (const BlockId block : leader.compaction->take(node)) out[block].insert(node);
    return out;
  };
  co_await leader.must(MakeDirectory{"/.packs", true, {}}, client);
  std::vector<BlockId> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(co_await sparse_block(leader, client, i));
  CHECK_EQ(leader.group->state().sparse_blocks({}, 10).size(), 5u);
  co_await leader.hear_all_for(all, 9s);
  CHECK(taken().empty());  // too young
  co_await leader.hear_all_for(all, 7s);
  const auto begun = taken();
  REQUIRE_EQ(begun.size(), 3u);
  CHECK_FALSE(begun.contains(blocks[3]));
  std::set<NodeId> busy;
  for (const auto& [block, nodes] : begun) busy.insert(nodes.begin(), nodes.end());
  CHECK_EQ(busy.size(), 3u);  // one for each server
  co_await leader.hear_all_for(all, 10s);
  CHECK(taken().empty());  // each is told once

  // One of them is done: its server takes the fourth.
  const auto later = std::get<ClientRegistered>(*co_await leader.must(RegisterClient{})).client;
  co_await leader.must(Remove{.path = "/f-0"}, later);
  co_await leader.hear_all_for(all, 6s);
  const auto next = taken();
  REQUIRE_EQ(next.size(), 1u);
  CHECK((next.at(blocks[3]) == begun.at(blocks[0])));
  // Others were not done in time: what waits comes before them, and then they are handed out again.
  co_await leader.hear_all_for(all, 26s);
  const auto again = taken();
  CHECK(again.contains(blocks[4]));
  CHECK_EQ(again.contains(blocks[1]) + again.contains(blocks[2]), 1);
}

TEST_CASE("blocks of packs with little in use are handed out to be compacted, one to a server") {
  play(compactions);
}

}  // namespace
}  // namespace dogfs::nodes
