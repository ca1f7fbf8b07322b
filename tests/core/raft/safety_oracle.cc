#include "tests/core/raft/safety_oracle.h"

#include "core/raft/quorum.h"
#include "core/raft/record.h"

namespace dogfs::raft {
namespace {

// Whether any two majorities meet, found by trying all.
bool always_meet(const Configuration& a, const Configuration& b) {
  Configuration both = a;
  for (const Member& member : b.members()) both.learners.push_back(member);
  const std::vector<Member> all = both.members();
  for (uint64_t chosen = 0; chosen < uint64_t{1} << all.size(); ++chosen) {
    std::set<Member> some, rest;
    for (size_t i = 0; i < all.size(); ++i) (chosen >> i & 1 ? some : rest).insert(all[i]);
    const bool apart = is_quorum(a, [&](const Member& m) { return some.contains(m); }) &&
                       is_quorum(b, [&](const Member& m) { return rest.contains(m); });
    if (apart) return false;
  }
  return true;
}

}  // namespace

void SafetyOracle::observe(const Core& core, const Output& output) {
  for (const Entry& entry : output.committed) {
    if (!output.restore) check_committed(core, entry);
  }
  if (output.persist) note_writes(core, *output.persist);
  if (output.role_change && output.role_change->role == Role::kLeader) check_leader(core);
  if (output.restore) {
    const LogPosition last = output.restore->last;
    const auto known = ledger_.find(last.index);
    if (known == ledger_.end() || known->second.entry.term != last.term) {
      violation("{} restores a snapshot at {} that was never committed", core.self(), last);
    }
    applied_[core.self()] = last.index;
    restored_[core.self()] = last.index;
    for (const Entry& entry : output.committed) check_committed(core, entry);
  }
  check_commit_quorum(core);
  in_force_[core.self()] = core.log().configuration();
  for (const ReadReady& read : output.reads) {
    if (read.index < asked_[read.id]) {
      violation("stale read: {} may read {} at {}, asked when {} was committed", core.self(),
                read.id, read.index, asked_[read.id]);
    }
  }
}

void SafetyOracle::restarted(const Core& core) {
  applied_[core.self()] = commits_[core.self()] = core.log().handed_out();
  in_force_[core.self()] = core.log().configuration();
  if (!core.last().index && !core.log().configuration().empty()) {
    configurations_[{}] = core.log().configuration();
  }
}

void SafetyOracle::note_writes(const Core& core, const PersistRequest& request) {
  if (request.hard_state && request.hard_state->voted_for) {
    votes_[request.hard_state->term][core.self()] = request.hard_state->voted_for;
  }
  for (const Entry& entry : request.entries) {
    check_log_matching(core, entry);
    holders_[{entry.index, entry.term}].insert(core.self());
  }
}

// An election is won by a quorum of the configuration that the winner's log ends with.
void SafetyOracle::check_election_quorum(const Core& core) {
  const auto& votes = votes_[core.term()];
  const bool won = is_quorum(core.log().configuration(), [&](const Member& voter) {
    const auto vote = votes.find(voter);
    return vote != votes.end() && vote->second == core.self();
  });
  if (!won) {
    violation("quorum: {} leads term {} without a majority of {}", core.self(), core.term(),
              describe(core.log().configuration()));
  }
}

// An entry is committed when a quorum of the configuration in force holds it: of the one that the
// leader's log ended with, committed or not.
void SafetyOracle::check_commit_quorum(const Core& core) {
  const LogIndex before = std::exchange(commits_[core.self()], core.commit());
  if (core.role() != Role::kLeader || core.commit() <= before) return;
  const LogPosition position{core.commit(), core.log().term_at(core.commit()).value_or(Term())};
  const auto& holders = holders_[{position.index, position.term}];
  const bool held = is_quorum(in_force_[core.self()], [&](const Member& voter) {
    return holders.contains(voter) || restored_[voter] >= position.index;
  });
  if (!held) {
    violation("quorum: {} commits {} without a majority of {}", core.self(), position,
              describe(in_force_[core.self()]));
  }
}

// One change at a time: a configuration follows one that is committed, and any majority of one
// meets any majority of the other.
void SafetyOracle::check_configuration(const Core& core, const Entry& entry) {
  const Log& log = core.log();
  if (entry.index <= log.snapshot().last.index) return;
  const auto next = decode_configuration(entry.payload.view());
  if (!next) return violation("{} writes no configuration at {}", core.self(), entry.position());
  configurations_[{entry.index, entry.term}] = *next;
  const Configuration& before = log.configuration_at(entry.index.prev());
  if (!always_meet(before, *next)) {
    violation("quorum: {} goes from {} to {}", core.self(), describe(before), describe(*next));
  }
  const Entry* earlier = log.at(entry.index.prev());
  while (earlier && earlier->kind != EntryKind::kConfiguration) {
    earlier = log.at(earlier->index.prev());
  }
  if (!earlier) return;  // of the snapshot
  const auto committed = ledger_.find(earlier->index);
  if (committed == ledger_.end() || committed->second.entry.term != earlier->term) {
    violation("quorum: {} follows {} with {}, which was not committed", core.self(),
              earlier->position(), entry.position());
  }
}

std::vector<Configuration> SafetyOracle::live_configurations() const {
  LogIndex last;
  for (const auto& [index, committed] : ledger_) {
    if (committed.entry.kind == EntryKind::kConfiguration) last = index;
  }
  std::vector<Configuration> live;
  for (const auto& [position, configuration] : configurations_) {
    if (position.first >= last) live.push_back(configuration);
  }
  return live;
}

void SafetyOracle::check_leader(const Core& core) {
  const auto [known, first] = leaders_.emplace(core.term(), core.self());
  if (!first && known->second != core.self()) {
    violation("two leaders in term {}: {} and {}", core.term(), known->second, core.self());
  }
  if (first) check_election_quorum(core);
  for (const auto& [index, committed] : ledger_) {
    if (committed.seen_in >= core.term() || index < core.log().first_index()) continue;
    if (core.log().term_at(index) != committed.entry.term) {
      return violation("leader completeness: {} leads term {} without {}", core.self(), core.term(),
                       committed.entry.position());
    }
  }
}

// By induction over the log: equal index and term, so equal entry and equal predecessor.
void SafetyOracle::check_log_matching(const Core& core, const Entry& entry) {
  const Term previous = core.log().term_at(entry.index.prev()).value_or(Term());
  const auto [known, first] =
      written_.emplace(std::pair(entry.index, entry.term), Written{entry, previous});
  if (first && entry.kind == EntryKind::kConfiguration) check_configuration(core, entry);
  if (first) return;
  if (known->second.previous != previous || known->second.entry != entry) {
    violation("log matching: {} has another {} (after term {}, not {})", core.self(),
              entry.position(), previous, known->second.previous);
  }
}

void SafetyOracle::check_committed(const Core& core, const Entry& entry) {
  LogIndex& applied = applied_[core.self()];
  if (entry.index != applied.next()) {
    violation("{} applies {} after {}", core.self(), entry.index, applied);
  }
  applied = entry.index;
  const auto [known, first] = ledger_.emplace(entry.index, Committed{entry, core.term()});
  if (!first && known->second.entry != entry) {
    violation("committed ledger: {} commits {}, another had {}", core.self(), entry.position(),
              known->second.entry.position());
  }
}

}  // namespace dogfs::raft
