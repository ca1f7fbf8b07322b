#pragma once
// Snapshot files: the state of one group at one log index, with a head of opaque bytes (term,
// members), kept so that the log before it can go. Drawn in README.md.
//
// SnapshotWriter takes the state piece by piece into a file of another name, which becomes a
// snapshot only when all of it is durable: a crash at any point leaves the earlier one.
// SnapshotFile reads any part of a published one, each chunk verified, so it can be streamed to a
// peer and resumed anywhere. Wrong bytes are kCorrupt, never returned, and so are those that the
// disk cannot read.

#include <memory>
#include <string>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/ids.h"
#include "core/env/disk.h"

namespace dogfs {
class Env;
}

namespace dogfs::wal {

// Whose snapshots, and where they lie.
struct SnapshotPlace {
  std::string directory;
  ClusterId cluster;
  StoreId store;
  GroupId group;
};

// After an error a writer can only be discarded; what was published before is untouched.
class SnapshotWriter {
 public:
  // Begins a snapshot at `index`, in place of any unfinished one. Creates the directory if it is
  // missing. Errors: kTooLarge (the head), kNoSpace, kIo.
  static Task<Result<std::unique_ptr<SnapshotWriter>>> begin(Env& env, SnapshotPlace place,
                                                             LogIndex index, std::string head);
  // The next bytes of the state.
  Task<Result<void>> append(Buffer bytes);
  // Bytes taken so far: where the next piece of a stream must begin.
  uint64_t size() const { return size_; }
  // Makes it the newest snapshot; durable when this returns success. Nothing may follow.
  Task<Result<void>> publish();
  // Removes the unfinished file.
  Task<Result<void>> discard();

 private:
  SnapshotWriter(Env& env, SnapshotPlace place, LogIndex index);
  Task<Result<void>> write(std::string bytes);
  Task<Result<void>> write_chunk();

  Env& env_;
  const SnapshotPlace place_;
  const LogIndex index_;
  std::unique_ptr<File> file_;
  uint64_t end_ = 0;  // of the file
  uint64_t synced_ = 0;
  uint64_t size_ = 0;  // of the state
  uint64_t chunks_ = 0;
  std::string pending_;  // less than a chunk
};

class SnapshotFile {
 public:
  // The snapshot at `index`. Its head and length are verified here, its chunks when read. Errors:
  // kNotFound, kCorrupt, kUnsupported, kPrecondition (of another store), kIo.
  static Task<Result<std::unique_ptr<SnapshotFile>>> open(Env& env, SnapshotPlace place,
                                                          LogIndex index);
  LogIndex index() const { return index_; }
  const std::string& head() const { return head_; }
  uint64_t size() const { return size_; }
  // Up to `length` bytes of the state, at most kSnapshotPieceBytes; fewer only at its end.
  Task<Result<Buffer>> read(uint64_t offset, size_t length);
  // Reads every chunk.
  Task<Result<void>> verify();

 private:
  SnapshotFile(SnapshotPlace place, LogIndex index, std::unique_ptr<File> file);
  Task<Result<void>> read_head();
  Task<Result<void>> read_trailer();
  Task<Result<Buffer>> read_chunk(uint64_t chunk);

  const SnapshotPlace place_;
  const LogIndex index_;
  std::unique_ptr<File> file_;
  std::string head_;
  uint64_t chunks_begin_ = 0;
  uint64_t size_ = 0;
};

// The indexes of the group's published snapshots, oldest first.
Task<Result<std::vector<LogIndex>>> list_snapshots(Env& env, SnapshotPlace place);
// The newest snapshot whose every byte is right; damaged ones are reported in the log and left
// alone. Errors: kNotFound (there never was one), kCorrupt (there is no good one), and those of
// SnapshotFile::open.
Task<Result<std::unique_ptr<SnapshotFile>>> open_newest_snapshot(Env& env, SnapshotPlace place);
// Removes the group's snapshots below `keep`.
Task<Result<void>> remove_snapshots_below(Env& env, SnapshotPlace place, LogIndex keep);

}  // namespace dogfs::wal
