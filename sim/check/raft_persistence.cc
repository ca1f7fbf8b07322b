#include "sim/check/raft_persistence.h"

namespace dogfs::sim {
namespace {

// `later` takes back what `earlier` promised.
bool takes_back(const raft::HardState& earlier, const raft::HardState& later) {
  if (later.term != earlier.term) return later.term < earlier.term;
  return earlier.voted_for && later.voted_for != earlier.voted_for;
}

}  // namespace

void RaftPersistence::started(const Seen& seen, const raft::Log& log) {
  lives_.erase(seen.member);
  const auto found = confirmed_.find(seen.member);
  if (found == confirmed_.end()) return;
  ++restarts_judged_;
  const Confirmed& before = found->second;
  if (takes_back(before.state, seen.state))
    violations_.add(Oracle::kPersistence,
                    "{} restarts in term {} with a vote for {}; confirmed was term {}, {}",
                    seen.member, seen.state.term, seen.state.voted_for, before.state.term,
                    before.state.voted_for);
  const bool forgotten = before.last.index < log.first_index().prev();
  const bool there = forgotten || log.term_at(before.last.index) == before.last.term;
  if (!there)
    violations_.add(Oracle::kPersistence, "{} restarts with a log up to {}; {} was confirmed",
                    seen.member, log.last(), before.last);
}

void RaftPersistence::stepped(const Seen& seen, const raft::Log& log) {
  const auto [life, is_new] = lives_.try_emplace(seen.member);
  if (!is_new) check_life(seen, log, life->second);
  life->second = {seen.state, seen.role, log.commit(), log.last().index};
  confirm(seen, log);
}

void RaftPersistence::check_life(const Seen& seen, const raft::Log& log, const Life& before) {
  if (takes_back(before.state, seen.state))
    violations_.add(Oracle::kPersistence, "{} goes from term {}, vote for {}, to term {}, {}",
                    seen.member, before.state.term, before.state.voted_for, seen.state.term,
                    seen.state.voted_for);
  if (log.commit() < before.commit)
    violations_.add(Oracle::kPersistence, "the commit index of {} falls from {} to {}", seen.member,
                    before.commit, log.commit());
  const bool leads_on = before.role == raft::Role::kLeader && seen.role == before.role &&
                        seen.state.term == before.state.term;
  if (leads_on && log.last().index < before.last)
    violations_.add(Oracle::kPersistence, "{} leads term {} and shortens its log from {} to {}",
                    seen.member, seen.state.term, before.last, log.last().index);
}

// Entries are confirmed one by one, whatever else is under way; what is being overwritten, or
// replaced by a snapshot, may still be there after a crash, or not: it counts no more.
void RaftPersistence::confirm(const Seen& seen, const raft::Log& log) {
  Confirmed& confirmed = confirmed_[seen.member];
  const LogIndex durable = log.durable();
  const auto term = log.term_at(durable);
  if (term)
    confirmed.last = {durable, *term};
  else if (durable < confirmed.last.index)
    confirmed.last = raft::LogPosition();
  if (seen.all_durable) confirmed.state = seen.state;
}

}  // namespace dogfs::sim
