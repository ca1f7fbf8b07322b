#include "tools/dogfs/bench/bench_commands.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "tools/dogfs/bench/data_bench.h"
#include "tools/dogfs/bench/data_parts.h"
#include "tools/dogfs/bench/failover_bench.h"
#include "tools/dogfs/bench/growth_bench.h"
#include "tools/dogfs/bench/meta_bench.h"
#include "tools/dogfs/bench/namespace_bench.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

// Runs a benchmark and tells how it ended.
template <class Options>
void measure(Output& output, const Options& options,
             Result<void> (*run)(Output&, const Options&, int&)) {
  int signal = 0;
  if (auto done = run(output, options, signal); !done) output.error(done.error());
  if (signal != 0) output.set_exit_code(kSignalled + signal);
}

void add_data_bench(CLI::App& bench, Output& output) {
  CLI::App& data = *bench.add_subcommand(
      "data", "Put and get bytes through a local cluster, beside the null system");
  auto options = std::make_shared<DataBenchOptions>();
  output.add_json_option(data);
  data.add_option("--dir", options->directory, "A new directory for all of it; else a temporary");
  std::string parts;
  for (const DataPart& part : data_parts())
    parts += fmt::format("{}{}: {}", parts.empty() ? "" : "; ", part.name, part.what);
  data.add_option("--parts", options->parts, "Some of these, else all. " + parts)->delimiter(',');
  data.add_option("--size", options->bytes, "Bytes of large files, as in 256MiB; else 1GiB")
      ->transform(CLI::AsSizeValue(false));
  data.add_option("--clients", options->clients, "Of large files: a file each, at once; else 1,4")
      ->delimiter(',')
      ->check(CLI::Range(1, 64));
  data.add_option("--rounds", options->rounds, "Of large files, systems alternating; else 3")
      ->check(CLI::Range(1, 100));
  data.add_option("--gets", options->gets, "Of large files, in each round; else 1")
      ->check(CLI::Range(1, 100));
  data.add_option("--seconds", options->seconds, "Of each measurement of small ones; else 3")
      ->check(CLI::Range(0.05, 600.0));
  data.callback([&output, options] { measure(output, *options, run_data_bench); });
}

void add_meta_bench(CLI::App& bench, Output& output) {
  CLI::App& meta = *bench.add_subcommand(
      "meta", "Commit and read metadata on a local cluster, beside a null log");
  auto options = std::make_shared<MetaBenchOptions>();
  output.add_json_option(meta);
  meta.add_option("--dir", options->directory, "A new directory for all of it; else a temporary");
  meta.add_option("--against", options->against, "Takes turns with another store: etcd")
      ->check(CLI::IsMember({"etcd"}));
  meta.add_option("--seconds", options->seconds, "Of each measurement; else 2")
      ->check(CLI::Range(0.05, 600.0));
  meta.add_option("--rounds", options->rounds, "Of all measurements; else 1")
      ->check(CLI::Range(1, 100));
  meta.add_option("--in-flight", options->in_flight, "Else 1,8,64,256,1024")->delimiter(',');
  meta.add_option("--operations", options->operations, "Else renew,create,stat,list,rename")
      ->delimiter(',')
      ->check(CLI::IsMember({"renew", "create", "stat", "list", "rename"}));
  meta.callback([&output, options] { measure(output, *options, run_meta_bench); });
}

void add_failover_bench(CLI::App& bench, Output& output) {
  CLI::App& failover = *bench.add_subcommand(
      "failover", "Kill the metadata leader and take the time until a write succeeds");
  auto options = std::make_shared<FailoverBenchOptions>();
  output.add_json_option(failover);
  failover.add_option("--dir", options->directory,
                      "A new directory for all of it; else a temporary");
  failover.add_option("--rounds", options->rounds, "Leaders killed; else 10")
      ->check(CLI::Range(1, 1000));
  failover.callback([&output, options] { measure(output, *options, run_failover_bench); });
}

void add_growth_bench(CLI::App& bench, Output& output) {
  CLI::App& growth = *bench.add_subcommand(
      "growth", "Create many files; what snapshots, restarts and returns cost then");
  auto options = std::make_shared<GrowthBenchOptions>();
  output.add_json_option(growth);
  growth.add_option("--dir", options->directory, "A new directory for all of it; else a temporary");
  growth.add_option("--files", options->files, "Else 1000000")->check(CLI::Range(1, 100'000'000));
  growth.add_option("--in-flight", options->in_flight, "Else 64")->check(CLI::Range(1, 4096));
  growth.callback([&output, options] { measure(output, *options, run_growth_bench); });
}

void add_namespace_bench(CLI::App& bench, Output& output) {
  CLI::App& names = *bench.add_subcommand(
      "namespace", "Apply commands to the metadata state machine alone, and count its memory");
  auto shape = std::make_shared<NamespaceBenchOptions>();
  output.add_json_option(names);
  names.add_option("--files", shape->files, "So many files; else a million")
      ->check(CLI::Range(1000, 100'000'000));
  names.add_option("--directories", shape->directories, "In so many directories; else 1000")
      ->check(CLI::Range(1, 100'000));
  names.callback([&output, shape] {
    if (auto done = run_namespace_bench(output, *shape); !done) output.error(done.error());
  });
}

}  // namespace

void add_bench_commands(CLI::App& app, Output& output) {
  CLI::App& bench = *app.add_subcommand("bench", "Measure this build on this machine");
  bench.require_subcommand(1);
  add_data_bench(bench, output);
  add_meta_bench(bench, output);
  add_failover_bench(bench, output);
  add_growth_bench(bench, output);
  add_namespace_bench(bench, output);
}

}  // namespace dogfs::tool
