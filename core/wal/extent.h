#pragma once
// Extent: the small file beside a log that says where the log begins and ends, so that a segment
// file that is lost there is noticed as one in the middle is. Drawn in README.md.
//
// Two slots, written one after the other and in place: it never needs space once it is there, and a
// crash leaves one that is good. What depends on a change is done when both say it, so that the
// damage of either costs nothing. Owned by Wal, one call at a time.

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/env/disk.h"

namespace dogfs {
class Env;
}

namespace dogfs::wal {

struct ExtentPlace {
  std::string directory;
  ClusterId cluster;
  StoreId store;
};

// Segments, by sequence.
struct Reach {
  uint64_t first = 1;  // those before may have been deleted
  uint64_t last = 0;   // this one and all between are there

  bool operator==(const Reach&) const = default;
};

class Extent {
 public:
  // Null when there is none: of a new log, or one written before there were any. Errors, if no slot
  // is good: kCorrupt (or it cannot be read), kUnsupported, kPrecondition (of another store).
  static Task<Result<std::unique_ptr<Extent>>> open(Env& env, ExtentPlace place);
  // Durable with its name when it returns; in place of one that a crash left unfinished. kNoSpace.
  static Task<Result<std::unique_ptr<Extent>>> create(Env& env, ExtentPlace place, Reach reach);

  const Reach& reach() const { return reach_; }
  // Durable in both slots when it returns. After an error this and the reach before are possible.
  Task<Result<void>> set(Reach reach);
  // After open(): makes durable what was read, in both slots. What an earlier life failed to sync
  // may be in the page cache alone.
  Task<Result<void>> secure();

 private:
  explicit Extent(const ExtentPlace& place) : place_(place) {}
  Task<Result<void>> read_slots();
  Task<Result<void>> write_slot(uint64_t generation);
  std::string encode(uint64_t generation) const;
  Result<void> take(ByteView bytes);

  const ExtentPlace place_;
  std::unique_ptr<File> file_;
  Reach reach_;
  uint64_t generation_ = 0;  // of the newest good slot; its parity says which one that is
};

}  // namespace dogfs::wal
