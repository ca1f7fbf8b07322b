#pragma once
// The benchmark of bytes: a local cluster of its own (3 metadata and 6 chunk servers, rs-4-2) and
// the null system, on the same disk, taking turns. Seconds of a shared machine say little: read the
// ratio, the CPU time per MiB, and the syncs (those of starting the servers are among them).

#include <cstdint>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/limits.h"

namespace dogfs::tool {

class Output;

struct DataBenchOptions {
  std::filesystem::path directory;  // empty: a temporary one
  uint64_t bytes = limits::kGiB;
  uint32_t files = 1;
  uint32_t rounds = 3;
};

// Reports a line for every transfer and a summary. Leaves nothing behind, also when SIGINT, SIGTERM
// or SIGHUP ends it: that, or 0, goes to `signal`. Must run before this process has any thread.
Result<void> run_data_bench(Output& output, const DataBenchOptions& options, int& signal);

}  // namespace dogfs::tool
