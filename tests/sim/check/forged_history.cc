#include "tests/sim/check/forged_history.h"

#include "tests/doctest.h"

namespace dogfs::sim {

Violations judge_by_log(const Forged& forged) {
  Violations violations;
  check_linearizability(forged.history, forged.log, violations);
  return violations;
}

uint64_t linearizability_breaches(const Forged& forged) {
  const Violations violations = judge_by_log(forged);
  CHECK_EQ(violations.count(Oracle::kExactlyOnce), 0);
  return violations.count(Oracle::kLinearizability);
}

}  // namespace dogfs::sim
