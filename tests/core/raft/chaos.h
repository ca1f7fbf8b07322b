#pragma once
// Chaos: one seeded run of a Cluster whose network drops, repeats, delays and reorders, whose disks
// write late and in part, whose servers crash, restart and lose their disks, and whose membership
// changes. Safety is checked on every step; then everything heals, or all but one server, and the
// group must make progress.

#include <cstdint>
#include <string>
#include <vector>

namespace dogfs::raft {

struct ChaosReport {
  std::vector<std::string> violations;
  uint64_t leaders = 0;
  uint64_t committed = 0;
  uint64_t crashes = 0;
  uint64_t restores = 0;
  uint64_t reads = 0;
  uint64_t lost_disks = 0;
  uint64_t changes = 0;     // configurations committed
  uint64_t joint = 0;       // of those, joint
  uint64_t progressed = 0;  // 1 if progress could be demanded
  uint64_t crippled = 0;    // 1 if it was, with one server hearing nobody or heard by nobody

  bool passed() const { return violations.empty(); }
};

ChaosReport run_chaos(uint64_t seed, uint64_t actions);

}  // namespace dogfs::raft
