#include "tools/dogfs/sim_commands.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "sim/run/mutants.h"
#include "sim/run/scenario_json.h"
#include "tools/dogfs/output.h"
#include "tools/dogfs/sim/seed_runs.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

struct SimOptions {
  std::string scenario;  // a file; empty: drawn
  std::string seeds = "1..100";
  uint64_t seed = 1;
  uint32_t jobs = 0;  // 0: one per processor
  std::string level = "info";
  std::string mutant;             // planted in a replay; empty: none
  std::vector<std::string> only;  // of the mutants; empty: all
};

uint32_t workers_of(const SimOptions& options) {
  if (options.jobs > 0) return options.jobs;
  return static_cast<uint32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

Result<std::optional<sim::Scenario>> load_scenario(const std::string& file) {
  if (file.empty()) return std::nullopt;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return fail(Code::kNotFound, "{}: cannot be read", file);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  return sim::parse_scenario(text, file);
}

std::string replay_command(const SimOptions& options, uint64_t seed) {
  std::string command = "dogfs sim replay";
  if (!options.scenario.empty()) command += " " + options.scenario;
  command += fmt::format(" --seed {}", seed);
  if (!options.mutant.empty()) command += " --mutant " + options.mutant;
  return command;
}

double seconds(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1e9; }

// What was injected, and what it did: one row of the report.
struct FigureRow {
  std::string name;
  uint64_t count;
};

// Figures out of bounds.
struct Bounds {
  std::vector<sim::Shortfall> below, above;
  bool kept() const { return below.empty() && above.empty(); }
};

json bounds_of(const std::vector<sim::Shortfall>& figures, const char* bound) {
  json rows = json::array();
  for (const auto& figure : figures)
    rows.push_back(
        {{"figure", figure.figure}, {"reached", figure.reached}, {bound, figure.demanded}});
  return rows;
}

json summary_of(const Totals& totals, const Bounds& bounds) {
  const double real = std::max(seconds(totals.real), 1e-9);
  return {{"type", "summary"},
          {"seeds", totals.seeds},
          {"failed", totals.failed},
          {"ok", totals.failed == 0 && bounds.kept()},
          {"seconds", real},
          {"seeds_per_second", static_cast<double>(totals.seeds) / real},
          {"simulated_seconds_per_second", seconds(totals.simulated) / real},
          {"events_per_second", static_cast<double>(totals.events) / real},
          {"figures", totals.figures},
          {"below_floor", bounds_of(bounds.below, "demanded")},
          {"above_ceiling", bounds_of(bounds.above, "allowed")}};
}

void print_summary(Output& output, const Totals& totals, const Bounds& bounds) {
  const double real = std::max(seconds(totals.real), 1e-9);
  output.line("");
  output.line("  figure                            over all seeds");
  for (const auto& [name, count] : totals.figures)
    output.line(fmt::format("  {:<32} {:>15}", name, count));
  output.line("");
  output.line(
      fmt::format("{} seeds, {} failed, in {:.1f} s: {:.2f} seeds/s, {:.0f} simulated "
                  "seconds per second, {:.0f} events/s",
                  totals.seeds, totals.failed, real, static_cast<double>(totals.seeds) / real,
                  seconds(totals.simulated) / real, static_cast<double>(totals.events) / real));
  for (const auto& figure : bounds.below)
    output.line(fmt::format("below its floor: {} is {}, {} demanded", figure.figure, figure.reached,
                            figure.demanded));
  for (const auto& figure : bounds.above)
    output.line(fmt::format("above its ceiling: {} is {}, {} allowed", figure.figure,
                            figure.reached, figure.demanded));
}

void report_failure(Output& output, const SimOptions& options, const sim::RunResult& result) {
  output.line(fmt::format("seed {} FAILED", result.seed));
  for (const sim::Violation& violation : result.violations)
    output.line(fmt::format("  {}: {}", sim::oracle_name(violation.oracle), violation.text));
  output.line("  replay it: " + replay_command(options, result.seed));
}

void report_run(Output& output, const SimOptions& options, const RunLine& line) {
  if (output.json()) {
    json object = json::parse(format_run(line));
    if (!line.result.ok()) object["replay"] = replay_command(options, line.result.seed);
    output.object(object);
  } else if (!line.result.ok()) {
    report_failure(output, options, line.result);
  }
}

// A progress line on stderr, for people.
void show_progress(const Output& output, uint64_t done, uint64_t failed, uint64_t all) {
  if (output.json() || ::isatty(STDERR_FILENO) == 0) return;
  std::fprintf(stderr, "\r%llu of %llu seeds, %llu failed%s", static_cast<unsigned long long>(done),
               static_cast<unsigned long long>(all), static_cast<unsigned long long>(failed),
               done == all ? "\n" : "");
}

Result<void> run_command(Output& output, const SimOptions& options) {
  SeedRunsOptions runs;
  TRY(range, SeedRange::parse(options.seeds));
  TRY(scenario, load_scenario(options.scenario));
  runs.seeds = range;
  runs.scenario = std::move(scenario);
  runs.workers = workers_of(options);
  runs.mutant = options.mutant;
  uint64_t done = 0, failed = 0;
  TRY(totals, run_seeds(runs, [&](const RunLine& line) {
        failed += line.result.ok() ? 0 : 1;
        report_run(output, options, line);
        show_progress(output, ++done, failed, range.size());
        return true;
      }));
  // Floors are for drawn runs: a scenario stages what it stages.
  Bounds bounds;
  if (!runs.scenario) {
    bounds.below = sim::below_floors(totals.figures, totals.seeds);
    bounds.above = sim::above_ceilings(totals.figures, totals.seeds);
  }
  output.object(summary_of(totals, bounds));
  print_summary(output, totals, bounds);
  if (totals.failed > 0 || !bounds.kept()) output.set_exit_code(kFailed);
  return {};
}

LogLevel level_of(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warning") return LogLevel::kWarning;
  return LogLevel::kInfo;
}

// In this process, so that a debugger and a crash show what happens.
Result<void> replay_command_run(Output& output, const SimOptions& options) {
  SeedRunsOptions runs;
  TRY(scenario, load_scenario(options.scenario));
  runs.scenario = std::move(scenario);
  plant(options.mutant);
  const sim::Scenario replayed = scenario_of(runs, options.seed);
  for (const sim::Fault& fault : replayed.faults) output.line("planned: " + describe(fault));
  sim::RunOptions run_options;
  run_options.trace_level = level_of(options.level);
  if (!output.json()) run_options.trace = [&output](std::string_view line) { output.line(line); };
  const RunLine line{.result = sim::run_scenario(replayed, options.seed, run_options),
                     .mutant_visits = 0};
  report_run(output, options, line);
  output.line(fmt::format("seed {}: {}, trace hash {:016x}, {} events, {} operations done",
                          options.seed, line.result.ok() ? "passed" : "FAILED",
                          line.result.trace_hash, line.result.events, line.result.operations));
  if (!line.result.ok()) output.set_exit_code(kFailed);
  return {};
}

struct MutantOutcome {
  uint64_t seeds = 0;
  uint64_t killed_by_seed = 0;  // 0: it lives
  std::string oracle;           // of those meant for it, one that fired
  std::set<std::string> fired;  // all that did, on the seed that killed it
  uint64_t visits = 0;
  uint64_t fault = 0;  // how often what it needs came
};

bool is_meant(const sim::Mutant& mutant, const sim::Violation& violation) {
  return std::ranges::count(mutant.oracles, violation.oracle) > 0;
}

Result<MutantOutcome> hunt(const SimOptions& options, const SeedRange& range,
                           const sim::Mutant& mutant) {
  SeedRunsOptions runs;
  TRY(scenario, load_scenario(options.scenario));
  runs.scenario = std::move(scenario);
  runs.seeds = range;
  runs.workers = workers_of(options);
  runs.mutant = std::string(mutant.id);
  MutantOutcome outcome;
  TRY(totals, run_seeds(runs, [&](const RunLine& line) {
        outcome.visits += line.mutant_visits;
        const auto& violations = line.result.violations;
        const auto meant = std::ranges::find_if(
            violations, [&](const auto& violation) { return is_meant(mutant, violation); });
        if (meant == violations.end()) return true;
        outcome.killed_by_seed = line.result.seed;
        outcome.oracle = sim::oracle_name(meant->oracle);
        for (const auto& violation : violations)
          outcome.fired.emplace(sim::oracle_name(violation.oracle));
        return false;
      }));
  outcome.seeds = totals.seeds;
  const auto fault = totals.figures.find(mutant.needs);
  outcome.fault = fault == totals.figures.end() ? 0 : fault->second;
  return outcome;
}

void report_mutant(Output& output, const sim::Mutant& mutant, const MutantOutcome& outcome) {
  output.object({{"type", "mutant"},
                 {"id", mutant.id},
                 {"what", mutant.what},
                 {"killed", outcome.killed_by_seed > 0},
                 {"seeds", outcome.seeds},
                 {"killed_by_seed", outcome.killed_by_seed},
                 {"oracle", outcome.oracle},
                 {"oracles_fired", outcome.fired},
                 {"fault_fired", mutant.needs.empty() || outcome.fault > 0},
                 {"visits", outcome.visits},
                 {"needs", mutant.needs},
                 {"needs_count", outcome.fault}});
  const std::string verdict =
      outcome.killed_by_seed > 0
          ? fmt::format("killed after {} seeds by {} (seed {})", outcome.seeds, outcome.oracle,
                        outcome.killed_by_seed)
          : fmt::format("LIVES after {} seeds", outcome.seeds);
  output.line(fmt::format(
      "{:<7} {:<58} {}; visited {} times{}", mutant.id, mutant.what, verdict, outcome.visits,
      mutant.needs.empty() ? "" : fmt::format(", {} x {}", mutant.needs, outcome.fault)));
}

// The unmutated build must pass the seeds that a mutant was killed with.
Result<bool> clean_passes(Output& output, const SimOptions& options, const SeedRange& range) {
  SeedRunsOptions runs;
  TRY(scenario, load_scenario(options.scenario));
  runs.scenario = std::move(scenario);
  runs.seeds = range;
  runs.workers = workers_of(options);
  TRY(totals, run_seeds(runs, [&](const RunLine& line) {
        if (!line.result.ok()) report_failure(output, options, line.result);
        return true;
      }));
  output.object({{"type", "unmutated"}, {"seeds", totals.seeds}, {"failed", totals.failed}});
  output.line(
      fmt::format("without a planted bug: {} seeds, {} failed", totals.seeds, totals.failed));
  return totals.failed == 0;
}

Result<void> mutants_command(Output& output, const SimOptions& options) {
  if (!kBugsCanBePlanted)
    return fail(Code::kInvalid,
                "no bugs can be planted in this build: cmake --preset mutants && ninja -C "
                "build/mutants dogfs && build/mutants/dogfs sim mutants");
  TRY(range, SeedRange::parse(options.seeds));
  TRY(scenario, load_scenario(options.scenario));
  std::vector<std::string> only = options.only;
  if (scenario && only.empty()) only = scenario->catches;
  bool good = true;
  uint64_t last_killer = range.first;
  std::vector<const sim::Mutant*> planted = {&sim::canary()};
  for (const sim::Mutant& mutant : sim::mutants())
    if ((only.empty() && !scenario && !mutant.staged) || std::ranges::count(only, mutant.id) > 0)
      planted.push_back(&mutant);
  for (const sim::Mutant* mutant : planted) {
    TRY(outcome, hunt(options, range, *mutant));
    report_mutant(output, *mutant, outcome);
    good &= outcome.killed_by_seed > 0;
    last_killer = std::max(last_killer, outcome.killed_by_seed);
  }
  TRY(clean, clean_passes(output, options, {range.first, last_killer}));
  if (!good || !clean) output.set_exit_code(kFailed);
  return {};
}

std::set<std::string> mutant_ids() {
  std::set<std::string> ids = {std::string(sim::canary().id)};
  for (const sim::Mutant& mutant : sim::mutants()) ids.emplace(mutant.id);
  return ids;
}

using Action = Result<void> (*)(Output&, const SimOptions&);

CLI::App* add_command(CLI::App& parent, Output& output, const std::shared_ptr<SimOptions>& options,
                      const std::string& name, const std::string& what, Action action) {
  CLI::App* command = parent.add_subcommand(name, what);
  output.add_json_option(*command);
  command->callback([&output, options, action] {
    if (const auto result = action(output, *options); !result) output.error(result.error());
  });
  return command;
}

}  // namespace

void add_sim_commands(CLI::App& app, Output& output) {
  CLI::App* sim = app.add_subcommand("sim", "Run the product in the simulated world");
  sim->require_subcommand(1);
  const auto options = std::make_shared<SimOptions>();

  CLI::App* run =
      add_command(*sim, output, options, "run",
                  "Run seeds, drawn or of a scenario, and check every promise", run_command);
  run->add_option("scenario", options->scenario, "A scenario file; without one, runs are drawn");
  run->add_option("--seeds", options->seeds, "First and last seed, such as 1..1000")
      ->capture_default_str();
  run->add_option("--jobs", options->jobs, "Worker processes; 0: one per processor");

  CLI::App* replay = add_command(*sim, output, options, "replay",
                                 "Run one seed and print its trace", replay_command_run);
  replay->add_option("scenario", options->scenario, "A scenario file; without one, it is drawn");
  replay->add_option("--seed", options->seed, "The seed")->required();
  replay->add_option("--level", options->level, "Least level of the lines shown")
      ->check(CLI::IsMember({"debug", "info", "warning"}))
      ->capture_default_str();
  replay->add_option("--mutant", options->mutant, "Plant this bug (mutation build)")
      ->check(CLI::IsMember(mutant_ids()));

  CLI::App* mutants =
      add_command(*sim, output, options, "mutants",
                  "Plant known bugs and see that the oracles find them", mutants_command);
  mutants->add_option("scenario", options->scenario,
                      "A scenario file that should find them; without one, runs are drawn");
  mutants->add_option("--seeds", options->seeds, "Seeds to try each bug with")
      ->capture_default_str();
  mutants->add_option("--jobs", options->jobs, "Worker processes; 0: one per processor");
  mutants->add_option("--only", options->only, "Only these bugs, such as M1,M5, and the canary")
      ->delimiter(',')
      ->check(CLI::IsMember(mutant_ids()));
}

}  // namespace dogfs::tool
