#pragma once
// TimedWork: closed loops of real clients against a local cluster: each client repeats an operation
// and begins the next when the last has ended. Blocks until all have ended; what they moved and how
// long each operation took comes out. For benchmarks of the data path, where the client is part of
// what is measured.

#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/error.h"
#include "core/env/task.h"
#include "tools/dogfs/local_cluster.h"

namespace dogfs::nodes {
class Client;
}

namespace dogfs::tool {

struct Timed {
  double seconds = 0;
  uint64_t bytes = 0;                // of files
  std::vector<double> latencies_us;  // of each operation
  uint64_t client_copied_bytes = 0;  // from one piece of memory to another
  uint64_t operations() const { return latencies_us.size(); }
  double mib() const;
  // The latency that a share of the operations did not exceed; 0 without any.
  double quantile_us(double share) const;
};

// The bytes of files that it moved. `turn` counts the operations of one worker.
using Operation =
    std::function<Task<Result<uint64_t>>(nodes::Client& client, uint32_t worker, uint64_t turn)>;

struct Effort {
  uint32_t clients = 1;
  uint64_t turns = 0;  // of each client; 0: as many as end within `seconds`
  double seconds = 0;
  std::function<void()> at_end = {};  // when all have ended, while the clients are still there
};

// The first error of an operation ends all. `signal`: that of an interruption, or 0.
Result<Timed> run_clients(const LocalCluster& cluster, const Effort& effort,
                          const Operation& operation, int& signal);

}  // namespace dogfs::tool
