#pragma once
// The benchmark of failover: a local cluster of its own and one client that writes without pause.
// Each round kills the metadata leader with SIGKILL and takes the time until the next write
// succeeds, as that client sees it; then the killed server comes back.

#include <cstdint>
#include <filesystem>

#include "core/base/error.h"

namespace dogfs::tool {

class Output;

struct FailoverBenchOptions {
  std::filesystem::path directory;  // empty: a temporary one
  uint32_t rounds = 10;
};

// Reports a line for every round and a summary; leaves nothing behind, as run_meta_bench.
Result<void> run_failover_bench(Output& output, const FailoverBenchOptions& options, int& signal);

}  // namespace dogfs::tool
