#include "tools/dogfs/bench/bench_commands.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "tools/dogfs/bench/data_bench.h"
#include "tools/dogfs/bench/namespace_bench.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {

void add_bench_commands(CLI::App& app, Output& output) {
  CLI::App& bench = *app.add_subcommand("bench", "Measure this build on this machine");
  bench.require_subcommand(1);

  CLI::App& data = *bench.add_subcommand(
      "data", "Put and get bytes through a local cluster, beside the null system");
  auto options = std::make_shared<DataBenchOptions>();
  output.add_json_option(data);
  data.add_option("--dir", options->directory, "A new directory for all of it; else a temporary");
  data.add_option("--size", options->bytes, "Bytes of each round, as in 256MiB; else 1GiB")
      ->transform(CLI::AsSizeValue(false));
  data.add_option("--clients", options->files, "Stored and read as so many files at once")
      ->check(CLI::Range(1, 64));
  data.add_option("--rounds", options->rounds, "Of put and get, systems alternating; else 3")
      ->check(CLI::Range(1, 100));
  data.callback([&output, options] {
    int signal = 0;
    if (auto done = run_data_bench(output, *options, signal); !done) output.error(done.error());
    if (signal != 0) output.set_exit_code(kSignalled + signal);
  });

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

}  // namespace dogfs::tool
