// Leader leases (thesis 6.4.1): reads without a round, never stale while clocks drift within the
// bound that the options name; and stale when they drift further, or the test would show nothing.

#include <map>

#include "tests/core/raft/cluster.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

struct Report {
  uint64_t reads = 0;
  uint64_t at_once = 0;  // of those, within the step that asked
  uint64_t leaders = 0;
  uint64_t stale = 0;
  std::string first_violation;
};

// A group whose servers tick at periods of 100 to 100 + `drift` units of one time, drawn anew for
// each phase, over links that lose, delay and break, with crashes and transfers.
class Drifting {
 public:
  Drifting(uint64_t seed, uint64_t drift)
      : random_(seed), drift_(drift), cluster_(options(), {}, seed) {
    cluster_.on_output = [this](const Cluster::Server&, const Output& output) {
      report_.reads += output.reads.size();
    };
  }

  Report run() {
    for (now_ = 0; now_ < 60'000; now_ += 10) {
      if (now_ % 3000 == 0) new_phase();
      for (const auto& [node, server] : cluster_.servers()) tick_if_due(node);
      for (size_t n = cluster_.network().size(); n > 0; --n) maybe_deliver();
      act();
    }
    report_.leaders = cluster_.oracle().leaders();
    for (const std::string& violation : cluster_.oracle().violations()) {
      report_.first_violation = violation;
      ++report_.stale;
    }
    return report_;
  }

 private:
  static Options options() {
    Options options;
    options.election_ticks = 6;
    options.lease_drift_percent = 10;
    return options;
  }

  void new_phase() {
    cluster_.heal();
    for (const auto& [node, server] : cluster_.servers()) {
      period_[node] = 100 + (random_.chance(1, 2) ? 0 : drift_);
      if (!server.core) cluster_.restart(node);
    }
    const NodeId leader = cluster_.leader();
    if (leader && random_.chance(2, 3)) {
      for (uint32_t n = 1; n <= 3; ++n) {
        cluster_.cut(leader, NodeId(n));
        cluster_.cut(NodeId(n), leader);
      }
    }
  }

  void tick_if_due(NodeId node) {
    if (due_[node] > now_) return;
    due_[node] = now_ + period_[node];
    cluster_.step(node, Tick{});
  }

  void maybe_deliver() {
    if (cluster_.network().empty()) return;
    Message message = cluster_.take(0);
    if (random_.chance(1, 100)) return;
    if (random_.chance(1, 2)) return cluster_.deliver(std::move(message));
    cluster_.network().push_back(std::move(message));
  }

  void act() {
    const NodeId node(static_cast<uint32_t>(random_.between(1, 3)));
    if (random_.chance(1, 2)) cluster_.persist(node);
    if (random_.chance(1, 3)) propose(node);
    if (random_.chance(1, 3)) read(node);
    if (random_.chance(1, 600)) {
      cluster_.crash(node);
      cluster_.restart(node);
    }
    if (random_.chance(1, 600)) {
      cluster_.step(cluster_.leader() ? cluster_.leader() : node,
                    TransferLeadership{cluster_.server(node).self});
    }
  }

  void propose(NodeId node) {
    cluster_.step(node, Propose{{{ProposalId(++ids_), Buffer::copy("x")}}});
  }

  void read(NodeId node) {
    const uint64_t before = report_.reads;
    cluster_.step(node, ReadIndex{ReadId(++ids_)});
    report_.at_once += report_.reads - before;
  }

  Random random_;
  uint64_t drift_;
  Cluster cluster_;
  uint64_t now_ = 0;
  std::map<NodeId, uint64_t> due_, period_;
  uint64_t ids_ = 0;
  Report report_;
};

TEST_CASE("a leased read is never stale while clocks drift within the bound") {
  Report sum;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const Report report = Drifting(seed, 10).run();
    CAPTURE(seed);
    CHECK_EQ(report.first_violation, "");
    sum.reads += report.reads;
    sum.at_once += report.at_once;
    sum.leaders += report.leaders;
  }
  MESSAGE("reads " << sum.reads << ", at once " << sum.at_once << ", leaders " << sum.leaders);
  CHECK_GT(sum.at_once, sum.reads / 2);
  CHECK_GT(sum.leaders, 200u);
}

TEST_CASE("a leased read is stale in some run whose clocks drift beyond the bound") {
  uint64_t stale = 0;
  for (uint64_t seed = 1; seed <= 40 && stale == 0; ++seed) stale = Drifting(seed, 300).run().stale;
  CHECK_GT(stale, 0u);
}

#ifdef DOGFS_MUTANTS
TEST_CASE("a lease that a transfer does not end gives a stale read in some run") {
  mutation::plant("M47");
  uint64_t stale = 0;
  for (uint64_t seed = 1; seed <= 400 && stale == 0; ++seed) stale = Drifting(seed, 10).run().stale;
  mutation::plant("");
  CHECK_GT(stale, 0u);
}
#endif

// --- Rules, one by one ---

Options leased() {
  Options options;
  options.election_ticks = 10;
  options.lease_drift_percent = 20;
  return options;
}

struct Group {
  Group() : cluster(leased(), {}, 1) {
    cluster.on_output = [this](const Cluster::Server&, const Output& output) {
      for (const ReadReady& ready : output.reads) last_read = ready.id;
    };
    while (!cluster.leader()) run(1);
    leader = cluster.leader();
    run(3);
  }
  void run(int ticks) {
    for (; ticks > 0; --ticks) {
      for (const auto& [node, server] : cluster.servers()) cluster.step(node, Tick{});
      cluster.settle();
    }
  }
  void isolate_leader() {
    for (uint32_t n = 1; n <= 3; ++n) cluster.cut(leader, NodeId(n));
    for (uint32_t n = 1; n <= 3; ++n) cluster.cut(NodeId(n), leader);
  }
  bool reads_at_once() {
    cluster.step(leader, ReadIndex{ReadId(++id)});
    return last_read == ReadId(id);
  }

  Cluster cluster;
  NodeId leader;
  ReadId last_read;
  uint64_t id = 0;
};

TEST_CASE("a lease lasts, without news of the quorum, for as long as no clock may have timed out") {
  Group group;
  group.isolate_leader();
  // (10 - 1) * 100 / 120 ticks after the heartbeat that was answered.
  for (int tick = 0; tick < 7; ++tick) {
    CAPTURE(tick);
    CHECK(group.reads_at_once());
    if (tick < 6) group.cluster.step(group.leader, Tick{});
  }
  group.cluster.step(group.leader, Tick{});
  CHECK_FALSE(group.reads_at_once());
}

TEST_CASE("a lease ends when leadership is handed over, for the rest of the term") {
  Group group;
  CHECK(group.reads_at_once());
  const NodeId other(group.leader.value % 3 + 1);
  group.cluster.cut(group.leader, other);
  group.cluster.step(group.leader, TransferLeadership{group.cluster.server(other).self});
  CHECK_FALSE(group.reads_at_once());
  group.run(15);  // given up, and leading still
  if (group.cluster.leader() == group.leader) CHECK_FALSE(group.reads_at_once());
}

TEST_CASE("a lease ends when ticks were lost, and no answer from before begins it again") {
  Group group;
  CHECK(group.reads_at_once());
  group.cluster.step(group.leader, Tick{});  // a heartbeat, whose answers wait
  group.cluster.step(group.leader, TicksLost{});
  CHECK_FALSE(group.reads_at_once());
  group.isolate_leader();
  group.cluster.settle();
  CHECK_FALSE(group.reads_at_once());
  group.cluster.heal();
  group.run(2);
  CHECK_EQ(group.cluster.leader(), group.leader);
  CHECK(group.reads_at_once());
}

TEST_CASE("ticks that a follower lost shorten no promise and begin no election") {
  Group group;
  const NodeId paused(group.leader.value % 3 + 1);
  const Term term = group.cluster.core(paused)->term();
  for (int i = 0; i < 50; ++i) group.cluster.step(paused, TicksLost{});
  CHECK_EQ(group.cluster.core(paused)->role(), Role::kFollower);
  group.run(5);
  CHECK_EQ(group.cluster.leader(), group.leader);
  CHECK_EQ(group.cluster.core(paused)->term(), term);
}

TEST_CASE("a lease ends with the leadership, and begins after an entry of the own term") {
  Group group;
  group.cluster.step(group.leader, StepDown{});
  CHECK_FALSE(group.reads_at_once());

  Cluster cluster(leased(), {}, 1);
  uint64_t reads = 0;
  cluster.on_output = [&](const Cluster::Server&, const Output& output) {
    reads += output.reads.size();
  };
  while (!cluster.leader()) {
    for (const auto& [node, server] : cluster.servers()) cluster.step(node, Tick{});
    for (const auto& [node, server] : cluster.servers()) cluster.persist(node);
    if (!cluster.network().empty()) cluster.deliver(cluster.take(0));
  }
  cluster.step(cluster.leader(), ReadIndex{ReadId(1)});
  CHECK_EQ(reads, 0u);
}

TEST_CASE("with leases a restarted server elects nobody before an election timeout") {
  Group group;
  const NodeId restarted(group.leader.value % 3 + 1), candidate(restarted.value % 3 + 1);
  group.cluster.crash(restarted);
  group.cluster.restart(restarted);
  const Core& voter = *group.cluster.core(restarted);
  const Member to = voter.self(), from = group.cluster.server(candidate).self;
  const Message request{{voter.options().group, from, to, voter.term().next()},
                        VoteRequest{.last = {LogIndex(99), voter.term()}}};
  group.cluster.step(restarted, request);
  CHECK_FALSE(bool(voter.hard_state().voted_for == from));
  for (int i = 0; i < 10; ++i) group.cluster.step(restarted, Tick{});
  group.cluster.step(restarted, request);
  CHECK_EQ(voter.hard_state().voted_for, from);
}

}  // namespace
}  // namespace dogfs::raft
