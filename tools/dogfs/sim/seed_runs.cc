#include "tools/dogfs/sim/seed_runs.h"

#include <charconv>

#include "core/base/mutation.h"
#include "sim/run/swarm.h"
#include "tools/dogfs/sim/worker_pool.h"

namespace dogfs::tool {
namespace {

constexpr uint64_t kTwiceEvery = 10;
constexpr uint64_t kSeedsMax = 10'000'000;

bool parse_number(std::string_view text, uint64_t& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return error == std::errc() && end == text.data() + text.size();
}

uint64_t mutant_visits() {
#ifdef DOGFS_MUTANTS
  return mutation::visits();
#else
  return 0;
#endif
}

// In a worker.
std::string run_one(const SeedRunsOptions& options, uint64_t seed) {
  plant(options.mutant);
  const sim::Scenario scenario = scenario_of(options, seed);
  RunLine line{.result = sim::run_scenario(scenario, seed, {}), .mutant_visits = 0};
  line.mutant_visits = mutant_visits();
  if (seed % kTwiceEvery == 0 && options.mutant.empty()) {
    const auto again = sim::run_scenario(scenario, seed, {});
    if (again.trace_hash != line.result.trace_hash)
      line.result.violations.push_back(
          {sim::Oracle::kDeterminism, fmt::format("trace hash {:016x}, then {:016x}",
                                                  line.result.trace_hash, again.trace_hash)});
  }
  return format_run(line);
}

}  // namespace

Result<SeedRange> SeedRange::parse(std::string_view text) {
  SeedRange range;
  const size_t dots = text.find("..");
  const bool one = dots == std::string_view::npos;
  const bool right = parse_number(text.substr(0, dots), range.first) &&
                     parse_number(one ? text : text.substr(dots + 2), range.last);
  if (!right || range.first > range.last || range.size() > kSeedsMax)
    return fail(Code::kInvalid, "\"{}\" is no range of seeds: write 1..1000, or one number", text);
  return range;
}

void plant([[maybe_unused]] const std::string& mutant) {
#ifdef DOGFS_MUTANTS
  mutation::plant(mutant);
#endif
}

void Totals::add(const sim::RunResult& result) {
  ++seeds;
  failed += result.ok() ? 0 : 1;
  events += result.events;
  simulated += result.simulated;
  for (const auto& [name, count] : result.tally) figures[name] += count;
}

sim::Scenario scenario_of(const SeedRunsOptions& options, uint64_t seed) {
  return options.scenario ? *options.scenario : sim::draw_scenario(seed);
}

Result<Totals> run_seeds(const SeedRunsOptions& options, const RunEnded& ended) {
  const auto began = std::chrono::steady_clock::now();
  Totals totals;
  const auto job_ended = [&](uint64_t seed, const Result<std::string>& text) {
    auto line = text ? parse_run(*text) : Result<RunLine>(crashed_run(seed, text.error()));
    if (!line) line = crashed_run(seed, line.error());
    totals.add(line->result);
    return ended(*line);
  };
  TRY_VOID(run_jobs(
      {.workers = options.workers, .first = options.seeds.first, .last = options.seeds.last},
      [&](uint64_t seed) { return run_one(options, seed); }, job_ended));
  totals.real = std::chrono::steady_clock::now() - began;
  return totals;
}

}  // namespace dogfs::tool
