#pragma once
// Availability: while a majority of the metadata servers is well, somebody who asks is answered. It
// is judged between disturbances: each time that a server goes, comes, or is heard worse or better,
// the group gets time to elect and clients to find the leader; from then on until the next
// disturbance no gap between answers may be longer. What counts is any answer of the group,
// refusals included. Pure.

#include <vector>

#include "core/base/time.h"
#include "sim/check/history.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

struct Disturbance {
  Instant when{};
  bool well = true;  // from now on a majority is
  // An operator's doing: leadership may move, but answers go on.
  bool by_hand = false;
};

// A leader that a majority hears stays: kLiveness for each election between two disturbances that
// came later than `settled_within` after the first. Returns for how long, in sum, leaders had to
// stay.
struct StabilityRules {
  Instant from{}, until{};
  Duration settled_within{};
};
Duration check_stability(const std::vector<Disturbance>& disturbances,
                         const std::vector<Instant>& elections, const StabilityRules& rules,
                         Violations& violations);

struct AvailabilityRules {
  uint32_t client = 0;  // whose operations count: one that asks all the time, and no fault touches
  Instant from{}, until{};
  Duration answered_within{};
};

// kLiveness for each gap. Returns for how long, in sum, answers were demanded.
Duration check_availability(const std::vector<Disturbance>& disturbances, const History& history,
                            const AvailabilityRules& rules, Violations& violations);

}  // namespace dogfs::sim
