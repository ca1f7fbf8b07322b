#pragma once
// Reading a log back after any ending of the process that wrote it: which records are there, and
// whether what is missing was a torn tail (cut off, nobody was promised it) or damage (kCorrupt,
// nothing is changed: this replica lost what it may have promised).
//
// What it hands over is durable: bytes that the process read from the page cache are written and
// synced again first, since a sync that failed in an earlier life may have dropped them.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/limits.h"
#include "core/env/disk.h"
#include "core/wal/extent.h"
#include "core/wal/segment.h"

namespace dogfs {
class Env;
}

namespace dogfs::wal {

struct Options {
  std::string directory;
  ClusterId cluster;
  StoreId store;
  uint64_t segment_bytes = limits::kWalSegmentBytes;
  uint64_t reserve_bytes = 0;  // of disk, kept for a time when it is full (reserve.h)
};

struct Record {
  GroupId group;
  Lsn lsn;
  Buffer payload;
};
// An error ends recovery with it.
using Visitor = std::function<Result<void>(const Record&)>;

// A file of the log, and until where each group's records in it reach.
struct Segment {
  uint64_t sequence = 0;
  std::map<GroupId, Lsn> last_of_group;
};

struct Recovered {
  std::vector<Segment> segments;  // oldest first; the last one is written to
  std::unique_ptr<File> active;   // null when there is no segment yet
  uint64_t end = 0;               // of the active segment
  Lsn last;
  bool marked = true;              // the log itself says that all up to `last` is durable
  std::unique_ptr<Extent> extent;  // null if there is none yet, and no space for it
};

// Creates the directory if it is missing. Errors: kCorrupt (names segment, offset and LSN; also
// what cannot be read), kIo, kNoSpace, kUnsupported, kPrecondition (another store's log), and the
// visitor's.
Task<Result<Recovered>> recover(Env& env, Options options, Visitor visit);
// Reads the records and changes nothing; they may be less durable than what recover() gives.
Task<Result<void>> inspect(Env& env, Options options, Visitor visit);

std::string segment_path(const Options& options, uint64_t sequence);

}  // namespace dogfs::wal
