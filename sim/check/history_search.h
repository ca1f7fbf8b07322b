#pragma once
// HistorySearch: linearizability judged a second time, from the history alone: no log, no position
// decides. A LinearizationSearch with the TreeModel as its sequential model.
//
// Herlihy and Wing: a history is linearizable if its restriction to each object is. So it is
// partitioned: paths that a rename joins are one object, directories that stay all the time belong
// to none. A listing of such a directory counts in each part with the names of that part.

#include <cstdint>
#include <vector>

#include "sim/check/history.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

struct SearchCounts {
  uint64_t parts = 0;
  uint64_t operations = 0;  // in parts that were decided
  uint64_t undecided = 0;   // parts whose search was given up
  uint64_t steps = 0;
};

// Enough for any history that is in order; more would only be spent on one that is not.
inline constexpr uint64_t kSearchStepsMax = 40'000;

// kLinearizationSearch for each part that no order explains. `hints`, by operation, say in which
// order to try them (LogIndex(0): late); without any, the positions that clients were told.
// `inline_bytes`: puts up to this length live in their inode.
struct SearchOptions {
  uint64_t inline_bytes = 0;
  uint64_t steps_max = kSearchStepsMax;
};
SearchCounts search_history(const History& history, const std::vector<LogIndex>& hints,
                            const SearchOptions& options, Violations& violations);

}  // namespace dogfs::sim
