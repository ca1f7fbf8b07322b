// The steps of a change as configurations, against what makes them safe; and the rules of thesis
// chapter 4 that scripts do not show.

#include "core/raft/membership.h"

#include <algorithm>
#include <set>

#include <rapidcheck.h>

#include "core/raft/quorum.h"

#include "tests/core/raft/cluster.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

Member member(uint32_t node, uint64_t life = 1) {
  return {NodeId(node), StoreId(node * 100 + life)};
}

std::vector<Member> members(std::initializer_list<uint32_t> nodes) {
  std::vector<Member> list;
  for (const uint32_t node : nodes) list.push_back(member(node));
  return list;
}

std::vector<Member> draw_members(Random& random) {
  std::vector<Member> list;
  for (uint32_t node = 1; node <= 5; ++node) {
    if (random.chance(1, 2)) list.push_back(member(node, random.between(1, 2)));
  }
  return list;
}

std::vector<Member> draw_ready(Random& random, const std::vector<Member>& newcomers) {
  std::vector<Member> list;
  for (const Member& m : newcomers) {
    if (random.chance(1, 2)) list.push_back(m);
  }
  return list;
}

// Every choice of members that is a majority of one and leaves a majority of the other over.
bool can_be_apart(const Configuration& a, const Configuration& b) {
  std::set<Member> all;
  for (const auto* c : {&a, &b}) {
    for (const Member& m : c->members()) all.insert(m);
  }
  for (uint64_t chosen = 0; chosen < uint64_t{1} << all.size(); ++chosen) {
    const auto in = [&](const Member& m) {
      return (chosen >> std::distance(all.begin(), all.find(m)) & 1) != 0;
    };
    if (is_quorum(a, in) && is_quorum(b, [&](const Member& m) { return !in(m); })) return true;
  }
  return false;
}

TEST_CASE("section 6: any majority of a step of a change meets any majority of the next") {
  CHECK(rc::check([](uint64_t seed) {
    Random random(seed);
    Configuration now{draw_members(random)};
    if (now.empty()) now.voters = {member(1)};
    const auto step = [&](const Configuration& next) {
      RC_ASSERT(next.valid());
      RC_ASSERT(!next.empty());
      RC_ASSERT(!can_be_apart(now, next));
      now = next;
    };
    for (int change = 0; change < 4; ++change) {
      const Membership wanted{draw_members(random)};
      if (!may_become(now, wanted)) continue;
      step(begin_change(now, wanted));
      if (now.joint()) step(leave(now));
      // Some changes are still under way when the next one is asked for.
      while (!now.target.empty() && !random.chance(1, 3)) {
        const std::vector<Member> ready = draw_ready(random, newcomers_of(now));
        if (ready.empty()) continue;
        step(join(now, ready));
        step(leave(now));
      }
      RC_ASSERT((membership_of(now) == wanted));
    }
  }));
}

TEST_CASE("section 6: configurations that skip a step have majorities apart") {
  CHECK(can_be_apart({members({1, 2, 3})}, {members({1, 4, 5})}));
  CHECK(can_be_apart({members({1, 2, 3})}, {members({1, 2, 4})}));
}

TEST_CASE("a newcomer enters as a learner, and who it replaces leaves when it is promoted") {
  const Configuration now{members({1, 2, 3})};
  const Membership wanted{{member(1), member(2), member(3, 2)}};
  const Configuration first = begin_change(now, wanted);
  CHECK((first == Configuration{now.voters, {member(3, 2)}, {}, wanted.voters}));
  CHECK(first.is_voter(member(3)));
  CHECK_FALSE(first.is_voter(member(3, 2)));
  const Configuration joint = join(first, {member(3, 2)});
  CHECK((joint == Configuration{wanted.voters, {}, now.voters}));
  CHECK((leave(joint) == Configuration{wanted.voters}));
}

TEST_CASE("a change may be taken back, or another put in its place, while it waits for newcomers") {
  const Configuration waiting = begin_change({members({1, 2, 3})}, {members({1, 2, 3, 4})});
  CHECK((membership_of(waiting) == Membership{members({1, 2, 3, 4})}));
  CHECK((begin_change(waiting, {members({1, 2, 3})}) == Configuration{members({1, 2, 3})}));
  const Configuration both = begin_change(waiting, {members({1, 2, 3, 4, 5})});
  CHECK((both.learners == members({4, 5})));
  CHECK_FALSE(may_become(join(waiting, members({4})), {members({1, 2, 3})}));
}

TEST_CASE("who replaces itself does not wait for newcomers that are not ready") {
  const Configuration waiting = begin_change({members({1, 2, 3})}, {members({1, 2, 3, 9})});
  const Membership wanted{{member(1), member(2), member(3, 2), member(9)}};
  const Configuration both = begin_change(waiting, wanted);
  const Configuration joint = join(both, {member(3, 2)});
  const std::vector<Member> whole = {member(1), member(2), member(3, 2)};
  CHECK((joint == Configuration{whole, members({9}), members({1, 2, 3}), wanted.voters}));
  const Configuration left = leave(joint);
  CHECK((left == Configuration{whole, members({9}), {}, wanted.voters}));
  CHECK((leave(join(left, members({9}))) == Configuration{wanted.voters}));
  // The other way round, the old self stays.
  CHECK((join(both, members({9})).voters == members({1, 2, 3, 9})));
}

TEST_CASE("one leaves for each newcomer that is ready, the rest with the last") {
  const Configuration waiting = begin_change({members({1, 2, 3})}, {members({4, 5})});
  const Configuration joint = join(waiting, members({5}));
  CHECK((joint ==
         Configuration{members({2, 3, 5}), members({4}), members({1, 2, 3}), members({4, 5})}));
  CHECK((leave(join(leave(joint), members({4}))) == Configuration{members({4, 5})}));
}

TEST_CASE("a removal waits for nobody that is still to join, nor loses who was to be replaced") {
  const Configuration adding = begin_change({members({1, 2, 3})}, {members({1, 2, 3, 9})});
  const Configuration removing = begin_change(adding, {members({2, 3, 9})});
  CHECK((removing ==
         Configuration{members({2, 3}), members({9}), members({1, 2, 3}), members({2, 3, 9})}));
  const Configuration replacing = begin_change({members({1, 2, 3})}, {members({2, 3, 4})});
  CHECK((begin_change(replacing, {members({3, 4})}).voters == members({1, 3})));
  const Configuration more = begin_change(replacing, {members({2, 3, 4, 9})});
  CHECK((begin_change(more, {members({2, 3, 9})}).voters == members({2, 3})));
  // The last voter stays until there is another.
  const Configuration last = begin_change({members({1})}, {members({1, 9})});
  CHECK((begin_change(last, {members({9})}) ==
         Configuration{members({1}), members({9}), {}, members({9})}));
}

TEST_CASE("a group is not changed into one that cannot be") {
  const Membership now{members({1, 2})};
  CHECK_EQ(changed(now, {.add = member(1)}).error().code, Code::kExists);
  CHECK_EQ(changed(now, {.remove = member(3)}).error().code, Code::kNotFound);
  CHECK_EQ(changed(now, {.add = member(2, 2)}).error().code, Code::kPrecondition);
  CHECK((changed(now, {.add = member(2, 2), .remove = member(2)})->voters ==
         std::vector{member(1), member(2, 2)}));
  CHECK_EQ(changed({members({1})}, {.remove = member(1)}).error().code, Code::kPrecondition);
  CHECK_FALSE(may_become({members({1, 2})}, {{}, {}}));
  CHECK_FALSE(may_become({members({1, 2, 3})}, {members({1, 2}), members({3})}));
}

// --- On a group ---

Options fast() {
  Options options;
  options.election_ticks = 5;
  options.tail_entries = 0;
  return options;
}

// Everybody's clock moves, and everything arrives.
void run(Cluster& cluster, int ticks) {
  for (; ticks > 0; --ticks) {
    for (const auto& [node, server] : cluster.servers()) cluster.step(node, Tick{});
    cluster.settle();
  }
}

void change(Cluster& cluster, std::initializer_list<uint32_t> nodes) {
  Membership wanted;
  for (const uint32_t node : nodes) wanted.voters.push_back(cluster.server(NodeId(node)).self);
  std::ranges::sort(wanted.voters);
  cluster.step(cluster.leader(), ChangeMembership{ProposalId(1), wanted});
}

void propose(Cluster& cluster) {
  cluster.step(cluster.leader(), Propose{{{ProposalId(9), Buffer::copy("x")}}});
}

const Configuration& configuration(Cluster& cluster) {
  return cluster.core(cluster.leader())->configuration();
}

TEST_CASE("thesis 4.2.1: a newcomer that does not catch up is not promoted, and the group works") {
  Cluster cluster(fast(), {.voters = 3, .spares = 1}, 1);
  run(cluster, 30);
  cluster.crash(NodeId(4));
  change(cluster, {1, 2, 3, 4});
  const LogIndex before = cluster.core(cluster.leader())->commit();
  propose(cluster);
  run(cluster, 50);
  CHECK_GT(cluster.core(cluster.leader())->commit(), before);
  CHECK((configuration(cluster).learners == members({4})));
  cluster.restart(NodeId(4));
  run(cluster, 10);
  CHECK((configuration(cluster) == Configuration{members({1, 2, 3, 4})}));
}

TEST_CASE("a newcomer that never catches up stays a learner and stops nothing") {
  Cluster cluster(fast(), {.voters = 3, .spares = 2}, 1);
  run(cluster, 30);
  cluster.crash(NodeId(4));
  change(cluster, {1, 2, 3, 4});
  run(cluster, 20);
  change(cluster, {1, 2, 3, 4, 5});
  run(cluster, 20);
  CHECK((configuration(cluster) ==
         Configuration{members({1, 2, 3, 5}), members({4}), {}, members({1, 2, 3, 4, 5})}));
  const Member leaver = cluster.server(NodeId(cluster.leader() == NodeId(1) ? 2 : 1)).self;
  Membership wanted{members({1, 2, 3, 4, 5})};
  std::erase(wanted.voters, leaver);
  cluster.step(cluster.leader(), ChangeMembership{ProposalId(2), wanted});
  run(cluster, 20);
  CHECK_FALSE(configuration(cluster).joint());
  CHECK_FALSE(configuration(cluster).is_voter(leaver));
  CHECK((configuration(cluster).learners == members({4})));
  cluster.restart(NodeId(4));
  run(cluster, 20);
  CHECK((configuration(cluster) == Configuration{wanted.voters}));
  CHECK(cluster.oracle().violations().empty());
}

TEST_CASE("a change that would stand still on its way is refused, whoever is heard in the end") {
  Cluster cluster(fast(), {.voters = 3, .spares = 1}, 1);
  run(cluster, 30);
  const NodeId lost(cluster.leader() == NodeId(3) ? 2 : 3);
  const NodeId other(6 - lost.value - cluster.leader().value);
  cluster.crash(lost);
  cluster.crash(NodeId(4));
  change(cluster, {cluster.leader().value, other.value, 4});  // 4 is to take the place of the lost
  run(cluster, 20);
  const Configuration waiting = configuration(cluster);
  CHECK((waiting.voters == members({1, 2, 3})));
  CHECK((waiting.learners == members({4})));
  // Without the other, the leader and the lost one would have to agree.
  change(cluster, {cluster.leader().value, 4});
  run(cluster, 20);
  CHECK((configuration(cluster) == waiting));
  cluster.restart(NodeId(4));
  run(cluster, 20);
  CHECK_FALSE(configuration(cluster).joint());
  CHECK_FALSE(configuration(cluster).is_voter(cluster.server(lost).self));
  CHECK(cluster.oracle().violations().empty());
}

TEST_CASE("a newcomer that needs a snapshot gets one, with the configuration it is in") {
  Cluster cluster(fast(), {.voters = 1, .spares = 1}, 1);
  run(cluster, 30);
  for (int i = 0; i < 20; ++i) propose(cluster);
  cluster.settle();
  cluster.compact(NodeId(1));
  cluster.settle();
  change(cluster, {1, 2});
  run(cluster, 20);
  CHECK((configuration(cluster) == Configuration{members({1, 2})}));
  CHECK_GE(cluster.core(NodeId(2))->log().snapshot().last.index, LogIndex(20));
  cluster.compact(NodeId(1));  // of a state that holds the change
  cluster.settle();
  CHECK(
      (cluster.core(NodeId(1))->log().snapshot().configuration == Configuration{members({1, 2})}));
}

TEST_CASE("a change of everybody at once ends with the newcomers alone, one of them leading") {
  Cluster cluster(fast(), {.voters = 3, .spares = 3}, 1);
  run(cluster, 30);
  change(cluster, {4, 5, 6});
  run(cluster, 60);
  CHECK_GE(cluster.leader(), NodeId(4));
  CHECK((configuration(cluster) == Configuration{members({4, 5, 6})}));
  for (uint32_t node = 1; node <= 3; ++node) cluster.crash(NodeId(node));
  const LogIndex before = cluster.core(cluster.leader())->commit();
  propose(cluster);
  run(cluster, 5);
  CHECK_GT(cluster.core(cluster.leader())->commit(), before);
  CHECK(cluster.oracle().violations().empty());
}

// etcd #11284, #12136, #12359. Every leader that gets to see the joint configuration fails at once;
// whoever is next can be elected, and leave it.
TEST_CASE("a joint configuration can be won and left, whoever fails and whenever") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Cluster cluster(fast(), {.voters = 3, .spares = 2}, seed);
    run(cluster, 30);
    change(cluster, {1, 4, 5});
    for (int i = 0; i < 400; ++i) {
      const NodeId leader = cluster.leader();
      const NodeId any(static_cast<uint32_t>(random.between(1, 5)));
      if (leader && configuration(cluster).joint() && random.chance(1, 20)) {
        cluster.crash(leader, random.below(3));
        cluster.restart(leader);
      } else if (random.chance(1, 4)) {
        cluster.step(any, Tick{});
      } else if (random.chance(1, 3)) {
        cluster.persist(any, 1);
      } else if (!cluster.network().empty()) {
        cluster.deliver(cluster.take(random.below(cluster.network().size())));
      }
    }
    run(cluster, 60);
    REQUIRE(bool(cluster.leader()));
    CHECK((configuration(cluster) == Configuration{members({1, 4, 5})}));
    CHECK(cluster.oracle().violations().empty());
  }
}

TEST_CASE(
    "a joint configuration decides at followers that have not applied it, nor know it is "
    "committed") {
  Cluster cluster(fast(), {.voters = 3, .spares = 1}, 1);
  run(cluster, 30);
  const NodeId leader = cluster.leader();
  change(cluster, {1, 2, 3, 4});
  for (int i = 0; i < 10 && !configuration(cluster).joint(); ++i) {
    cluster.step(leader, Tick{});
    while (!cluster.network().empty() && !configuration(cluster).joint()) {
      cluster.deliver(cluster.take(0));
      for (const auto& [node, server] : cluster.servers()) cluster.persist(node);
    }
  }
  REQUIRE(configuration(cluster).joint());
  while (!cluster.network().empty()) cluster.deliver(cluster.take(0));
  for (const auto& [node, server] : cluster.servers()) {
    const Core& core = *server.core;
    CHECK(core.configuration().joint());
    CHECK_LT(core.log().handed_out(), core.log().configuration_index());
  }
}

TEST_CASE(
    "leadership is not transferred to whoever is about to leave, nor a change lost by a transfer") {
  Cluster cluster(fast(), {.voters = 3, .spares = 1}, 1);
  run(cluster, 30);
  const NodeId leader = cluster.leader();
  const NodeId other(leader.value == 1 ? 2 : 1);
  cluster.crash(NodeId(4));
  change(cluster, {1, 2, 3, 4});
  run(cluster, 2);
  cluster.step(leader, TransferLeadership{cluster.server(other).self});
  run(cluster, 3);
  CHECK_EQ(cluster.leader(), other);
  cluster.restart(NodeId(4));
  run(cluster, 10);
  CHECK((configuration(cluster) == Configuration{members({1, 2, 3, 4})}));
}

}  // namespace
}  // namespace dogfs::raft
