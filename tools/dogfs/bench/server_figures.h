#pragma once
// What the servers of a local cluster have used so far: CPU time as the kernel counts it, and what
// they write to their usage files when SIGUSR1 asks for it (tools/dogfs/server_commands.cc).

#include <cstdint>
#include <vector>

#include <sys/types.h>

#include "core/base/error.h"
#include "tools/dogfs/local_cluster.h"

namespace dogfs::tool {

struct ServerFigures {
  double cpu_us = 0;
  uint64_t syncs = 0;
  double longest_turn_us = 0;  // of any server's event loop, since figures were asked for last
};

// What one server has used, metadata or chunk.
struct NodeFigures {
  pid_t pid = 0;
  bool metadata = false;
  double cpu_us = 0;
  uint64_t syncs = 0;
  uint64_t copied_bytes = 0;       // from one piece of memory to another
  uint64_t peak_memory_bytes = 0;  // resident, since forget_peak()
};

// Of every server that runs. kDeadline when one does not answer.
Result<std::vector<NodeFigures>> all_figures(const LocalCluster& cluster);
// Of the cluster's metadata servers together. kDeadline when one does not answer.
Result<ServerFigures> metadata_figures(const LocalCluster& cluster);
// CPU time only, of any processes.
double cpu_us_of(const std::vector<pid_t>& pids);

}  // namespace dogfs::tool
