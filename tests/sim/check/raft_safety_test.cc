// Every oracle of Raft is shown a forged bad history and must fire, and a good one and must not.
#include "sim/check/raft_safety.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

using raft::Entry;
using raft::Member;
using raft::Role;

Member member(uint32_t node) { return {NodeId(node), StoreId(node * 100)}; }

// A log whose i-th entry has the i-th term; the payload tells the term, and `twist` where it lies.
raft::Log log_of(std::vector<uint64_t> terms, uint64_t twist_index = 0) {
  raft::Recovered recovered;
  for (size_t i = 0; i < terms.size(); ++i) {
    const bool twisted = i + 1 == twist_index;
    recovered.entries.push_back(
        {.index = LogIndex(i + 1),
         .term = Term(terms[i]),
         .kind = raft::EntryKind::kNormal,
         .payload = Buffer::copy(fmt::format("{}.{}{}", i + 1, terms[i], twisted ? "!" : ""))});
  }
  return raft::Log(std::move(recovered));
}

struct Watched {
  Violations violations;
  RaftSafety safety{violations};

  void step(uint32_t node, uint64_t term, const raft::Log& log, Role role = Role::kFollower) {
    safety.stepped({.member = member(node), .role = role, .term = Term(term)}, log);
  }
  void commit(uint32_t node, const raft::Log& log, uint64_t index) {
    safety.committed(member(node), *log.at(LogIndex(index)));
  }
};

TEST_CASE("a group that behaves breaks nothing") {
  Watched watched;
  const auto log = log_of({1, 1, 2});
  watched.step(1, 1, log_of({1, 1}), Role::kLeader);
  watched.step(2, 1, log_of({1}));
  watched.step(2, 2, log, Role::kLeader);
  watched.step(1, 2, log);
  for (uint64_t i = 1; i <= 3; ++i) watched.commit(2, log, i);
  watched.commit(1, log, 1);
  watched.safety.applied(member(1), LogIndex(1), 77);
  watched.safety.applied(member(2), LogIndex(1), 77);
  watched.step(3, 3, log, Role::kLeader);
  CHECK(watched.violations.empty());
  CHECK_EQ(watched.safety.elections(), 3);
}

TEST_CASE("two leaders in one term are seen, even if the first is long dead") {
  Watched watched;
  watched.step(1, 4, log_of({}), Role::kLeader);
  watched.safety.started(member(1));
  watched.step(2, 4, log_of({}), Role::kLeader);
  CHECK_EQ(watched.violations.count(Oracle::kElectionSafety), 1);
}

TEST_CASE("the same index and term with other bytes breaks log matching") {
  Watched watched;
  watched.step(1, 1, log_of({1, 1, 1}));
  watched.step(2, 1, log_of({1, 1, 1}, 2));
  CHECK_EQ(watched.violations.count(Oracle::kLogMatching), 1);
}

TEST_CASE("the same index and term after another history breaks log matching") {
  Watched watched;
  watched.step(1, 3, log_of({1, 3}));
  watched.step(2, 3, log_of({2, 3}));
  CHECK_EQ(watched.violations.count(Oracle::kLogMatching), 1);
}

TEST_CASE("only what changed of a log is looked at again, and an overwritten tail is") {
  Watched watched;
  watched.step(1, 1, log_of({1, 1, 1}));
  watched.step(1, 2, log_of({1, 2}));
  watched.step(2, 2, log_of({1, 2}, 2));
  CHECK_EQ(watched.violations.count(Oracle::kLogMatching), 1);
}

TEST_CASE("a snapshot that names another term than was committed breaks log matching") {
  Watched watched;
  const auto log = log_of({1, 1, 2});
  watched.commit(1, log, 2);
  for (const uint64_t term : {1, 2}) {
    raft::Log compacted{raft::Recovered()};
    compacted.restore({{LogIndex(2), Term(term)}, {}});
    watched.step(2, 2, compacted);
    CHECK_EQ(watched.violations.count(Oracle::kLogMatching), term - 1);
  }
}

TEST_CASE("another entry at a committed index breaks the ledger") {
  Watched watched;
  watched.commit(1, log_of({1, 1}), 2);
  watched.commit(2, log_of({1, 2}), 2);
  CHECK_EQ(watched.violations.count(Oracle::kCommittedLedger), 1);
  watched.commit(3, log_of({1, 1}, 2), 2);
  CHECK_EQ(watched.violations.count(Oracle::kCommittedLedger), 2);
}

TEST_CASE("a leader without a committed entry of an earlier term is incomplete") {
  Watched watched;
  const auto log = log_of({1, 1});
  watched.commit(1, log, 1);
  watched.commit(1, log, 2);
  watched.step(2, 2, log_of({1, 2}), Role::kLeader);
  CHECK_EQ(watched.violations.count(Oracle::kLeaderCompleteness), 1);
  watched.step(3, 3, log_of({1}), Role::kLeader);
  CHECK_EQ(watched.violations.count(Oracle::kLeaderCompleteness), 2);
}

TEST_CASE("two digests at one index are told") {
  Watched watched;
  watched.safety.applied(member(1), LogIndex(9), 1);
  watched.safety.applied(member(2), LogIndex(9), 2);
  CHECK_EQ(watched.violations.count(Oracle::kStateDigest), 1);
}

}  // namespace
}  // namespace dogfs::sim
