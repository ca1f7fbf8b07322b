#pragma once
// Chaos: one seeded run of a Cluster whose network drops, repeats, delays and reorders, whose disks
// write late and in part, and whose servers crash, restart and lose their disks. Safety is checked
// on every step; then everything heals, and the group must make progress.

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

  bool passed() const { return violations.empty(); }
};

ChaosReport run_chaos(uint64_t seed, uint64_t actions);

}  // namespace dogfs::raft
