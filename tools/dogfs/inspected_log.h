#pragma once
// What the file of an append log says of itself: whose it is, how far its records go, and whether
// more lies behind them than a witness. Read as it is, with no server; of a log that is being
// written, the last batch may be there in part. Format: core/chunk/README.md.

#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/base/error.h"
#include "core/chunk/append_file.h"

namespace dogfs::tool {

struct InspectedLog {
  chunk::AppendOrigin origin;
  Epoch sealed;  // 0: not
  uint64_t records = 0;
  uint64_t length = 0;     // of the block, as far as the good batches go
  uint64_t end = 0;        // of these, in the file
  uint64_t rest = 0;       // bytes behind them that are neither a batch nor a witness
  bool misplaced = false;  // its name is another log's

  const char* verdict() const {
    if (misplaced) return "misplaced";
    return rest == 0 ? "whole" : "torn or damaged";
  }
};

// Nothing: it is no append log. kCorrupt, kUnsupported: one that cannot be trusted; kIo.
Result<std::optional<InspectedLog>> inspect_log(const std::filesystem::path& path);

}  // namespace dogfs::tool
