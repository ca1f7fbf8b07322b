#include "sim/check/raft_safety.h"

#include <algorithm>

#include "core/base/digest.h"

namespace dogfs::sim {
namespace {

uint64_t payload_digest(const raft::Entry& entry) {
  return Digest().add(static_cast<uint64_t>(entry.kind)).add(entry.payload.text()).value();
}

// A log is refused to grow the ledger beyond this: an index that is that far off is nonsense.
constexpr uint64_t kLedgerEntriesMax = 10'000'000;

}  // namespace

std::optional<Term> RaftSafety::Mirror::term_at(uint64_t index) const {
  if (index <= base || index > base + terms.size()) return std::nullopt;
  return terms[index - base - 1];
}

void RaftSafety::started(const raft::Member& member) { mirrors_.erase(member); }

void RaftSafety::stepped(const Seen& seen, const raft::Log& log) {
  highest_term_ = std::max(highest_term_, seen.term);
  note_log(seen.member, log);
  note_snapshot(seen.member, log.snapshot().last);
  if (seen.role == raft::Role::kLeader) note_leader(seen, log);
}

void RaftSafety::note_leader(const Seen& seen, const raft::Log& log) {
  const auto [known, is_new] = leaders_.try_emplace(seen.term, seen.member);
  if (known->second != seen.member)
    violations_.add(Oracle::kElectionSafety, "term {} has two leaders, {} and {}", seen.term,
                    known->second, seen.member);
  if (!is_new) return;
  // Section 5.4: by log matching the newest committed entry of an earlier term stands for all
  // before it; a few more are looked at in case log matching itself is broken.
  constexpr int kLookBack = 64;
  int looked_at = 0;
  for (size_t i = ledger_.size(); i-- > 0 && looked_at < kLookBack;) {
    const auto& entry = ledger_[i];
    if (!entry || entry->term >= seen.term) continue;
    if (entry->index < log.first_index()) break;
    ++looked_at;
    if (log.term_at(entry->index) == entry->term) continue;
    violations_.add(Oracle::kLeaderCompleteness,
                    "{} leads term {} without the entry {} that was committed", seen.member,
                    seen.term, entry->position());
    return;
  }
}

void RaftSafety::note_log(const raft::Member& member, const raft::Log& log) {
  Mirror& mirror = mirrors_[member];
  const uint64_t first = log.first_index().value;
  const uint64_t last = log.last().index.value;
  if (mirror.base + mirror.terms.size() == last && mirror.term_at(last) == log.last().term) return;

  std::deque<Term> fresh;
  uint64_t index = last;
  for (; index >= first; --index) {
    const raft::Entry* entry = log.at(LogIndex(index));
    if (entry == nullptr || mirror.term_at(index) == entry->term) break;
    note_entry(member, log, *entry);
    fresh.push_front(entry->term);
  }
  if (mirror.term_at(index)) {
    mirror.terms.resize(index - mirror.base);
  } else {
    mirror = {.base = index, .terms = {}};
  }
  mirror.terms.insert(mirror.terms.end(), fresh.begin(), fresh.end());
}

// What a snapshot ends with was committed, so the ledger knows its term.
void RaftSafety::note_snapshot(const raft::Member& member, const raft::LogPosition& last) {
  if (last.index.value == 0 || last.index.value > ledger_.size()) return;
  const auto& known = ledger_[last.index.value - 1];
  if (!known || known->term == last.term) return;
  violations_.add(Oracle::kLogMatching, "the snapshot of {} ends with {}, committed was {}", member,
                  last, known->position());
}

void RaftSafety::note_entry(const raft::Member& member, const raft::Log& log,
                            const raft::Entry& entry) {
  const Known seen{.payload = payload_digest(entry),
                   .before = log.term_at(entry.index.prev()),
                   .first_seen_at = member};
  const auto [known, is_new] = entries_.try_emplace({entry.index, entry.term}, seen);
  if (is_new) return;
  if (known->second.payload != seen.payload)
    violations_.add(Oracle::kLogMatching, "entry {} differs between {} and {}", entry.position(),
                    known->second.first_seen_at, member);
  if (!known->second.before) known->second.before = seen.before;
  if (seen.before && known->second.before != seen.before)
    violations_.add(Oracle::kLogMatching, "before entry {} stands term {} at {}, term {} at {}",
                    entry.position(), *known->second.before, known->second.first_seen_at,
                    *seen.before, member);
}

void RaftSafety::committed(const raft::Member& member, const raft::Entry& entry) {
  const uint64_t index = entry.index.value;
  if (index == 0 || index > kLedgerEntriesMax) {
    violations_.add(Oracle::kCommittedLedger, "{} committed index {}", member, index);
    return;
  }
  if (ledger_.size() < index) ledger_.resize(index);
  auto& known = ledger_[index - 1];
  if (!known) known = entry;
  if (known->term == entry.term && known->kind == entry.kind && known->payload == entry.payload)
    return;
  violations_.add(Oracle::kCommittedLedger,
                  "{} committed {} ({} bytes) where {} ({} bytes) was committed before", member,
                  entry.position(), entry.payload.size(), known->position(), known->payload.size());
}

void RaftSafety::applied(const raft::Member& member, LogIndex index, uint64_t digest) {
  if (index.value == 0 || index.value > kLedgerEntriesMax) return;
  if (digests_.size() < index.value) digests_.resize(index.value);
  uint64_t& known = digests_[index.value - 1];
  if (known == 0) known = digest;
  if (known != digest)
    violations_.add(Oracle::kStateDigest,
                    "at index {} the state of {} has digest {:016x}, not {:016x}", index, member,
                    digest, known);
}

}  // namespace dogfs::sim
