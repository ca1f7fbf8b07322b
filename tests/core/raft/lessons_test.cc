// What went wrong in other systems, and must not here: a test for each consensus failure that the
// core alone can have, named by what happened and where. The same stories message by message are in
// scripts/; those of disks and hosts are tested with the log and the servers.

#include "tests/core/raft/cluster.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

Options small() {
  Options options;
  options.election_ticks = 5;
  options.tail_entries = 0;
  return options;
}

// A group whose messages and disks the test moves by hand, led by the first server.
struct Group {
  explicit Group(size_t voters = 3, Options options = small())
      : cluster(std::move(options), {.voters = voters}, 1) {
    cluster.on_output = [this](const Cluster::Server& server, const Output& output) {
      for (const ReadReady& ready : output.reads) reads.push_back(ready);
      for (const Entry& entry : output.committed) {
        if (server.self.node == NodeId(1)) committed.push_back(entry);
      }
    };
    while (node(1).role() == Role::kFollower) cluster.step(NodeId(1), Tick{});
    cluster.settle();
    REQUIRE(node(1).role() == Role::kLeader);
  }
  ~Group() { CHECK(cluster.oracle().violations().empty()); }

  const Core& node(uint32_t number) { return *cluster.core(NodeId(number)); }
  Member member(uint32_t number) { return cluster.server(NodeId(number)).self; }
  void propose(const std::string& text) {
    cluster.step(NodeId(1), Propose{{{ProposalId(++proposals), Buffer::copy(text)}}});
  }
  void tick(uint32_t number, int ticks = 1) {
    for (; ticks > 0; --ticks) cluster.step(NodeId(number), Tick{});
  }
  void say(uint32_t from, uint32_t to, Body body) {
    const Term term = node(from).term();
    cluster.step(NodeId(to), Message{{node(from).options().group, member(from), member(to), term},
                                     std::move(body)});
  }
  const Progress& progress(uint32_t of) { return node(1).followers()->at(member(of)); }
  void isolate(uint32_t number) {
    for (const auto& [other, server] : cluster.servers()) {
      cluster.cut(NodeId(number), other);
      cluster.cut(other, NodeId(number));
    }
  }

  Cluster cluster;
  std::vector<ReadReady> reads;
  std::vector<Entry> committed;
  uint64_t proposals = 0;
};

TEST_CASE("etcd #14370: a one-node group acknowledges nothing before its log is synced") {
  Group group(1);
  const size_t before = group.committed.size();
  group.propose("x");
  group.tick(1, 3);
  CHECK_EQ(group.committed.size(), before);
  group.cluster.crash(NodeId(1));  // what was not synced is gone, and was promised to nobody
  group.cluster.restart(NodeId(1));
  CHECK_EQ(group.node(1).last().index, LogIndex(1));
}

TEST_CASE("etcd #7331, tikv #6340: no read before an entry of the own term is committed") {
  Group group;
  group.propose("acknowledged");
  group.cluster.settle();
  group.isolate(1);
  group.tick(3, 5);
  while (group.node(2).role() == Role::kFollower) group.tick(2);
  // 2 is elected; what it appends first is held up.
  while (group.node(2).role() != Role::kLeader) {
    group.cluster.deliver(group.cluster.take(0));
    group.cluster.persist(NodeId(2));
    group.cluster.persist(NodeId(3));
  }
  group.cluster.network().clear();
  CHECK_LT(group.node(2).commit(), group.cluster.oracle().committed());
  group.cluster.step(NodeId(2), ReadIndex{ReadId(7)});
  CHECK(group.reads.empty());
  group.tick(2, 2);
  group.cluster.settle();
  REQUIRE_EQ(group.reads.size(), 1u);
  CHECK_GE(group.reads[0].index, LogIndex(3));  // the entry of the own term
}

TEST_CASE("hashicorp/raft #697: an installed snapshot leaves nothing of a conflicting log") {
  Group group;
  group.isolate(3);
  for (int i = 0; i < 9; ++i) group.propose("x");
  group.cluster.settle();
  group.cluster.compact(NodeId(1));
  group.cluster.settle();
  // 3 holds entries of a leader that nobody else ever heard of.
  group.cluster.crash(NodeId(3));
  group.cluster.write_disk(NodeId(3), {group.node(1).term(), {}}, {Term(1), Term(1), Term(1)});
  group.cluster.heal();
  group.cluster.restart(NodeId(3));
  int offers = 0;
  group.cluster.on_output = [&](const Cluster::Server&, const Output& output) {
    offers += static_cast<int>(output.snapshots_to_send.size());
  };
  for (int i = 0; i < 20; ++i) {
    group.tick(1);
    group.cluster.settle();
  }
  CHECK_EQ(offers, 1);
  CHECK((group.node(3).last() == group.node(1).last()));
  CHECK_EQ(group.node(3).log().first_index(), LogIndex(11));
}

TEST_CASE(
    "CCF #6016: a stale rejection lowers no match, an acceptance beyond what was sent raises "
    "none") {
  Group group;
  group.propose("x");
  group.cluster.settle();
  const LogIndex match = group.progress(2).match();
  REQUIRE_EQ(match, LogIndex(2));
  AppendReply stale{.match = LogIndex(0)};
  stale.rejection = {LogIndex(1), {LogIndex(0), Term(0)}};
  group.say(2, 1, stale);
  group.say(2, 1, AppendReply{.match = LogIndex(1)});
  group.say(2, 1, AppendReply{.match = LogIndex(50)});
  CHECK_EQ(group.progress(2).match(), match);
  CHECK_EQ(group.node(1).commit(), match);
}

TEST_CASE("NuRaft PR 57, rabbitmq/ra #508: a tail that no append verified is not committed") {
  Group group;
  Recovered recovered{{Term(1), {}}, {{}, group.node(1).configuration()}, {}};
  for (uint64_t index = 1; index <= 4; ++index) {
    recovered.entries.push_back({LogIndex(index), Term(1), EntryKind::kNormal, Buffer()});
  }
  const GroupId id = group.node(1).options().group;
  Core core({.group = id, .self = group.member(3), .election_ticks = 5}, std::move(recovered),
            Random(1));
  // A heartbeat that meets the log at entry 1, from a leader that has committed far beyond.
  core.step(Message{{id, group.member(1), group.member(3), Term(2)},
                    AppendRequest{.previous = {LogIndex(1), Term(1)}, .commit = LogIndex(4)}});
  CHECK_EQ(core.commit(), LogIndex(1));
}

TEST_CASE("openraft 9540c904: an append delivered again deletes nothing, not even over a crash") {
  Group group;
  group.propose("a");
  const std::deque<Message> first = group.cluster.network();
  group.propose("b");
  group.propose("c");
  group.cluster.settle();
  const LogPosition last = group.node(2).last();
  for (const Message& again : first) group.cluster.deliver(again);
  group.cluster.settle();
  group.cluster.crash(NodeId(2));
  group.cluster.restart(NodeId(2));
  CHECK((group.node(2).last() == last));
  for (const Message& again : first) group.cluster.deliver(again);
  CHECK((group.node(2).last() == last));
}

TEST_CASE(
    "etcd/raft asynchronous storage: an old write does not confirm the entry that replaced it") {
  Group group;
  const Envelope from_2{group.node(1).options().group, group.member(2), group.member(3), Term(2)};
  const Envelope from_1{group.node(1).options().group, group.member(1), group.member(3), Term(3)};
  const auto append = [](uint64_t term) {
    return AppendRequest{.previous = {LogIndex(1), Term(1)},
                         .entries = {{LogIndex(2), Term(term), EntryKind::kNormal,
                                      Buffer::copy(fmt::format("of {}", term))}}};
  };
  Core core({.group = from_2.group, .self = group.member(3), .election_ticks = 5},
            {{Term(1), {}},
             {{}, group.node(1).configuration()},
             {{LogIndex(1), Term(1), EntryKind::kNoop, Buffer()}}},
            Random(1));
  const Output old = core.step(Message{from_2, append(2)});
  core.step(Message{from_1, append(3)});
  const Output late = core.step(Persisted{old.persist->number});
  for (const Message& message : late.messages) {
    CHECK_LT(std::get<AppendReply>(message.body).match, LogIndex(2));
  }
  CHECK_EQ(core.durable(), LogIndex(1));
}

TEST_CASE(
    "hashicorp/raft #695: what is proposed as the term changes has one outcome, in one term") {
  Group group;
  group.isolate(1);
  group.propose("lost");
  const LogPosition lost = group.node(1).last();
  // The news of a higher term, then another proposal, with nothing in between.
  group.say(2, 1, AppendReply{});
  group.cluster.step(
      NodeId(1), Message{{group.node(1).options().group, group.member(2), group.member(1), Term(5)},
                         AppendReply{}});
  bool refused = false;
  group.cluster.on_output = [&](const Cluster::Server&, const Output& output) {
    refused = refused || !output.refused.empty();
    CHECK(output.accepted.empty());
  };
  group.propose("too late");
  CHECK(refused);
  CHECK((group.node(1).last() == lost));
}

TEST_CASE("cockroach #26257: an idle group keeps its leader, and has one again after a partition") {
  Group group;
  const auto idle = [&](int ticks) {
    for (; ticks > 0; --ticks) {
      for (const auto& [node, server] : group.cluster.servers()) {
        if (server.core) group.cluster.step(node, Tick{});
      }
      group.cluster.settle();
    }
  };
  idle(1000);
  CHECK_EQ(group.cluster.oracle().leaders(), 1);
  CHECK_EQ(group.node(1).last().index, LogIndex(1));  // and writes nothing for that
  group.isolate(2);
  idle(200);
  group.cluster.heal();
  idle(200);
  CHECK_EQ(group.cluster.oracle().leaders(), 1);
  for (const uint32_t number : {2u, 3u}) group.cluster.crash(NodeId(number));
  idle(200);
  CHECK(group.node(1).role() != Role::kLeader);
  for (const uint32_t number : {2u, 3u}) group.cluster.restart(NodeId(number));
  idle(50);
  const uint64_t elected = group.cluster.oracle().leaders();
  CHECK_EQ(elected, 2);
  idle(1000);
  CHECK_EQ(group.cluster.oracle().leaders(), elected);
}

TEST_CASE("openraft #2080, Cloudflare 2020: a leader that a minority reaches keeps nothing alive") {
  Group group(5);
  for (const uint32_t other : {3u, 4u, 5u}) {  // only 2 reaches both sides
    group.cluster.cut(NodeId(1), NodeId(other));
    group.cluster.cut(NodeId(other), NodeId(1));
  }
  for (int i = 0; i < 60; ++i) {
    for (uint32_t number = 1; number <= 5; ++number) group.tick(number);
    group.cluster.settle();
  }
  const NodeId leader = group.cluster.leader();
  CHECK_NE(leader, NodeId(1));
  CHECK(group.node(1).role() != Role::kLeader);
  group.cluster.step(leader, Propose{{{ProposalId(99), Buffer::copy("x")}}});
  group.cluster.settle();
  CHECK_EQ(group.cluster.oracle().committed(), group.cluster.core(leader)->last().index);
}

// --- Thesis chapter 5 (compaction) and 6 (clients), where the core holds them ---

TEST_CASE(
    "thesis 5.1: a snapshot names the last entry it covers, with its own term, and the group") {
  Group group;
  group.propose("x");
  group.cluster.settle();
  const SnapshotMeta meta = group.node(1).snapshot_meta(LogIndex(2));
  CHECK((meta.last == LogPosition{LogIndex(2), Term(1)}));
  CHECK((meta.configuration == group.node(1).configuration()));
}

TEST_CASE(
    "thesis 5.1: what a follower still needs of the log is not forgotten while it is in the tail") {
  Options options = small();
  options.tail_entries = 5;
  Group group(3, options);
  group.isolate(3);
  for (int i = 0; i < 4; ++i) group.propose("x");
  group.cluster.settle();
  group.cluster.compact(NodeId(1));
  group.cluster.heal();
  int offers = 0;
  group.cluster.on_output = [&](const Cluster::Server&, const Output& output) {
    offers += static_cast<int>(output.snapshots_to_send.size());
  };
  group.tick(1, 2);
  group.cluster.settle();
  CHECK_EQ(offers, 0);
  CHECK((group.node(3).last() == group.node(1).last()));
}

TEST_CASE("thesis 5.1: a snapshot that the log has overtaken changes nothing") {
  Group group;
  group.propose("x");
  group.cluster.settle();
  group.tick(1);
  group.cluster.settle();
  const LogPosition last = group.node(2).last();
  const Envelope envelope{group.node(1).options().group, group.member(1), group.member(2), Term(1)};
  bool restored = false;
  group.cluster.on_output = [&](const Cluster::Server&, const Output& output) {
    restored = restored || output.restore.has_value();
  };
  group.cluster.step(NodeId(2),
                     SnapshotReceived{{envelope, group.node(1).snapshot_meta(LogIndex(2))}});
  CHECK_FALSE(restored);
  CHECK((group.node(2).last() == last));
}

TEST_CASE(
    "thesis 6.2: a leader that has lost its quorum refuses reads instead of answering from the "
    "past") {
  Group group;
  group.isolate(1);
  group.cluster.step(NodeId(1), ReadIndex{ReadId(1)});
  size_t refused = 0;
  group.cluster.on_output = [&](const Cluster::Server&, const Output& output) {
    refused += output.refused_reads.size();
  };
  group.tick(1, 11);
  CHECK_EQ(refused, 1u);
  CHECK(group.reads.empty());
}

TEST_CASE("thesis 6.3: every proposal is accepted or refused once, in the step that takes it") {
  Group group;
  size_t accepted = 0, refused = 0;
  group.cluster.on_output = [&](const Cluster::Server&, const Output& output) {
    accepted += output.accepted.size();
    refused += output.refused.size();
  };
  Propose three{{{ProposalId(1), Buffer::copy("a")},
                 {ProposalId(2), Buffer::copy("b")},
                 {ProposalId(3), Buffer::copy("c")}}};
  group.cluster.step(NodeId(1), three);
  CHECK_EQ(accepted, 3u);
  group.cluster.step(NodeId(2), three);
  CHECK_EQ(refused, 3u);
}

TEST_CASE("thesis 6.4: reads that come while a round is under way share the next one") {
  Group group;
  for (uint64_t id = 1; id <= 100; ++id) group.cluster.step(NodeId(1), ReadIndex{ReadId(id)});
  CHECK_EQ(group.cluster.network().size(), 2u);  // one heartbeat to each
  group.cluster.settle();
  CHECK_EQ(group.reads.size(), 100u);
  CHECK_EQ(group.progress(2).read_round, ReadRound(2));
}

}  // namespace
}  // namespace dogfs::raft
