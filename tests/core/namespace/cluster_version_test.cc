// The cluster's version, and the incarnation after a forced recovery.
#include "core/namespace/cluster_version.h"

#include <set>
#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

RegisterNode server_of(uint32_t number, uint32_t newest_version) {
  RegisterNode server = ClusterFixture::server(number);
  server.newest_version = newest_version;
  return server;
}

struct OldCluster {
  OldCluster() {
    CreateCluster create{.cluster = ClusterId(7),
                         .policy = *placement::Policy::parse("rep-1"),
                         .block_bytes = limits::kMiB,
                         .cell_bytes = 64 * 1024,
                         .inline_bytes = 100,
                         .version = 1};
    REQUIRE_EQ(outcome(lead(create)), "ok");
    REQUIRE_EQ(outcome(lead(server_of(1, 2))), "ok");
    REQUIRE_EQ(outcome(lead(server_of(2, 0))), "ok");
    client = std::get<ClientRegistered>(*lead(RegisterClient())).client;
  }
  Response lead(Operation operation) {
    index = index.next();
    return machine.apply(index, {.client = {},
                                 .request = {},
                                 .acknowledged_below = {},
                                 .wall = {},
                                 .operation = std::move(operation)});
  }
  Response ask(Operation operation, std::optional<Asker> asker = std::nullopt) {
    index = index.next();
    request = request.next();
    return machine.apply(index, {.client = client,
                                 .request = request,
                                 .acknowledged_below = request,
                                 .wall = {},
                                 .operation = std::move(operation),
                                 .asker = std::move(asker)});
  }
  StateMachine machine;
  LogIndex index;
  ClientId client;
  RequestId request;
};

PutInline small(const std::string& path) {
  PutInline put;
  put.path = path;
  put.content = "bytes";
  return put;
}

}  // namespace

TEST_CASE("what came with a version is refused until the cluster is at it") {
  OldCluster cluster;
  CHECK_EQ(outcome(cluster.ask(MakeDirectory{.path = "/a"})), "ok");
  CHECK_EQ(outcome(cluster.ask(small("/f"))), "unsupported");
  CHECK_EQ(outcome(cluster.ask(MakeDirectory{.path = "/b"}, Asker{.user = "ada", .groups = {}})),
           "unsupported");
  CHECK_EQ(outcome(cluster.lead(AdvanceTrash{.from = 0, .to = 1})), "unsupported");

  // Not before every chunk server understands it, or is gone.
  CHECK_EQ(outcome(cluster.lead(SetClusterVersion{.version = 2})), "precondition");
  CHECK_EQ(cluster.machine.settings().cluster_version, 1);
  SUBCASE("it is upgraded") { CHECK_EQ(outcome(cluster.lead(server_of(2, 2))), "ok"); }
  SUBCASE("it is gone") {
    CHECK_EQ(outcome(cluster.lead(SetNodeState{
                 .node = NodeId(2), .state = placement::NodeState::kGone, .seen = {}})),
             "ok");
  }
  CHECK_EQ(outcome(cluster.lead(SetClusterVersion{.version = 2})), "ok");
  CHECK_EQ(outcome(cluster.ask(small("/f"))), "ok");

  CHECK_EQ(outcome(cluster.ask(OpenAppend{.path = "/f", .policy = {}, .attributes = {}})),
           "unsupported");
  CHECK_EQ(outcome(cluster.lead(OrderDeletion{.blocks = {}, .former = {{BlockId(1), {}}}})),
           "unsupported");

  // It never falls, and no older build comes in.
  CHECK_EQ(outcome(cluster.lead(SetClusterVersion{.version = 1})), "ok");
  CHECK_EQ(cluster.machine.settings().cluster_version, 2);
  CHECK_EQ(outcome(cluster.lead(server_of(3, 1))), "unsupported");
  CHECK_EQ(outcome(cluster.lead(server_of(3, 2))), "ok");
}

TEST_CASE("after the incarnation was raised no id is given twice") {
  ClusterFixture fs;
  REQUIRE_EQ(outcome(fs.ask(small("/before"))), "ok");
  const auto state = fs.machine.freeze();
  // What the lost servers did, and this one never heard of.
  StateMachine lost;
  auto restore = lost.begin_restore();
  std::string position;
  while (auto piece = state.next_piece(position, 1 << 20)) REQUIRE(restore.add(*piece).has_value());
  REQUIRE(restore.finish().has_value());
  const auto on = [&](StateMachine& machine, LogIndex at, ClientId client, uint64_t request,
                      Operation operation) {
    return machine.apply(at, {.client = client,
                              .request = RequestId(request),
                              .acknowledged_below = {},
                              .wall = {},
                              .operation = std::move(operation)});
  };
  std::set<uint64_t> ids;
  const auto made = [&](StateMachine& machine, LogIndex index) {
    const auto client =
        std::get<ClientRegistered>(*on(machine, index, {}, 0, RegisterClient())).client;
    CHECK(ids.insert(client.value).second);
    RegisterNode server = ClusterFixture::server(70 + uint32_t(ids.size()));
    server.node = {};
    index = index.next();
    const auto node = std::get<NodeRegistered>(*on(machine, index, {}, 0, server)).node;
    CHECK(ids.insert(node.value).second);
    index = index.next();
    REQUIRE(on(machine, index, client, 1, small("/f")).has_value());
    const auto answer = machine.answer(StatQuery{"/f"});
    CHECK(ids.insert(std::get<Attributes>(*answer).id.value).second);
  };
  made(lost, fs.index.next());
  REQUIRE_EQ(outcome(fs.lead(RaiseIncarnation())), "ok");
  made(fs.machine, fs.index.next());
  CHECK_EQ(ids.size(), 6u);
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("there is an end to incarnations, and it is refused, not wrapped around") {
  ClusterFixture fs;
  int raised = 0;
  while (fs.lead(RaiseIncarnation()).has_value()) ++raised;
  CHECK_EQ(raised, (1 << kIncarnationBits) - 2);
  CHECK_EQ(fs.machine.settings().incarnation.value, (1 << kIncarnationBits) - 1);
}

}  // namespace dogfs::metadata
