#pragma once
// The parts of `dogfs bench data`, each of which can be run alone: a function that works on a
// DataScene, reports a line for every measurement there, and may end with a summary of its own.
// What a part needs to be there it stores itself.

#include <span>
#include <string_view>

#include "core/base/error.h"

namespace dogfs::tool {

class DataScene;

struct DataPart {
  std::string_view name;
  std::string_view what;
  Result<void> (*run)(DataScene& scene);
};

// In the order in which they run.
std::span<const DataPart> data_parts();

Result<void> run_large_part(DataScene& scene);
Result<void> run_small_part(DataScene& scene);
Result<void> run_range_part(DataScene& scene);
Result<void> run_degraded_part(DataScene& scene);
Result<void> run_append_part(DataScene& scene);

}  // namespace dogfs::tool
