#pragma once
// Floors: how much a range of seeds must have gone through to count. A simulator whose faults no
// longer fire is green for nothing; so each figure has a minimum, here, per thousand seeds, and a
// range of kFloorSeedsMin seeds or more fails below it.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dogfs::sim {

inline constexpr uint64_t kFloorSeedsMin = 100;

// Figures by name, summed over seeds: "crash", "crash.effect", "elections".
using Tally = std::map<std::string, uint64_t, std::less<>>;

struct Floor {
  std::string_view figure;
  uint64_t per_thousand_seeds;
};
std::span<const Floor> floors();

struct Shortfall {
  std::string_view figure;
  uint64_t reached;
  uint64_t demanded;
};
// Empty when the range is too short to judge.
std::vector<Shortfall> below_floors(const Tally& tally, uint64_t seeds);

// The same the other way: what an oracle gave up must stay rare, or it is green for nothing.
std::span<const Floor> ceilings();
std::vector<Shortfall> above_ceilings(const Tally& tally, uint64_t seeds);

}  // namespace dogfs::sim
