#include "tests/core/raft/safety_oracle.h"

namespace dogfs::raft {

void SafetyOracle::observe(const Core& core, const Output& output) {
  if (output.persist) {
    for (const Entry& entry : output.persist->entries) check_log_matching(core, entry);
  }
  if (output.role_change && output.role_change->role == Role::kLeader) check_leader(core);
  if (output.restore) {
    const LogPosition last = output.restore->last;
    const auto known = ledger_.find(last.index);
    if (known == ledger_.end() || known->second.entry.term != last.term) {
      violation("{} restores a snapshot at {} that was never committed", core.self(), last);
    }
    applied_[core.self()] = last.index;
  }
  for (const Entry& entry : output.committed) check_committed(core, entry);
  for (const ReadReady& read : output.reads) {
    if (read.index < asked_[read.id]) {
      violation("stale read: {} may read {} at {}, asked when {} was committed", core.self(),
                read.id, read.index, asked_[read.id]);
    }
  }
}

void SafetyOracle::restarted(const Core& core) { applied_[core.self()] = core.log().handed_out(); }

void SafetyOracle::check_leader(const Core& core) {
  const auto [known, first] = leaders_.emplace(core.term(), core.self());
  if (!first && known->second != core.self()) {
    violation("two leaders in term {}: {} and {}", core.term(), known->second, core.self());
  }
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
