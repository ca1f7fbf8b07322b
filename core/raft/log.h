#pragma once
// Log: the entries a core holds in memory, what a snapshot covers of them, and how much of them is
// durable. Owned by one Core; pure.
//
//        base                 snapshot.last    commit        durable        last
//   ------|--- kept for slow followers --|-------|--------------|-------------|
//   forgotten        first_index ...     `handed out` moves up to commit
//
// Durability is tracked by persist number and position together. Truncation takes the overwritten
// positions out of every request under way, so that its late completion never speaks for the
// entries that came in their place (etcd's "ABA of terms").

#include <deque>
#include <optional>
#include <vector>

#include "core/raft/types.h"

namespace dogfs::raft {

class Log {
 public:
  // Everything in `recovered` is durable. `commit` starts at the snapshot.
  explicit Log(Recovered recovered);

  LogPosition last() const;
  LogIndex first_index() const { return base_.index.next(); }
  LogIndex commit() const { return commit_; }
  LogIndex durable() const { return durable_; }
  const SnapshotMeta& snapshot() const { return snapshot_; }
  size_t bytes() const { return bytes_; }

  // Absent when forgotten or not there yet. The base itself is known.
  std::optional<Term> term_at(LogIndex index) const;
  bool holds(LogPosition position) const;
  // Null when forgotten or not there yet.
  const Entry* at(LogIndex index) const;
  // Entries from `first` on, at least one if there is one, then while both bounds hold.
  struct SliceBounds {
    size_t entries;
    size_t bytes;
  };
  std::vector<Entry> slice(LogIndex first, SliceBounds bounds) const;
  size_t bytes_between(LogIndex after, LogIndex up_to) const;

  // Section 5.4.1: may somebody with this last entry become the leader, as far as this log knows?
  bool is_up_to_date(LogPosition candidate_last) const;
  // The last position whose index and term are both at most those given. Never before the base.
  LogPosition last_at_most(LogPosition position) const;

  // The configuration in force: of the last configuration entry, committed or not, else of the
  // snapshot.
  const Configuration& configuration() const;
  const Configuration& configuration_at(LogIndex index) const;
  // Where the one in force stands: an entry, or the snapshot.
  LogIndex configuration_index() const { return configurations_.back().from; }

  void append(Entry entry);  // its index must be last + 1
  // Forgets `from` and everything after it. `from` must lie beyond the commit index.
  void truncate(LogIndex from);
  void commit_to(LogIndex index);  // within the log; never backwards
  // Committed entries that were not handed out before.
  std::vector<Entry> take_committed();
  LogIndex handed_out() const { return handed_out_; }

  // A snapshot of the own state: forget the log up to it, less a tail. Nothing becomes durable by
  // it: until the snapshot's record is, a restart reads the entries back, as far as they reached.
  // What is forgotten is returned: letting go of it may take long.
  std::deque<Entry> compact(const SnapshotMeta& snapshot, uint64_t tail_entries);
  // A snapshot from elsewhere takes the place of the whole log.
  void restore(const SnapshotMeta& snapshot);

  // Entries changed since the last call, to become part of persist request `number`.
  std::vector<Entry> take_unrequested(PersistNumber number);
  bool has_unrequested() const { return unrequested_from_ <= last().index; }
  void persisted(PersistNumber number);

 private:
  struct Pending {  // positions first..last become durable with `number`
    PersistNumber number;
    LogIndex first;
    LogIndex last;
  };
  struct InForce {
    LogIndex from;
    Configuration configuration;
  };

  void note_configuration(const Entry& entry);

  SnapshotMeta snapshot_;
  LogPosition base_;
  std::deque<Entry> entries_;
  size_t bytes_ = 0;
  LogIndex commit_;
  LogIndex handed_out_;
  LogIndex durable_;
  LogIndex unrequested_from_;
  std::deque<Pending> pending_;
  std::vector<InForce> configurations_;  // by index; the first is that of the snapshot
};

}  // namespace dogfs::raft
