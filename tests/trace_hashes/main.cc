// Prints the trace hash of drawn runs, "seed hash" a line. tools/determinism builds this, and not
// the whole program, in each configuration that it compares.
//
//   trace_hashes SEED...

#include <cstdint>
#include <cstdlib>

#include <fmt/core.h>

#include "sim/run/run.h"
#include "sim/run/swarm.h"

int main(int argc, char** argv) {
  using namespace dogfs::sim;
  for (int i = 1; i < argc; ++i) {
    const uint64_t seed = std::strtoull(argv[i], nullptr, 10);
    const RunResult result = run_scenario(draw_scenario(seed), seed, {});
    fmt::print("{} {:016x}\n", seed, result.trace_hash);
  }
}
