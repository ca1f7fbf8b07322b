#pragma once
// Disk: the files of one node, below one data directory. Paths are relative to it, with '/'.
//
// What survives power loss: bytes of a file after a sync() of it that returned success and began
// after the write had completed; the name of a file after a sync_directory() of its directory. A
// rename is atomic but volatile until its directory is synced. After a failed sync nothing about
// the unsynced bytes is known, and a later sync that succeeds proves nothing about them: whoever
// sees one stops trusting the file.
//
// Operations under way at the same time happen in any order: wait for one before beginning another
// that depends on it. A cancelled operation may still happen. Errors: kNotFound, kExists, kNoSpace,
// kIo, kInvalid.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/env/task.h"

namespace dogfs {

enum class OpenMode {
  kRead,    // must exist
  kWrite,   // must exist; reads and writes
  kCreate,  // must not exist; reads and writes
  kAlways,  // created if missing; reads and writes
};

class File {
 public:
  virtual ~File() = default;  // closes; syncs nothing
  // Up to `length` bytes from `offset`; fewer only where the file ends.
  virtual Task<Result<Buffer>> read(uint64_t offset, size_t length) = 0;
  // All of `bytes`, or an error after which any part of them may have been written. A gap is zeros.
  virtual Task<Result<void>> write(uint64_t offset, Buffer bytes) = 0;
  // Makes the bytes and length of all completed writes durable (fdatasync).
  virtual Task<Result<void>> sync() = 0;
  // write() and then sync(), in one go where the world can. kNoSpace is the write's, and then
  // nothing was synced; a failed sync is kIo whatever its reason.
  virtual Task<Result<void>> write_durably(uint64_t offset, Buffer bytes);
  virtual Task<Result<void>> truncate(uint64_t size) = 0;
  // Adds zeros from `from`, where the file ends, to `to`, with blocks of the disk behind them:
  // later writes there need no more space. After an error the file may have got longer in part.
  virtual Task<Result<void>> extend(uint64_t from, uint64_t to);
  virtual Task<Result<uint64_t>> size() = 0;
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  auto operator<=>(const DirectoryEntry&) const = default;
};

struct Space {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) = 0;
  // Replaces `to` if it exists.
  virtual Task<Result<void>> rename(std::string from, std::string to) = 0;
  // A file, or an empty directory.
  virtual Task<Result<void>> remove(std::string path) = 0;
  // The names in a directory ("" is the root), sorted.
  virtual Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) = 0;
  // kExists if there is one.
  virtual Task<Result<void>> make_directory(std::string path) = 0;
  // Makes creations, renames and removals in this directory durable.
  virtual Task<Result<void>> sync_directory(std::string directory) = 0;
  virtual Task<Result<Space>> space() = 0;
};

// For worlds: what no disk takes is kInvalid. A path has no empty part, no "." or "..", no zero
// byte, and keeps to the limits on names and paths; a range ends below 2^63.
Result<void> check_disk_path(std::string_view path);
Result<void> check_disk_range(uint64_t offset, uint64_t length);

}  // namespace dogfs
