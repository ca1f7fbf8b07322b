#pragma once
// The benchmark of metadata: a local cluster of its own (3 metadata servers, one chunk server to
// make it a cluster), closed loops of so many operations under way, and the null log beside it;
// with `against`, another store takes turns, too. Seconds of a shared machine say little: read the
// ratios, the CPU time and the syncs for each operation.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace dogfs::tool {

class Output;

struct MetaBenchOptions {
  std::filesystem::path directory;  // empty: a temporary one
  std::string against;              // "", "etcd"
  double seconds = 2;               // of each measurement, after half as long unmeasured
  uint32_t rounds = 1;
  std::vector<uint32_t> in_flight{1, 8, 64, 256, 1024};
  std::vector<std::string> operations{"renew", "create", "stat", "list", "rename"};
};

// Reports a line for every measurement, and with `against` a summary of ratios. Leaves nothing
// behind, also when SIGINT, SIGTERM or SIGHUP ends it: that, or 0, goes to `signal`. Must run
// before this process has any thread.
Result<void> run_meta_bench(Output& output, const MetaBenchOptions& options, int& signal);

}  // namespace dogfs::tool
