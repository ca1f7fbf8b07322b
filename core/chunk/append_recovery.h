#pragma once
// Reads the file of one replica of an append block: all of its good entries in order, where they
// end, and whether what follows is a torn tail or damage. Changes nothing.

#include <functional>
#include <vector>

#include "core/chunk/append_file.h"
#include "core/env/disk.h"
#include "core/env/task.h"

namespace dogfs::chunk {

// Where an entry lies in the file.
struct AppendPlace {
  uint64_t position = 0;  // of its header
  AppendEntryHeader header;
};

struct AppendScan {
  AppendOrigin origin;
  Epoch sealed;                     // 0: not
  std::vector<AppendPlace> places;  // of the entries, each following the one before
  uint64_t length = 0;              // of the block, as far as they go
  uint64_t end = 0;                 // of the good batches with entries
  bool witnessed = true;            // something proves that all of them were durable
  bool clean = false;               // nothing but a witness follows
  // As they were read and found good, to be written again; another read may give other bytes when
  // an earlier life failed to sync them.
  Buffer header;
  Buffer unproven;  // the last batch, unless it is witnessed
};

// kCorrupt: damaged in the middle, and what was promised there is lost; kUnsupported, kIo,
// kNotFound.
using AppendVisitor = std::function<void(const AppendEntry&)>;  // may be empty
using AppendPause = std::function<Task<>(uint64_t bytes)>;      // told what was read; may be empty
Task<Result<AppendScan>> scan_append_file(File& file, ShardIdentity identity,
                                          AppendVisitor visit = {}, AppendPause pause = {});

}  // namespace dogfs::chunk
