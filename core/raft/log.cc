#include "core/raft/log.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/raft/record.h"

namespace dogfs::raft {

Log::Log(Recovered recovered)
    : snapshot_(std::move(recovered.snapshot)),
      base_(snapshot_.last),
      commit_(base_.index),
      handed_out_(base_.index),
      unrequested_from_(base_.index.next()) {
  configurations_.push_back({base_.index, snapshot_.configuration});
  for (Entry& entry : recovered.entries) append(std::move(entry));
  durable_ = last().index;
  unrequested_from_ = durable_.next();
}

LogPosition Log::last() const { return entries_.empty() ? base_ : entries_.back().position(); }

const Entry* Log::at(LogIndex index) const {
  if (index <= base_.index || index > last().index) return nullptr;
  return &entries_[index.value - base_.index.value - 1];
}

std::optional<Term> Log::term_at(LogIndex index) const {
  if (index == base_.index) return base_.term;
  const Entry* entry = at(index);
  return entry ? std::optional(entry->term) : std::nullopt;
}

bool Log::holds(LogPosition position) const { return term_at(position.index) == position.term; }

std::vector<Entry> Log::slice(LogIndex first, SliceBounds bounds) const {
  std::vector<Entry> entries;
  size_t bytes = 0;
  for (const Entry* entry = at(first); entry; entry = at(entry->index.next())) {
    bytes += entry_bytes(*entry);
    const bool fits = entries.size() < bounds.entries && bytes <= bounds.bytes;
    if (!entries.empty() && !fits) break;
    entries.push_back(*entry);
  }
  return entries;
}

size_t Log::bytes_between(LogIndex after, LogIndex up_to) const {
  size_t bytes = 0;
  for (LogIndex i = after.next(); i <= up_to; i = i.next()) {
    if (const Entry* entry = at(i)) bytes += entry_bytes(*entry);
  }
  return bytes;
}

bool Log::is_up_to_date(LogPosition candidate_last) const {
  const LogPosition mine = last();
  if (candidate_last.term != mine.term) return candidate_last.term > mine.term;
  return candidate_last.index >= mine.index;
}

LogPosition Log::last_at_most(LogPosition position) const {
  if (position.index < base_.index) return {position.index, Term()};
  if (position.term < base_.term) return {base_.index.prev(), Term()};
  // Terms never decrease along the log.
  const auto beyond = std::ranges::partition_point(entries_, [&](const Entry& e) {
    return e.index <= position.index && e.term <= position.term;
  });
  return beyond == entries_.begin() ? base_ : std::prev(beyond)->position();
}

const Configuration& Log::configuration() const { return configurations_.back().configuration; }

const Configuration& Log::configuration_at(LogIndex index) const {
  const auto after = std::ranges::upper_bound(configurations_, index, {}, &InForce::from);
  CHECK(after != configurations_.begin(), "configuration at {} is forgotten", index);
  return std::prev(after)->configuration;
}

void Log::append(Entry entry) {
  const LogPosition before = last();
  CHECK(entry.index == before.index.next(), "{} after {}", entry.index, before.index);
  CHECK(entry.term >= before.term, "term {} after {}", entry.term, before.term);
  if (entry.kind == EntryKind::kConfiguration) note_configuration(entry);
  bytes_ += entry_bytes(entry);
  entries_.push_back(std::move(entry));
}

void Log::note_configuration(const Entry& entry) {
  auto configuration = decode_configuration(entry.payload.view());
  CHECK(configuration.has_value(), "configuration entry {} was not validated", entry.index);
  configurations_.push_back({entry.index, *std::move(configuration)});
}

void Log::truncate(LogIndex from) {
  CHECK(from > commit_, "truncate {} would drop committed entries up to {}", from, commit_);
  while (!entries_.empty() && entries_.back().index >= from) {
    bytes_ -= entry_bytes(entries_.back());
    entries_.pop_back();
  }
  while (configurations_.size() > 1 && configurations_.back().from >= from) {
    configurations_.pop_back();
  }
  while (!pending_.empty() && pending_.back().last >= from) {
    pending_.back().last = from.prev();
    if (pending_.back().last < pending_.back().first) pending_.pop_back();
  }
  durable_ = std::min(durable_, from.prev());
  unrequested_from_ = std::min(unrequested_from_, from);
}

void Log::commit_to(LogIndex index) {
  CHECK(index <= last().index, "commit {} beyond the end {}", index, last().index);
  commit_ = std::max(commit_, index);
}

std::vector<Entry> Log::take_committed() {
  std::vector<Entry> entries;
  for (LogIndex i = handed_out_.next(); i <= commit_; i = i.next()) entries.push_back(*at(i));
  handed_out_ = commit_;
  return entries;
}

std::deque<Entry> Log::compact(const SnapshotMeta& snapshot, uint64_t tail_entries) {
  CHECK(snapshot.last.index <= handed_out_, "snapshot at {} beyond what was handed out, {}",
        snapshot.last.index, handed_out_);
  snapshot_ = snapshot;
  const uint64_t index = snapshot.last.index.value;
  const LogIndex keep_after(index > tail_entries ? index - tail_entries : 0);
  const auto kept = std::ranges::upper_bound(entries_, keep_after, {}, &Entry::index);
  if (kept != entries_.begin()) base_ = std::prev(kept)->position();
  for (auto entry = entries_.begin(); entry != kept; ++entry) bytes_ -= entry_bytes(*entry);
  std::deque<Entry> forgotten(std::make_move_iterator(kept),
                              std::make_move_iterator(entries_.end()));
  entries_.erase(kept, entries_.end());
  std::swap(forgotten, entries_);
  std::erase_if(configurations_, [&](const InForce& c) { return c.from <= snapshot.last.index; });
  configurations_.insert(configurations_.begin(), {snapshot.last.index, snapshot.configuration});
  return forgotten;
}

void Log::restore(const SnapshotMeta& snapshot) {
  CHECK(snapshot.last.index > commit_, "snapshot at {} is behind the commit index {}",
        snapshot.last.index, commit_);
  // The committed prefix stays acknowledged; the snapshot itself counts once its record is durable.
  durable_ = std::min(durable_, commit_);
  snapshot_ = snapshot;
  base_ = snapshot.last;
  entries_.clear();
  bytes_ = 0;
  pending_.clear();
  configurations_ = {{base_.index, snapshot.configuration}};
  commit_ = handed_out_ = unrequested_from_ = base_.index;
}

std::vector<Entry> Log::take_unrequested(PersistNumber number) {
  std::vector<Entry> entries;
  for (LogIndex i = unrequested_from_; i <= last().index; i = i.next()) {
    if (const Entry* entry = at(i)) entries.push_back(*entry);
  }
  if (has_unrequested()) pending_.push_back({number, unrequested_from_, last().index});
  unrequested_from_ = last().index.next();
  return entries;
}

void Log::persisted(PersistNumber number) {
  while (!pending_.empty() && pending_.front().number <= number) {
    durable_ = std::max(durable_, pending_.front().last);
    pending_.pop_front();
  }
}

}  // namespace dogfs::raft
