#pragma once
// The benchmark of the metadata state machine alone, without log, disk or network: what a million
// files cost in memory, and how fast commands are applied. Files have names of 24 bytes that sort
// anyhow and one rs-4-2 block, and are made as clients make them: four commands each. The
// yardstick, in the same run, is a std::map that is given the same rows.

#include <cstdint>

#include "core/base/error.h"

namespace dogfs::tool {

class Output;

struct NamespaceBenchOptions {
  uint32_t files = 1'000'000;
  uint32_t directories = 1000;
};

// Reports one line for each kind of file and of work, and a summary.
Result<void> run_namespace_bench(Output& output, const NamespaceBenchOptions& options);

}  // namespace dogfs::tool
