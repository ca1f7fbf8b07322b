#pragma once
// Wal: the write-ahead log of one node, shared by all its Raft groups. Records of any group are
// taken in order and written in batches, one write and one sync each, however many wait (group
// commit). A record is durable when durable() of its ticket returned success, never before.
//
// Owned by its node, which spawns run() in its nursery. A failed write or sync is final: nothing
// of it is known any more, every later call gives kIo and the node must stop; the next open()
// finds what survived. A full disk is not: the log goes on in its reserve and says that it is short
// of space; when that is used up, the records waiting are refused with kNoSpace, and later ones are
// taken once there is space.
//
// Segments are deleted, oldest first, when release() says that no group needs their records. A
// group that is idle for long holds the segment of its last records: whoever drives the groups
// watches segments(), asks holders_of_oldest() and has those append their live records anew.

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "core/env/event.h"
#include "core/wal/recovery.h"
#include "core/wal/reserve.h"

namespace dogfs::wal {

class Wal {
 public:
  // Records that were taken, and the way to ask what became of them.
  class Ticket;

  // Reads what is there (see recover()), each record visited in order. kInvalid: segments that
  // could hold no record, or over kWalSegmentBytes.
  static Task<Result<std::unique_ptr<Wal>>> open(Env& env, Options options, Visitor visit);
  ~Wal();
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  // Writes, syncs, deletes; returns when the log has failed. Spawn it once.
  Task<> run();

  // Takes records, in order, all or none; no records are durable at once. Errors: kTooLarge (a
  // record over kWalRecordBytesMax, or too large for a segment), kUnavailable (the queue is full:
  // wait for room()), kNoSpace (the group has not yet heard of earlier records that were refused),
  // kIo (the log has failed).
  Result<Ticket> append(GroupId group, std::vector<std::string> records);
  // Waits until the ticket's records are durable: any loss of power leaves them there. kNoSpace:
  // they are not in the log (of more than one batch a prefix may be), nor is anything the group
  // appended after them; from now on it may append again, those records first. kIo: the log has
  // failed, they may be there or not.
  Task<Result<void>> durable(Ticket ticket);
  // Waits until append() would take more. kIo: never again.
  Task<Result<void>> room();

  // The group needs no record below `keep_from`. Never goes back.
  void release(GroupId group, Lsn keep_from);
  // Why the log has failed, or nothing.
  const std::optional<Error>& failure() const { return failure_; }
  Lsn last_durable() const { return durable_; }
  // The disk is full and the log lives on its reserve, if it can: growth should end.
  bool is_short_of_space() const { return reserve_.is_short_of_space(); }
  size_t segments() const { return segments_.size(); }
  std::vector<GroupId> holders_of_oldest() const;

 private:
  struct Batch;

  Wal(Env& env, Options options, Recovered recovered);

  Batch& batch_with_room(size_t bytes);
  void keep_together(const std::vector<std::string>& records);
  Task<> write_next();
  Task<Result<void>> write(std::shared_ptr<Batch> batch);
  template <class F>
  Task<Result<void>> with_reserve(uint64_t bytes, F attempt);
  Task<> refill();
  Task<> wait_for_work();
  Task<Result<void>> write_frame(Buffer frame);
  Task<Result<void>> cut_off_unless(Result<void> written);
  Task<Result<void>> begin_segment();
  Task<Result<void>> fill_new_segment(uint64_t sequence);
  Task<Result<void>> make_extent();
  Task<> mark_durable();
  Task<> delete_released();
  bool oldest_is_free() const;
  SegmentIdentity identity() const;
  void announce(Batch& batch, Result<void> result);
  void refuse_waiting(std::shared_ptr<Batch> written, const Result<void>& result);
  void fail_for_good(std::shared_ptr<Batch> written, const Error& error);
  size_t batch_bytes_max() const;

  Env& env_;
  const Options options_;
  std::deque<Segment> segments_;
  std::unique_ptr<File> active_;
  std::unique_ptr<Extent> extent_;
  uint64_t end_ = 0;  // of the active segment
  Lsn taken_;         // given to the latest record
  Lsn durable_;
  bool marked_;  // durable_ is written down in the log
  std::deque<std::shared_ptr<Batch>> queue_;
  size_t queued_bytes_ = 0;
  std::map<GroupId, Lsn> refused_;  // from where on; the group has not heard of it yet
  std::map<GroupId, Lsn> keep_from_;
  std::optional<Error> failure_;
  Reserve reserve_;
  Instant refill_at_{};
  Event work_;
  Event room_;
};

class Wal::Ticket {
 public:
  Lsn first() const { return first_; }
  Lsn last() const { return last_; }

 private:
  friend class Wal;
  GroupId group_;
  Lsn first_;
  Lsn last_;
  std::shared_ptr<Batch> batch_;
};

}  // namespace dogfs::wal
