// Progress where it can be demanded: a healthy majority beside links that never heal.

#include <functional>
#include <string>

#include "core/base/mutation.h"

#include "tests/core/raft/cluster.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

struct Outcome {
  uint64_t elections = 0;  // after the group had settled
  uint64_t committed = 0;
};

// Three servers on equal clocks and a good network, but for what `breaks`, for two hundred election
// timeouts; a proposal at each.
Outcome run(uint64_t seed, const std::function<void(Cluster&)>& breaks) {
  Options options;
  options.election_ticks = 5;
  Cluster cluster(options, {.voters = 3}, seed);
  Outcome outcome;
  for (uint64_t tick = 0; tick < 1000; ++tick) {
    if (tick == 50) breaks(cluster);
    if (tick == 100) outcome = {cluster.oracle().leaders(), cluster.oracle().committed().value};
    for (const auto& [node, server] : cluster.servers()) cluster.step(node, Tick{});
    cluster.settle();
    if (tick % 5 != 0) continue;
    for (const auto& [node, server] : cluster.servers()) {
      if (server.core->role() == Role::kLeader) {
        cluster.step(node, Propose{{{ProposalId(tick), Buffer::copy("x")}}});
      }
    }
  }
  REQUIRE(cluster.oracle().violations().empty());
  return {cluster.oracle().leaders() - outcome.elections,
          cluster.oracle().committed().value - outcome.committed};
}

// A follower that hears nobody times out for ever.
void deafen_a_follower(Cluster& cluster) {
  const NodeId deaf(cluster.leader().value % 3 + 1);
  for (uint32_t n = 1; n <= 3; ++n) cluster.cut(NodeId(n), deaf);
}

// A leader that hears nobody is heard: it keeps everybody from campaigning, and commits nothing.
void deafen_the_leader(Cluster& cluster) {
  const NodeId deaf = cluster.leader();
  for (uint32_t n = 1; n <= 3; ++n) cluster.cut(NodeId(n), deaf);
}

bool steady(uint64_t seed) {
  const Outcome outcome = run(seed, deafen_a_follower);
  return outcome.elections == 0 && outcome.committed >= 170;
}

bool replaced(uint64_t seed) { return run(seed, deafen_the_leader).committed >= 100; }

TEST_CASE("thesis 9.6: a follower that hears nobody, for ever, never deposes the leader") {
  for (uint64_t seed = 1; seed <= 10; ++seed) CHECK(steady(seed));
}

TEST_CASE("thesis 6.2: a leader that hears nobody, for ever, gives way to one that can commit") {
  for (uint64_t seed = 1; seed <= 10; ++seed) CHECK(replaced(seed));
}

// Delivers and persists until nothing moves but the disk that hangs.
void settle_but(Cluster& cluster, NodeId hung) {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& [node, server] : cluster.servers()) {
      if (node == hung || server.writing.empty()) continue;
      cluster.persist(node);
      moved = true;
    }
    for (; !cluster.network().empty(); moved = true) cluster.deliver(cluster.take(0));
  }
}

// Its log and its snapshots are on that disk: it could bring nobody up to date.
TEST_CASE("a leader whose disk hangs gives way, although it is heard and the others commit") {
  Options options;
  options.election_ticks = 5;
  Cluster cluster(options, {.voters = 3}, 1);
  for (uint64_t tick = 0; cluster.leader() == NodeId(); ++tick) {
    REQUIRE(tick < 100);
    for (const auto& [node, server] : cluster.servers()) cluster.step(node, Tick{});
    cluster.settle();
  }
  const NodeId hung = cluster.leader();
  for (uint64_t tick = 0; tick < 100; ++tick) {
    for (const auto& [node, server] : cluster.servers()) {
      if (server.core->role() == Role::kLeader)
        cluster.step(node, Propose{{{ProposalId(tick), Buffer::copy("x")}}});
      cluster.step(node, Tick{});
    }
    settle_but(cluster, hung);
  }
  CHECK_NE(cluster.leader(), hung);
  CHECK(cluster.oracle().committed().value > 50);
  CHECK(cluster.oracle().violations().empty());
}

// It would never have its own vote, and each of its terms would end another's election.
TEST_CASE("a server whose disk hangs asks for no votes until the disk moves again") {
  Options options;
  options.election_ticks = 5;
  Cluster cluster(options, {.voters = 3}, 1);
  while (cluster.leader() == NodeId()) {
    for (const auto& [node, server] : cluster.servers()) cluster.step(node, Tick{});
    cluster.settle();
  }
  // An entry reaches the other two, whose logs are the longest then, and one disk. Then the leader
  // is gone.
  const NodeId gone = cluster.leader();
  const NodeId hung(gone.value % 3 + 1), well(hung.value % 3 + 1);
  cluster.step(gone, Propose{{{ProposalId(1), Buffer::copy("x")}}});
  settle_but(cluster, hung);
  REQUIRE_FALSE(cluster.server(hung).writing.empty());
  cluster.crash(gone);
  for (int tick = 0; tick < 100; ++tick) {
    for (const NodeId node : {hung, well}) cluster.step(node, Tick{});
    settle_but(cluster, hung);
    if (tick > 40) CHECK_EQ(cluster.core(hung)->role(), Role::kFollower);
  }
  // With its disk it makes the quorum whole.
  for (int tick = 0; tick < 100 && !cluster.core(well)->leader(); ++tick) {
    for (const NodeId node : {hung, well}) cluster.step(node, Tick{});
    cluster.settle();
  }
  CHECK(cluster.core(well)->leader());
  CHECK(cluster.oracle().violations().empty());
}

#ifdef DOGFS_MUTANTS
TEST_CASE(
    "without pre-vote and check-quorum a partition in one direction takes the progress away") {
  mutation::plant("M16");
  CHECK_FALSE(steady(1));
  CHECK_FALSE(replaced(1));
  mutation::plant("");
}
#endif

// A settled group of five, of which some say that their disks are full, and some go away.
bool has_room(std::vector<uint32_t> full, std::vector<uint32_t> gone) {
  Options options;
  options.election_ticks = 5;
  Cluster cluster(options, {.voters = 5}, 1);
  const auto tick = [&](int times) {
    for (int i = 0; i < times; ++i) {
      for (const auto& [node, server] : cluster.servers()) {
        if (server.core) cluster.step(node, Tick{});
      }
      cluster.settle();
    }
  };
  tick(50);
  const uint32_t leader = cluster.leader().value;
  REQUIRE_GT(leader, 0u);
  // 0 is the leader, 1 to 4 are the others.
  const auto node = [&](uint32_t place) { return NodeId((leader - 1 + place) % 5 + 1); };
  for (const uint32_t place : full) cluster.step(node(place), ReportSpace{.is_short = true});
  for (const uint32_t place : gone) cluster.crash(node(place));
  tick(20);
  REQUIRE_EQ(cluster.leader(), node(0));
  return cluster.server(node(0)).core->has_room();
}

TEST_CASE("a group may grow while a quorum of voters is heard and has space") {
  CHECK(has_room({}, {}));
  CHECK(has_room({}, {1, 2}));  // who is silent is no reason by itself
  CHECK(has_room({0}, {}));
  CHECK(has_room({1, 2}, {}));
  CHECK(has_room({0, 4}, {}));
  CHECK(has_room({1}, {2}));
  CHECK_FALSE(has_room({0, 1, 2}, {}));
  CHECK_FALSE(has_room({0, 1, 2, 3, 4}, {}));
  CHECK_FALSE(has_room({1, 2}, {3}));
  CHECK_FALSE(has_room({0}, {1, 2}));
}

TEST_CASE("a group may grow again when a disk has space again") {
  Options options;
  Cluster cluster(options, {.voters = 1}, 1);
  while (!cluster.leader()) {
    cluster.step(NodeId(1), Tick{});
    cluster.settle();
  }
  cluster.step(NodeId(1), ReportSpace{.is_short = true});
  CHECK_FALSE(cluster.server(NodeId(1)).core->has_room());
  cluster.step(NodeId(1), ReportSpace{.is_short = false});
  CHECK(cluster.server(NodeId(1)).core->has_room());
}

}  // namespace
}  // namespace dogfs::raft
