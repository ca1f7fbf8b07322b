#pragma once
// Runs the replicated map in the simulated world under faults, and says what was broken: the
// oracles that fired and what they had to say. A run is a function of its options.

#include <string>
#include <vector>

#include "core/base/time.h"

namespace dogfs::nodes {

struct MapChaosOptions {
  uint64_t seed = 1;
  Duration under_faults = std::chrono::seconds(20);
  int writes = 300;         // of each of two clients
  bool lose_disks = false;  // a server loses its data directory and comes back blank
  // Slow, hung, full and failing disks, paused processes, drifting clocks.
  bool slow_and_failing = false;
  uint64_t snapshot_after_bytes = 2000;
};

struct MapChaosResult {
  std::vector<std::string> oracles;     // that fired, sorted, each once
  std::vector<std::string> complaints;  // what they said
  int acknowledged = 0;
  uint64_t elections = 0;
  uint64_t trace_hash = 0;
};

MapChaosResult run_map_chaos(const MapChaosOptions& options);

}  // namespace dogfs::nodes
