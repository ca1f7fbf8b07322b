#include "sim/check/raft_membership.h"

#include "core/raft/record.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

using raft::Configuration;
using raft::Role;

raft::Member member(uint32_t node) { return {NodeId(node), StoreId(node * 100)}; }

Configuration of(const std::vector<uint32_t>& voters, const std::vector<uint32_t>& outgoing = {}) {
  Configuration configuration;
  for (const uint32_t node : voters) configuration.voters.push_back(member(node));
  for (const uint32_t node : outgoing) configuration.outgoing.push_back(member(node));
  return configuration;
}

struct Watched {
  Violations violations;
  RaftMembership membership{violations};
  raft::Log log{{.hard_state = {}, .snapshot = {{}, of({1, 2, 3})}, .entries = {}}};

  void append(uint64_t term) {
    log.append({log.last().index.next(), Term(term), raft::EntryKind::kNoop, Buffer()});
  }
  void change(uint64_t term, const Configuration& to) {
    log.append({log.last().index.next(), Term(term), raft::EntryKind::kConfiguration,
                Buffer::take(raft::encode_configuration(to))});
  }
  void step(uint64_t term, Role role = Role::kLeader) {
    step_with(term, log.configuration(), role);
  }
  void step_with(uint64_t term, const Configuration& in_force, Role role = Role::kLeader) {
    membership.stepped(
        {.member = member(1), .role = role, .term = Term(term), .in_force = in_force}, log);
  }
  uint64_t breaches() const { return violations.count(Oracle::kQuorumIntersection); }
};

TEST_CASE("a change through a joint configuration, step by step, breaks nothing") {
  Watched watched;
  watched.step(1, Role::kCandidate);
  watched.append(1);
  watched.step(1);
  watched.log.commit_to(LogIndex(1));
  watched.step(1);
  watched.change(1, of({2, 3, 4}, {1, 2, 3}));
  watched.step(1);
  watched.log.commit_to(LogIndex(2));
  watched.change(1, of({2, 3, 4}));
  watched.step(1);
  CHECK_EQ(watched.breaches(), 0);
  CHECK_EQ(watched.membership.changes(), 2);
}

TEST_CASE("a change before an entry of the own term is committed is seen") {
  Watched watched;
  watched.step(1, Role::kCandidate);
  watched.append(1);
  watched.step(1);
  watched.change(1, of({2, 3, 4}, {1, 2, 3}));
  watched.step(1);
  CHECK_EQ(watched.breaches(), 1);
}

TEST_CASE("a change before the one before it is committed is seen") {
  Watched watched;
  watched.append(1);
  watched.log.commit_to(LogIndex(1));
  watched.step(1);
  watched.change(1, of({2, 3, 4}, {1, 2, 3}));
  watched.step(1);
  watched.append(1);
  watched.change(1, of({2, 3, 4}));
  watched.step(1);
  CHECK_EQ(watched.breaches(), 1);
}

TEST_CASE("a configuration that is not yet in force, though it was appended, is seen") {
  Watched watched;
  watched.append(1);
  watched.log.commit_to(LogIndex(1));
  watched.step(1);
  watched.change(1, of({2, 3, 4}, {1, 2, 3}));
  watched.step_with(1, of({1, 2, 3}));
  CHECK_EQ(watched.breaches(), 1);
}

TEST_CASE("voters that change without a joint configuration, or out of a joint one, are seen") {
  for (const auto& to : {of({3, 4, 5}), of({2, 3, 4}, {2, 3})}) {
    Watched watched;
    watched.append(1);
    watched.log.commit_to(LogIndex(1));
    watched.step(1);
    watched.change(1, to);
    watched.step(1);
    CHECK_EQ(watched.breaches(), 1);
  }
  Watched watched;
  watched.append(1);
  watched.log.commit_to(LogIndex(1));
  watched.step(1);
  watched.change(1, of({2, 3, 4}, {1, 2, 3}));
  watched.step(1);
  watched.log.commit_to(LogIndex(2));
  watched.change(1, of({3, 4, 5}, {2, 3, 4}));
  watched.step(1);
  CHECK_EQ(watched.breaches(), 1);
}

}  // namespace
}  // namespace dogfs::sim
