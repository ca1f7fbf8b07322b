#pragma once
// The benchmark of bytes: a local cluster of its own (3 metadata and 6 chunk servers, rs-4-2) and
// the null system, on the same disk, taking turns. Seconds of a shared machine say little: read the
// ratio, the CPU time and the syncs. Its parts (data_parts.h) can be run alone.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/limits.h"

namespace dogfs::tool {

class Output;

struct DataBenchOptions {
  std::filesystem::path directory;      // empty: a temporary one
  std::vector<std::string> parts;       // empty: all
  uint64_t bytes = limits::kGiB;        // of large files, all clients together
  std::vector<uint32_t> clients{1, 4};  // of the large files
  uint32_t rounds = 3;                  // of large transfers, systems alternating
  uint32_t gets = 1;                    // of large files, of each round
  double seconds = 3;                   // of each measurement of small operations
};

// Reports a line for every measurement and summaries. Leaves nothing behind, also when SIGINT,
// SIGTERM or SIGHUP ends it: that, or 0, goes to `signal`. Must run before this process has any
// thread.
Result<void> run_data_bench(Output& output, const DataBenchOptions& options, int& signal);

}  // namespace dogfs::tool
