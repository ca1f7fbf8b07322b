#include "nodes/chunk/chunk_node.h"

#include "core/env/nursery.h"
#include "core/proto/chunk.pb.h"
#include "core/rpc/client.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

using placement::NodeState;

const placement::Node& node_named(LocalCluster& cluster, const std::string& name) {
  const auto* node = cluster.metadata.machine.cluster_map().find(name);
  REQUIRE(node != nullptr);
  return *node;
}

Task<> put_pattern(Client& client, std::string path, size_t size, std::string& code) {
  MemorySource source(pattern(size, 1));
  auto put = co_await client.put(path, source, {});
  code = put ? "ok" : code_name(put.error().code);
}

Task<> get_pattern(Client& client, std::string path, std::string& bytes) {
  MemorySink sink;
  if (co_await client.get(path, sink, {})) bytes = sink.bytes;
}

void put(LocalCluster& cluster, const std::string& path, size_t size) {
  std::string code;
  REQUIRE(cluster.run([&](Env&, Client& client) { return put_pattern(client, path, size, code); }));
  REQUIRE_EQ(code, "ok");
}

TEST_CASE("a restarted server keeps its id and its shards, and reports them") {
  LocalCluster cluster({});
  put(cluster, "/f", 100'000);
  const auto before = node_named(cluster, "chunk-3");
  CHECK_EQ(cluster.metadata.reports, 0);
  cluster.chunk(3).power_off();
  cluster.world.run_for(3s);
  CHECK_EQ(static_cast<int>(node_named(cluster, "chunk-3").state),
           static_cast<int>(NodeState::kSuspect));
  cluster.chunk(3).boot();
  cluster.world.run_for(3s);
  const auto after = node_named(cluster, "chunk-3");
  CHECK_EQ(after.id.value, before.id.value);
  CHECK_EQ(after.store.value, before.store.value);
  CHECK_EQ(static_cast<int>(after.state), static_cast<int>(NodeState::kLive));
  CHECK_EQ(cluster.metadata.reports, 1);
}

TEST_CASE("a server that lost its disk comes back as another one, and the old one is gone") {
  LocalCluster cluster({});
  const auto before = node_named(cluster, "chunk-3");
  cluster.chunk(3).lose_disk();
  cluster.chunk(3).boot();
  cluster.world.run_for(10s);
  const auto after = node_named(cluster, "chunk-3");
  CHECK_NE(after.id.value, before.id.value);
  CHECK_NE(after.store.value, before.store.value);
  const auto* old = cluster.metadata.machine.cluster_map().find(before.id);
  CHECK_EQ(static_cast<int>(old->state), static_cast<int>(NodeState::kGone));
  put(cluster, "/f", 100'000);
}

TEST_CASE("a server whose directory cannot become a store again does not join as another one") {
  LocalCluster cluster({});
  put(cluster, "/f", 100'000);
  const auto before = node_named(cluster, "chunk-3");
  cluster.chunk(3).power_off();
  REQUIRE(cluster.chunk(3).disk_image().remove("identity"));
  cluster.world.run_for(3s);
  cluster.chunk(3).boot();
  cluster.world.run_for(10s);
  const auto after = node_named(cluster, "chunk-3");
  CHECK_EQ(after.id.value, before.id.value);
  CHECK_EQ(static_cast<int>(after.state), static_cast<int>(NodeState::kSuspect));
  CHECK_EQ(cluster.shards_on_disks(), 6u);
}

Task<> remove_file(Client& client, std::string path, std::string& code) {
  auto removed = co_await client.remove(path, false);
  code = removed ? "ok" : code_name(removed.error().code);
}

TEST_CASE("removed bytes leave every disk, also those that were down") {
  LocalCluster cluster({});
  put(cluster, "/f", 3 * limits::kMiB);
  put(cluster, "/kept", 100);
  CHECK_EQ(cluster.shards_on_disks(), 6u * 4);
  cluster.chunk(2).crash();
  std::string code;
  REQUIRE(cluster.run([&](Env&, Client& client) { return remove_file(client, "/f", code); }));
  CHECK_EQ(code, "ok");
  cluster.world.run_for(5s);
  CHECK_EQ(cluster.shards_on_disks(), 6u + 3);
  CHECK_EQ(cluster.metadata.machine.counters().garbage_blocks, 3u);
  cluster.chunk(2).boot();
  cluster.world.run_for(5s);
  CHECK_EQ(cluster.shards_on_disks(), 6u);
  CHECK_EQ(cluster.metadata.machine.counters().garbage_blocks, 0u);
}

TEST_CASE("a disk that fails to delete is asked again") {
  LocalCluster cluster({});
  put(cluster, "/f", limits::kMiB);
  std::string code;
  for (int i = 1; i <= 6; ++i) cluster.chunk(i).disk_model().set_rates({.metadata_error = 300'000});
  REQUIRE(cluster.run([&](Env&, Client& client) { return remove_file(client, "/f", code); }));
  cluster.world.run_for(20s);
  CHECK_EQ(cluster.metadata.machine.counters().garbage_blocks, 0u);
}

TEST_CASE("a disk that fails takes down its shards, not its server") {
  LocalCluster cluster({.disks = 2});
  const auto before = node_named(cluster, "chunk-3");
  CHECK_EQ(before.disks, 2u);
  for (int i = 0; i < 8; ++i) put(cluster, fmt::format("/f{}", i), 100'000);
  CHECK_EQ(cluster.shards_on_disks(), 6u * 8);
  for (int i = 1; i <= 6; ++i) {
    auto& image = cluster.chunk(i).disk_image();
    CHECK_GT(image.list("disk-1/shards")->size(), 0u);
    CHECK_GT(image.list("disk-2/shards")->size(), 0u);
  }
  cluster.chunk(3).disk_model().kill_below("disk-2");
  for (int i = 8; i < 16; ++i) put(cluster, fmt::format("/f{}", i), 100'000);
  cluster.world.run_for(10s);
  const auto after = node_named(cluster, "chunk-3");
  CHECK_EQ(after.id.value, before.id.value);
  CHECK_EQ(static_cast<int>(after.state), static_cast<int>(NodeState::kLive));
  CHECK_GT(cluster.metadata.reports, 0);  // it said anew what is left there
  for (int i = 0; i < 16; ++i) {
    std::string bytes;
    const auto path = fmt::format("/f{}", i);
    REQUIRE(cluster.run([&](Env&, Client& client) { return get_pattern(client, path, bytes); }));
    CHECK((bytes == pattern(100'000, 1)));
  }
  // Nor does it matter at a start.
  cluster.chunk(3).crash();
  cluster.chunk(3).boot();
  cluster.world.run_for(5s);
  CHECK_EQ(node_named(cluster, "chunk-3").id.value, before.id.value);
  put(cluster, "/last", 100'000);
}

Task<> ask_stat(Env& env, ClusterId as, std::string& message) {
  rpc::Client client(env, {.cluster = as, .node = {}, .store = {}, .credentials = {}});
  struct Ask {
    static Task<> run(Nursery& children, rpc::Client& c, std::string& text) {
      children.spawn(c.run());
      auto reply = co_await c.call<proto::ShardStatReply>(
          {"chunk-1", 7100}, rpc::Method::kShardStat, proto::ShardStatRequest(), 2s);
      text = reply ? "ok" : reply.error().message;
    }
  };
  co_await nursery(env, [&](Nursery& children) { return Ask::run(children, client, message); });
}

TEST_CASE("a chunk server refuses another cluster in the handshake") {
  LocalCluster cluster({.chunks = 6});
  std::string foreign;
  std::string own;
  REQUIRE(cluster.run([&](Env& env, Client&) { return ask_stat(env, ClusterId(78), foreign); }));
  CHECK_NE(foreign.find("cluster"), std::string::npos);
  REQUIRE(cluster.run([&](Env& env, Client&) { return ask_stat(env, ClusterId(77), own); }));
  CHECK_NE(own.find("is not here"), std::string::npos);
}

// What chunk-3 answers to a shard that is meant for this node.
Task<> begin_shard(Env& env, NodeId meant, std::string& code) {
  rpc::Client client(env, {.cluster = ClusterId(77), .node = {}, .store = {}, .credentials = {}});
  proto::ShardBeginRequest request;
  request.mutable_name()->set_block(5);
  request.mutable_name()->set_generation(1);
  request.set_k(4);
  request.set_m(2);
  request.set_cell_bytes(4096);
  request.set_node(meant.value);
  struct Ask {
    static Task<> run(Nursery& children, rpc::Client& c, const proto::ShardBeginRequest& request,
                      std::string& code) {
      children.spawn(c.run());
      auto reply = co_await c.call<proto::ShardBeginReply>({"chunk-3", 7100},
                                                           rpc::Method::kShardBegin, request, 2s);
      code = reply ? "ok" : code_name(reply.error().code);
    }
  };
  co_await nursery(env,
                   [&](Nursery& children) { return Ask::run(children, client, request, code); });
}

TEST_CASE("a server with a new disk takes no shard that was meant for its predecessor") {
  LocalCluster cluster({});
  const NodeId before = node_named(cluster, "chunk-3").id;
  cluster.chunk(3).lose_disk();
  cluster.chunk(3).boot();
  cluster.world.run_for(10s);
  const NodeId after = node_named(cluster, "chunk-3").id;
  const auto answer = [&](NodeId meant) {
    std::string code;
    REQUIRE(cluster.run([&](Env& env, Client&) { return begin_shard(env, meant, code); }));
    return code;
  };
  CHECK_EQ(answer(before), code_name(Code::kPrecondition));
  CHECK_EQ(answer(after), "ok");
  CHECK_EQ(answer(NodeId(0)), "ok");
}

TEST_CASE("a server or the client killed at one of many events leaves no frame, and files whole") {
  const auto bytes = pattern(100'000, 1);
  for (uint64_t at = 20; at < 1500; at += 37) {
    CAPTURE(at);
    LocalCluster cluster({.chunks = 6});
    std::string code;
    cluster.start(
        [&](Env&, Client& client) { return put_pattern(client, "/f", bytes.size(), code); });
    const uint64_t begin = cluster.world.events();
    while (cluster.world.events() < begin + at && cluster.world.step()) {
    }
    sim::Host& victim =
        at % 4 == 0 ? cluster.client_host : cluster.chunk(1 + static_cast<int>(at % 6));
    const bool visible_before = cluster.metadata.machine.stat("/f").has_value();
    at % 3 == 0 ? victim.power_off() : victim.crash();
    cluster.world.run_for(10s);
    if (&victim != &cluster.client_host) {
      CHECK_EQ(code, "ok");
      victim.boot();
      cluster.world.run_for(1s);
    }
    if (!visible_before && code != "ok") continue;
    std::string got;
    REQUIRE(cluster.run([&](Env&, Client& client) { return get_pattern(client, "/f", got); }));
    CHECK((got == bytes));
  }
}

}  // namespace
}  // namespace dogfs::nodes::testing
