#include "sim/check/floors.h"

namespace dogfs::sim {

// ".effect" counts what changed something somebody saw.
const std::vector<Floor>& floors() {
  static const std::vector<Floor> kFloors = {
      {"operations.done", 300'000},
      {"elections", 2'000},
      {"census_shards", 300'000},
  };
  return kFloors;
}

std::vector<Shortfall> below_floors(const Tally& tally, uint64_t seeds) {
  std::vector<Shortfall> shortfalls;
  if (seeds < kFloorSeedsMin) return shortfalls;
  for (const Floor& floor : floors()) {
    const auto found = tally.find(floor.figure);
    const uint64_t reached = found == tally.end() ? 0 : found->second;
    const uint64_t demanded = floor.per_thousand_seeds * seeds / 1000;
    if (reached < demanded) shortfalls.push_back({floor.figure, reached, demanded});
  }
  return shortfalls;
}

}  // namespace dogfs::sim
