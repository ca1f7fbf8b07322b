#pragma once
// SeedRuns: a range of seeds over worker processes, summed up. Every tenth seed is run twice, and
// its two trace hashes must be equal.

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/check/floors.h"
#include "sim/run/scenario.h"
#include "tools/dogfs/sim/run_line.h"

namespace dogfs::tool {

struct SeedRange {
  uint64_t first = 1;
  uint64_t last = 100;
  // "1..1000" or "7". kInvalid.
  static Result<SeedRange> parse(std::string_view text);
  uint64_t size() const { return last - first + 1; }
};

struct SeedRunsOptions {
  SeedRange seeds;
  uint32_t workers = 1;
  std::optional<sim::Scenario> scenario;  // absent: drawn from each seed
  std::string mutant;                     // to plant, in the mutation build
};

struct Totals {
  uint64_t seeds = 0;
  uint64_t failed = 0;
  uint64_t events = 0;
  Duration simulated{};
  sim::Tally figures;
  std::chrono::steady_clock::duration real{};

  void add(const sim::RunResult& result);
};

// Plants a bug in this process ("" none); nothing in a build without them.
#ifdef DOGFS_MUTANTS
inline constexpr bool kBugsCanBePlanted = true;
#else
inline constexpr bool kBugsCanBePlanted = false;
#endif
void plant(const std::string& mutant);

// Told of each run as it ends; false: enough.
using RunEnded = std::function<bool(const RunLine& line)>;

Result<Totals> run_seeds(const SeedRunsOptions& options, const RunEnded& ended);

// The scenario of one seed.
sim::Scenario scenario_of(const SeedRunsOptions& options, uint64_t seed);

}  // namespace dogfs::tool
