#pragma once
// AppendLog: one replica of an append block on a disk: its entries in order, durable in batches,
// one write and one sync each, however many wait. Owned by AppendLogs, which spawns run(); shared
// with whoever uses it; one thread.
//
// Promises. What length() counts is durable. Once seal() returned, nothing of a lower epoch is ever
// taken, after any crash. A failed write or sync is final: every later call that would change the
// log gives its error, and what is there is found at the next open; but a full disk only refuses
// what waits. What was damaged does not open: such a replica has lost what it promised and must not
// be asked how long the block is. Whoever gives up waiting (is cancelled) disturbs nobody; what he
// asked for may happen.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/append_recovery.h"
#include "core/chunk/append_requests.h"
#include "core/chunk/directory_sync.h"
#include "core/env/disk.h"
#include "core/env/env.h"
#include "core/env/event.h"

namespace dogfs::chunk {

class AppendLog {
 public:
  // Makes the file, durably with its name; in place of one that was never acknowledged. `names` are
  // those of the directory. kNoSpace, kIo: it may turn up at a restart.
  static Task<Result<std::shared_ptr<AppendLog>>> create(Env& env, DirectorySync& names,
                                                         std::string directory,
                                                         AppendOrigin origin);
  // Reads all of it (README.md), and makes durable what is good; its name is. kNotFound; kCorrupt,
  // kUnsupported, kNoSpace, kIo.
  static Task<Result<std::shared_ptr<AppendLog>>> open(Env& env, std::string directory,
                                                       ShardIdentity identity);

  // Writes and syncs what is appended; ends when it has failed or is closed. Spawn it once. When it
  // is cancelled the log is closed.
  static Task<> run(std::shared_ptr<AppendLog> self);
  // Until run() has ended, so that nothing of this log touches the file any more.
  Task<> ended() { return ended_.wait(); }

  const AppendOrigin& origin() const { return origin_; }
  uint64_t length() const { return durable_length_; }  // of the block
  Epoch sealed() const { return sealed_; }             // 0: not
  size_t entries() const { return places_.size(); }
  bool has_failed() const { return failure_.has_value(); }
  bool is_idle() const { return waiting_.empty() && to_seal_ <= sealed_ && witnessed_; }
  // Ends run(); refuses everything from here on.
  void close();

  // The next entries of the primary with this epoch and activation; returns when they are durable.
  // One that is here already is acknowledged again. kPrecondition: sealed, of another primary, or
  // not the next one; kCorrupt; kExists: another entry is in its place; kUnavailable: too much
  // waits; kTooLarge: the block is full; kNoSpace, kIo. After an error the first of them may be
  // kept all the same.
  Task<Result<void>> append(std::vector<Buffer> entries, Epoch epoch, uint64_t activation);
  // Refuses everything of a lower epoch from here on; gives the length. Repeated, also with a lower
  // epoch, it gives the length that there is.
  Task<Result<uint64_t>> seal(Epoch epoch);
  // The next entries, of a sealed log that lacks some. Errors as append.
  Task<Result<void>> catch_up(std::vector<Buffer> entries);

  // Exactly `length` bytes of the block, verified. kInvalid beyond the end; kTooLarge over
  // kShardReadBytesMax; kCorrupt, kIo.
  Task<Result<Buffer>> read(uint64_t offset, size_t length);
  // Entries from the one that begins at `offset` of the block, one at least and at most
  // kAppendBatchBytesMax bytes of them; nothing at the end. kInvalid: none begins there; kCorrupt,
  // kIo.
  Task<Result<std::vector<Buffer>>> entries_from(uint64_t offset);
  // Of the entries within the first `length` bytes. kInvalid: there are fewer; kCorrupt, kIo.
  Task<Result<AppendRequests>> requests(uint64_t length);

  // Reads from the disk all that was durable when it was called; for scrubbing. `pause` is told of
  // the bytes after each read and may take its time. kCorrupt, kIo.
  using Pause = AppendPause;
  Task<Result<void>> verify(Pause pause = {});
  // verify() found damage: it takes no more entries of its primary (the error). What is good is
  // still read, and it can be sealed and catch up, but others should say how long the block is.
  void condemn(Error damage);
  bool damaged() const { return damage_.has_value(); }
  // Called when somebody reads what is damaged.
  void when_in_doubt(std::function<void()> doubt) { doubt_ = std::move(doubt); }

 private:
  struct Waiting {
    Buffer entry;
    AppendEntryHeader header;
  };
  AppendLog(Env& env, std::string path, AppendOrigin origin);
  Task<Result<void>> secure(AppendScan scan);
  Result<void> check_next(const AppendEntryHeader& header);
  Task<Result<void>> take_all(std::vector<Buffer> entries);
  Result<size_t> take(Buffer entry);
  const AppendEntryHeader& header_of(size_t index) const;
  Task<Result<void>> wait_until_durable(size_t index, uint32_t checksum);
  Task<> write_loop();
  Task<Result<void>> write_seal();
  Task<Result<void>> write_batch();
  Task<> write_witness();
  void fail_with(Error error);
  void refuse(bool the_seal, Error error);
  std::optional<size_t> index_at(uint64_t offset) const;
  size_t last_together(size_t first) const;
  Task<Result<std::vector<Buffer>>> read_entries(size_t first, size_t last);
  Error found_damage(uint64_t position) const;
  Task<Result<void>> verify_header();
  bool match_entries(uint64_t at, ByteView entries, size_t first, size_t last) const;
  size_t match_batches(uint64_t at, ByteView bytes, size_t& next) const;

  Env& env_;
  const std::string path_;
  const AppendOrigin origin_;
  std::unique_ptr<File> file_;
  std::vector<AppendPlace> places_;    // of durable entries
  uint64_t end_ = kAppendHeaderBytes;  // where the next batch goes, over a witness
  uint64_t durable_length_ = 0;
  uint64_t taken_length_ = 0;  // with what waits
  Epoch sealed_;
  Epoch sealing_;  // asked for; nothing lower is taken from then on
  Epoch to_seal_;  // to be written, unless that was refused
  bool witnessed_ = true;
  std::deque<Waiting> waiting_;  // being written included
  size_t waiting_bytes_ = 0;
  std::optional<Error> failure_;
  std::optional<Error> damage_;
  std::function<void()> doubt_;
  Error refusal_{Code::kNoSpace, ""};  // of what was refused last
  uint64_t refusals_ = 0;
  Event changed_;
  Event work_;
  Event ended_;
};

}  // namespace dogfs::chunk
