#pragma once
// run_scenario: one run from its first event to the verdict. A function of the scenario and the
// seed: the result of two calls is equal, trace hash included, in every build and process.
//
// Phases: the cluster forms; clients load it while faults come; the faults end and the load goes
// on; the load ends and everything must settle within a bound; every acknowledged file is read;
// the oracles judge. A run that stops making progress ends by its bound on events.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "sim/check/floors.h"
#include "sim/check/violation.h"
#include "sim/run/scenario.h"
#include "sim/world/trace.h"

namespace dogfs::sim {

struct RunOptions {
  Trace::Sink trace;  // gets every line of the run, if given
  LogLevel trace_level = LogLevel::kInfo;
  uint64_t events_max = 60'000'000;
};

struct RunResult {
  uint64_t seed = 0;
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  Duration simulated{};
  uint64_t operations = 0;  // that were done
  std::vector<Violation> violations;
  Tally tally;                          // faults, their effects, and what the cluster went through
  std::vector<std::string> last_lines;  // of the trace

  bool ok() const { return violations.empty(); }
};

RunResult run_scenario(const Scenario& scenario, uint64_t seed, const RunOptions& options);

}  // namespace dogfs::sim
