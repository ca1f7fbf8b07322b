#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

using placement::NodeKind;
using placement::NodeState;

NodeId registered(const Response& response) {
  REQUIRE(response.has_value());
  return std::get<NodeRegistered>(*response).node;
}

RegisterNode without_id(uint32_t number) {
  auto node = ClusterFixture::server(number);
  node.node = NodeId(0);
  return node;
}

TEST_CASE("a cluster is created once") {
  ClusterFixture fs;
  CreateCluster create{
      .cluster = ClusterId(7), .policy = {}, .block_bytes = limits::kMiB, .cell_bytes = 4096};
  CHECK_EQ(outcome(fs.lead(create)), "ok");
  CHECK_EQ(fs.machine.settings().cell_bytes, 64u * 1024);
  create.cluster = ClusterId(8);
  CHECK_EQ(outcome(fs.lead(create)), "exists");
}

TEST_CASE("impossible settings of a cluster are refused") {
  const auto created = [](auto change) {
    CreateCluster create{
        .cluster = ClusterId(7), .policy = {}, .block_bytes = limits::kMiB, .cell_bytes = 4096};
    change(create);
    StateMachine machine;
    return outcome(machine.apply(LogIndex(1), {.operation = create}));
  };
  CHECK_EQ(created([](CreateCluster&) {}), "ok");
  CHECK_EQ(created([](CreateCluster& c) { c.cluster = ClusterId(0); }), "invalid");
  CHECK_EQ(created([](CreateCluster& c) { c.block_bytes = limits::kBlockBytesMin - 1; }),
           "invalid");
  CHECK_EQ(created([](CreateCluster& c) { c.block_bytes = limits::kBlockBytesMax + 1; }),
           "invalid");
  CHECK_EQ(created([](CreateCluster& c) { c.cell_bytes = 0; }), "invalid");
  CHECK_EQ(created([](CreateCluster& c) { c.cell_bytes = limits::kCellBytesMax + 1; }), "invalid");
  // A replica of a full block has a checksum for each cell, of which a shard keeps so many.
  const auto with_cells_of_64 = [&](uint64_t block_bytes) {
    return created([&](CreateCluster& c) {
      c.cell_bytes = 64;
      c.block_bytes = block_bytes;
    });
  };
  CHECK_EQ(with_cells_of_64(64 * limits::kCellsPerShardMax), "ok");
  CHECK_EQ(with_cells_of_64(64 * limits::kCellsPerShardMax + 1), "invalid");
  CHECK_EQ(created([](CreateCluster& c) { c.cell_bytes = 1; }), "invalid");
}

TEST_CASE("a server that registers again keeps its id, and the map changes only if it did") {
  ClusterFixture fs(0);
  const NodeId id = registered(fs.lead(without_id(1)));
  const auto version = fs.machine.cluster_map().version();
  CHECK_EQ(registered(fs.lead(without_id(1))), id);
  CHECK_EQ(fs.machine.cluster_map().version(), version);
  auto moved = without_id(1);
  moved.address = "127.0.0.1:9999";
  CHECK_EQ(registered(fs.lead(moved)), id);
  CHECK_EQ(fs.machine.cluster_map().version(), version.next());
  CHECK_EQ(fs.machine.cluster_map().find(id)->address, "127.0.0.1:9999");
  moved.node = id;
  CHECK_EQ(registered(fs.lead(moved)), id);
  CHECK_NE(registered(fs.lead(without_id(2))), id);
}

TEST_CASE("a chunk server with a new data directory is a new node, and the old one is gone") {
  ClusterFixture fs(0);
  const NodeId old = registered(fs.lead(without_id(1)));
  auto blank = without_id(1);
  blank.store = StoreId(4242);
  CHECK_EQ(outcome(fs.lead(blank)), "unavailable");  // while the old one is live
  fs.set_state(old.value, NodeState::kDead);
  auto claim = blank;
  claim.node = old;
  CHECK_EQ(outcome(fs.lead(claim)), "precondition");
  const NodeId fresh = registered(fs.lead(blank));
  CHECK_NE(fresh, old);
  CHECK_EQ(fs.machine.cluster_map().find(old)->state, NodeState::kGone);
  CHECK_EQ(fs.machine.cluster_map().find("chunk-1")->id, fresh);
  CHECK_EQ(registered(fs.lead(blank)), fresh);
  auto ghost = without_id(1);
  ghost.node = old;
  CHECK_EQ(outcome(fs.lead(ghost)), "exists");
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("a dead server that returns is live, a draining one stays draining") {
  ClusterFixture fs;
  fs.set_state(1, NodeState::kDead);
  fs.set_state(2, NodeState::kDraining);
  REQUIRE(fs.lead(ClusterFixture::server(1)).has_value());
  REQUIRE(fs.lead(ClusterFixture::server(2)).has_value());
  CHECK_EQ(fs.machine.cluster_map().find(NodeId(1))->state, NodeState::kLive);
  CHECK_EQ(fs.machine.cluster_map().find(NodeId(2))->state, NodeState::kDraining);
}

TEST_CASE("a state that was proposed before the server came back is refused") {
  ClusterFixture fs;
  const auto seen = fs.machine.cluster_map().find(NodeId(1))->changed;
  const SetNodeState dead{.node = NodeId(1), .state = NodeState::kDead, .seen = seen};
  auto back = ClusterFixture::server(1);
  back.address = "127.0.0.1:1";
  REQUIRE(fs.lead(back).has_value());
  CHECK_EQ(outcome(fs.lead(dead)), "precondition");
  CHECK_EQ(fs.machine.cluster_map().find(NodeId(1))->state, NodeState::kLive);
  auto now = dead;
  now.seen = fs.machine.cluster_map().version();
  CHECK_EQ(outcome(fs.lead(now)), "ok");
  CHECK_EQ(outcome(fs.lead(SetNodeState{.node = NodeId(77)})), "not_found");
  now.state = static_cast<NodeState>(17);
  CHECK_EQ(outcome(fs.lead(now)), "invalid");
}

TEST_CASE("ids, names and kinds of servers cannot be mixed up") {
  ClusterFixture fs;
  auto node = ClusterFixture::server(1);
  node.name = "chunk-2";
  CHECK_EQ(outcome(fs.lead(node)), "exists");
  node.name = "chunk-99";
  CHECK_EQ(outcome(fs.lead(node)), "exists");
  node = ClusterFixture::server(1);
  node.kind = NodeKind::kMetadata;
  CHECK_EQ(outcome(fs.lead(node)), "exists");
  node = ClusterFixture::server(50);
  node.node = NodeId(5000);  // of another life of the cluster, which an import may bring back
  CHECK_EQ(outcome(fs.lead(node)), "unavailable");
  node = ClusterFixture::server(50);
  node.address = "nowhere";
  CHECK_EQ(outcome(fs.lead(node)), "invalid");
  CHECK_EQ(fs.machine.cluster_map().nodes().size(), 6u);
}

TEST_CASE("space of a server can be told, and weighs") {
  ClusterFixture fs;
  CHECK_EQ(outcome(fs.lead(SetNodeSpace{.node = NodeId(1), .capacity_bytes = 9, .used_bytes = 4})),
           "ok");
  CHECK_EQ(fs.machine.cluster_map().find(NodeId(1))->free_bytes(), 5u);
  CHECK_EQ(outcome(fs.lead(SetNodeSpace{.node = NodeId(99)})), "not_found");
}

}  // namespace
}  // namespace dogfs::metadata
