#pragma once
// Runs the replicated map in the simulated world under faults, and says which oracles fired and
// what they had to say: those of Raft's safety (sim/check/raft_safety.h), those of the map's
// history (map_history.h), and liveness once the faults have stopped. A run is a function of its
// options.

#include <vector>

#include "core/base/time.h"
#include "sim/check/violation.h"

namespace dogfs::nodes {

struct MapChaosOptions {
  uint64_t seed = 1;
  Duration under_faults = std::chrono::seconds(20);
  bool lose_disks = false;  // a server loses its data directory and comes back blank
  // Slow, hung, full and failing disks, paused processes, drifting clocks.
  bool slow_and_failing = false;
  // Rare orders of events that faults at random would hardly ever make (map_stages.h).
  bool stages = false;
  uint64_t snapshot_after_bytes = 500;
  uint64_t tail_entries = 10;  // whoever lags further is sent a snapshot
};

struct MapChaosResult {
  // The first that fired of this oracle, or null.
  const sim::Violation* find(sim::Oracle oracle) const;

  std::vector<sim::Violation> violations;
  uint64_t acknowledged = 0;  // appends
  uint64_t reads = 0;
  uint64_t elections = 0;
  uint64_t stages = 0;     // played to their end
  uint64_t snapshots = 0;  // taken from another server
  uint64_t trace_hash = 0;
};

MapChaosResult run_map_chaos(const MapChaosOptions& options);

}  // namespace dogfs::nodes
