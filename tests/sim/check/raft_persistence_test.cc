#include "sim/check/raft_persistence.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

using raft::Role;

raft::Member member(uint32_t node) { return {NodeId(node), StoreId(node * 100)}; }

raft::Log log_of(const std::vector<uint64_t>& terms) {
  raft::Recovered recovered;
  for (size_t i = 0; i < terms.size(); ++i)
    recovered.entries.push_back({.index = LogIndex(i + 1), .term = Term(terms[i]), .payload = {}});
  return raft::Log(std::move(recovered));
}

struct Watched {
  Violations violations;
  RaftPersistence persistence{violations};

  struct State {
    uint64_t term = 0;
    uint32_t vote = 0;
    Role role = Role::kFollower;
    bool all_durable = true;
  };
  void step(const State& state, const raft::Log& log) { persistence.stepped(seen(state), log); }
  void restart(const State& state, const raft::Log& log) { persistence.started(seen(state), log); }
  uint64_t breaches() const { return violations.count(Oracle::kPersistence); }

 private:
  static RaftPersistence::Seen seen(const State& state) {
    return {.member = member(1),
            .role = state.role,
            .state = {Term(state.term), state.vote == 0 ? raft::Member() : member(state.vote)},
            .all_durable = state.all_durable};
  }
};

TEST_CASE("a member that keeps its promises breaks nothing") {
  Watched watched;
  watched.step({.term = 1}, log_of({1}));
  watched.step({.term = 1, .vote = 2}, log_of({1, 1}));
  watched.step({.term = 2}, log_of({1, 1}));
  watched.step({.term = 2, .vote = 1, .role = Role::kLeader}, log_of({1, 1, 2}));
  watched.restart({.term = 2, .vote = 1}, log_of({1, 1, 2}));
  watched.step({.term = 3, .vote = 3}, log_of({1, 1, 2}));
  watched.step({.term = 3, .vote = 3}, log_of({1, 3}));  // overwritten by the next leader
  CHECK_EQ(watched.breaches(), 0);
  CHECK_EQ(watched.persistence.restarts_judged(), 1);
}

TEST_CASE("within a life neither the term falls nor the vote changes") {
  Watched term;
  term.step({.term = 5}, log_of({}));
  term.step({.term = 4}, log_of({}));
  CHECK_EQ(term.breaches(), 1);
  Watched vote;
  vote.step({.term = 5, .vote = 2}, log_of({}));
  vote.step({.term = 5, .vote = 3}, log_of({}));
  CHECK_EQ(vote.breaches(), 1);
  Watched taken_back;
  taken_back.step({.term = 5, .vote = 2}, log_of({}));
  taken_back.step({.term = 5}, log_of({}));
  CHECK_EQ(taken_back.breaches(), 1);
}

TEST_CASE("a leader's log does not shrink while it leads, and the commit index never falls") {
  Watched leader;
  leader.step({.term = 2, .role = Role::kLeader}, log_of({1, 2, 2}));
  leader.step({.term = 2, .role = Role::kLeader}, log_of({1, 2}));
  CHECK_EQ(leader.breaches(), 1);
  Watched commit;
  raft::Log committed = log_of({1, 1});
  committed.commit_to(LogIndex(2));
  commit.step({.term = 1}, committed);
  commit.step({.term = 1}, log_of({1, 1}));
  CHECK_EQ(commit.breaches(), 1);
}

TEST_CASE("what a disk had confirmed is missing after a restart") {
  for (const auto& [vote, terms] : {std::pair<uint32_t, std::vector<uint64_t>>{0, {1, 2}},
                                    {3, {1, 2}},
                                    {2, {1}},
                                    {2, {1, 1}}}) {
    Watched watched;
    watched.step({.term = 2, .vote = 2}, log_of({1, 2}));
    watched.restart({.term = 2, .vote = vote}, log_of(terms));
    CHECK_EQ(watched.breaches(), 1);
  }
  Watched term;
  term.step({.term = 2}, log_of({1, 2}));
  term.restart({.term = 1}, log_of({1, 2}));
  CHECK_EQ(term.breaches(), 1);
}

TEST_CASE("what no disk had confirmed may be gone after a restart") {
  Watched watched;
  watched.step({.term = 1, .vote = 1}, log_of({1}));
  raft::Log log = log_of({1});
  log.append({LogIndex(2), Term(1), raft::EntryKind::kNoop, Buffer()});
  watched.step({.term = 2, .vote = 2, .all_durable = false}, log);
  watched.restart({.term = 1, .vote = 1}, log_of({1}));
  CHECK_EQ(watched.breaches(), 0);
}

TEST_CASE("an entry that a disk had confirmed counts, though more was under way") {
  Watched watched;
  raft::Log log = log_of({1, 1});
  log.append({LogIndex(3), Term(1), raft::EntryKind::kNoop, Buffer()});
  watched.step({.term = 1, .all_durable = false}, log);
  watched.restart({}, log_of({1, 1}));
  CHECK_EQ(watched.breaches(), 0);
  watched.step({.term = 1, .all_durable = false}, log);
  watched.restart({}, log_of({1}));
  CHECK_EQ(watched.breaches(), 1);
}

TEST_CASE("entries that were being overwritten may be there after a restart or not") {
  Watched watched;
  watched.step({.term = 1}, log_of({1, 1, 1}));
  raft::Log log = log_of({1, 1, 1});
  log.truncate(LogIndex(2));
  watched.step({.term = 2, .all_durable = false}, log);
  watched.restart({.term = 1}, log_of({1}));
  CHECK_EQ(watched.breaches(), 0);
}

TEST_CASE("while a snapshot takes the place of the log, either may be there after a restart") {
  Watched watched;
  watched.step({.term = 1}, log_of({1, 1, 1}));
  raft::Log log = log_of({1, 1, 1});
  log.restore({.last = {LogIndex(9), Term(2)}, .configuration = {}});
  watched.step({.term = 2, .all_durable = false}, log);
  watched.restart({.term = 1}, log_of({1, 1, 1}));
  watched.restart({.term = 2}, log);
  CHECK_EQ(watched.breaches(), 0);
}

}  // namespace
}  // namespace dogfs::sim
