// Liveness, Expiry and Deletion on a metadata group of one server, in the simulated world, with
// heartbeats and clients that are faked by a script.
#include <optional>

#include "core/env/nursery.h"
#include "core/proto/namespace_codec.h"
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
  Task<> hear_for(NodeId node, Duration duration) {
    for (const Instant end = env.now() + duration; env.now() < end;) {
      liveness->heard(node);
      co_await env.sleep(200ms);
    }
  }
  NodeState state_of(NodeId node) const { return group->state().cluster_map().find(node)->state; }

  Env& env;
  std::optional<MetadataGroup> group;
  std::optional<Liveness> liveness;
  std::optional<Expiry> expiry;
  std::optional<Deletion> deletion;
  bool finished = false;

 private:
  Task<> drive(Nursery& children, Script script) {
    children.spawn(run_raft());
    children.spawn(liveness->run());
    children.spawn(expiry->run());
    children.spawn(deletion->run());
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

  AckDeleted confirmed{kServer, {{orders[0].block, orders[0].shard}}};
  co_await leader.must(std::move(confirmed));
  co_await leader.hear_for(kServer, 2s);
  CHECK(leader.deletion->orders_for(kServer, 10).empty());
  CHECK(leader.group->state().garbage({}, 10).empty());
}

TEST_CASE("the blocks of a silent writer are ordered away after their grace, until confirmed") {
  play(removed_bytes);
}

}  // namespace
}  // namespace dogfs::nodes
