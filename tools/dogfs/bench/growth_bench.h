#pragma once
// The benchmark of many files: creates them on a local cluster of its own and looks at what large
// states cost: commits while snapshots are written, the longest turn of an event loop, memory, the
// restart of a server, and (with 100,000 files or more) a server that was away and is sent a
// snapshot under load.

#include <cstdint>
#include <filesystem>

#include "core/base/error.h"

namespace dogfs::tool {

class Output;

struct GrowthBenchOptions {
  std::filesystem::path directory;  // empty: a temporary one
  uint64_t files = 1'000'000;
  uint32_t in_flight = 64;
};

// Reports a line for each part; leaves nothing behind, as run_meta_bench. Signals wait until it is
// over.
Result<void> run_growth_bench(Output& output, const GrowthBenchOptions& options, int& signal);

}  // namespace dogfs::tool
