#include "tools/dogfs/bench/data_bench.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "core/env/nursery.h"
#include "nodes/client/client.h"
#include "tools/dogfs/bench/null_system.h"
#include "tools/dogfs/bench/pattern.h"
#include "tools/dogfs/bench/process_usage.h"
#include "tools/dogfs/bench/workplace.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/held_signals.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

constexpr uint32_t kDataShards = 4;
constexpr uint32_t kShards = 6;

// What one transfer took.
struct Measure {
  double seconds = 0;
  double client_cpu_us = 0;
  double server_cpu_us = 0;
};

struct Bench {
  Output& output;
  const DataBenchOptions& options;
  const LocalCluster& cluster;
  NullSystem& null_system;
  HeldSignals& signals;
  int& signal;  // that interrupted it
  Pattern pattern;
  std::vector<double> put_ratios;
  std::vector<double> get_ratios;
  double put_seconds_least = 1e9;
  double get_seconds_least = 1e9;

  double mib() const { return static_cast<double>(options.bytes) / limits::kMiB; }
  uint64_t file_bytes() const { return options.bytes / options.files; }
  Result<void> go_on() {
    if (signal == 0) signal = signals.signal();
    if (signal != 0) return fail(Code::kUnavailable, "interrupted");
    return {};
  }
};

std::vector<pid_t> server_pids(const LocalCluster& cluster) {
  std::vector<pid_t> pids;
  for (const auto& node : cluster.nodes())
    if (const auto pid = cluster.process(node).running()) pids.push_back(*pid);
  return pids;
}

uint64_t cpu_us(const std::vector<pid_t>& pids) {
  uint64_t sum = 0;
  for (const pid_t pid : pids) sum += process_usage(pid).cpu_us;
  return sum;
}

// `transfer` gives the seconds it took.
Result<Measure> measure(const std::vector<pid_t>& servers,
                        const std::function<Result<double>()>& transfer) {
  const uint64_t client_before = process_usage(::getpid()).cpu_us;
  const uint64_t servers_before = cpu_us(servers);
  TRY(seconds, transfer());
  return Measure{seconds, static_cast<double>(process_usage(::getpid()).cpu_us - client_before),
                 static_cast<double>(cpu_us(servers) - servers_before)};
}

std::string file_name(uint32_t round, uint32_t file) {
  return fmt::format("/bench-{}-{}", round, file);
}

using One = Task<Result<void>> (*)(nodes::Client&, Bench&, std::string);

Task<Result<void>> put_one(nodes::Client& client, Bench& bench, std::string path) {
  PatternSource source(bench.pattern, bench.file_bytes());
  CO_TRY(stored, co_await client.put(path, source, {.size = bench.file_bytes()}));
  if (stored.blocks_below_full_width > 0)
    bench.output.line(
        fmt::format("note: {} blocks of {} lack a shard", stored.blocks_below_full_width, path));
  co_return Result<void>();
}

Task<Result<void>> get_one(nodes::Client& client, Bench& bench, std::string path) {
  PatternSink sink(bench.pattern);
  CO_TRY_VOID(co_await client.get(path, sink, {}));
  if (sink.size() != bench.file_bytes())
    co_return fail(Code::kCorrupt, "{} of {} bytes came back", sink.size(), bench.file_bytes());
  co_return Result<void>();
}

Task<> keep_first_error(Task<Result<void>> task, Result<void>& result) {
  auto done = co_await std::move(task);
  if (!done && result) result = std::move(done);
}

Task<> run_files(Nursery& children, nodes::Client& client, Bench& bench, One one, uint32_t round,
                 Result<void>& result) {
  for (uint32_t file = 0; file < bench.options.files; ++file)
    children.spawn(keep_first_error(one(client, bench, file_name(round, file)), result));
  co_await children.join();
}

Task<Result<void>> run_all(Env& env, nodes::Client& client, Bench& bench, One one, uint32_t round,
                           double& seconds) {
  const Instant begin = env.now();
  Result<void> result;
  co_await nursery(env, [&](Nursery& children) {
    return run_files(children, client, bench, one, round, result);
  });
  seconds = std::chrono::duration<double>(env.now() - begin).count();
  co_return result;
}

Result<double> transfer(Bench& bench, One one, uint32_t round) {
  ClusterTarget target;
  target.metadata = bench.cluster.metadata_addresses();
  target.local = bench.cluster;
  double seconds = 0;
  TRY_VOID(bench.go_on());
  const HeldSignals::Released released;
  auto done = run_with_client(
      target.client_options(),
      [&](Env& env, nodes::Client& client) {
        return run_all(env, client, bench, one, round, seconds);
      },
      bench.signal);
  TRY_VOID(bench.go_on());
  if (!done) return fail(std::move(done).error());
  return seconds;
}

void report(Bench& bench, std::string_view system, std::string_view operation, uint32_t round,
            const Measure& taken, std::optional<double> ratio) {
  const double speed = bench.mib() / taken.seconds;
  json line{{"bench", "data"},
            {"system", system},
            {"operation", operation},
            {"round", round},
            {"bytes", bench.options.bytes},
            {"files", bench.options.files},
            {"seconds", taken.seconds},
            {"mib_per_s", speed},
            {"client_cpu_us_per_mib", taken.client_cpu_us / bench.mib()},
            {"server_cpu_us_per_mib", taken.server_cpu_us / bench.mib()}};
  if (ratio) line["ratio_to_null"] = *ratio;
  bench.output.object(line);
  bench.output.line(
      fmt::format("{:<5}  {}  {:>6.1f} s  {:>7.1f} MiB/s  CPU per MiB: client {:>6.0f} us, servers "
                  "{:>6.0f} us{}",
                  system, operation, taken.seconds, speed, taken.client_cpu_us / bench.mib(),
                  taken.server_cpu_us / bench.mib(),
                  ratio ? fmt::format("  {:.2f} of null", *ratio) : std::string()));
}

// One transfer through each system, null first.
Result<double> compare(Bench& bench, std::string_view operation, uint32_t round, One one,
                       const std::function<Result<double>()>& null_transfer,
                       std::vector<double>& ratios) {
  TRY_VOID(bench.go_on());
  TRY(null, measure(bench.null_system.processes(), null_transfer));
  report(bench, "null", operation, round, null, std::nullopt);
  TRY(real, measure(server_pids(bench.cluster), [&] { return transfer(bench, one, round); }));
  ratios.push_back(null.seconds / real.seconds);
  report(bench, "dogfs", operation, round, real, ratios.back());
  return real.seconds;
}

Result<void> run_round(Bench& bench, uint32_t round) {
  const uint64_t each = bench.options.bytes / kDataShards;
  TRY(put, compare(
               bench, "put", round, put_one, [&] { return bench.null_system.put(each); },
               bench.put_ratios));
  TRY(get, compare(
               bench, "get", round, get_one,
               [&] { return bench.null_system.get(each, kDataShards); }, bench.get_ratios));
  bench.put_seconds_least = std::min(bench.put_seconds_least, put);
  bench.get_seconds_least = std::min(bench.get_seconds_least, get);
  return {};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

uint64_t peak_bytes(const LocalCluster& cluster, bool metadata) {
  uint64_t peak = 0;
  for (const auto& node : cluster.nodes())
    if (node.metadata() == metadata)
      if (const auto pid = cluster.process(node).running())
        peak = std::max(peak, process_usage(*pid).peak_memory_bytes);
  return peak;
}

// Syncs by all servers, which have ended, for each file that was put.
Result<double> syncs_per_put(const Bench& bench) {
  uint64_t syncs = 0;
  for (const auto& node : bench.cluster.nodes()) {
    std::ifstream file(bench.cluster.usage_file(node));
    const json usage = json::parse(file, nullptr, false);
    if (!usage.is_object()) return fail(Code::kIo, "{} did not end in order", node.name);
    syncs += usage.value("syncs", uint64_t{0});
  }
  return static_cast<double>(syncs) / (bench.options.rounds * bench.options.files);
}

Result<void> summarize(Bench& bench) {
  const double put = bench.mib() / bench.put_seconds_least;
  const double get = bench.mib() / bench.get_seconds_least;
  const uint64_t client = process_usage(::getpid()).peak_memory_bytes;
  const uint64_t chunk = peak_bytes(bench.cluster, false);
  const uint64_t metadata = peak_bytes(bench.cluster, true);
  TRY_VOID(bring_down(bench.cluster, [](const LocalNode&, const std::string&) {}));
  TRY(syncs, syncs_per_put(bench));
  const double null_syncs = static_cast<double>(kShards) / bench.options.files;
  bench.output.object({{"bench", "data"},
                       {"summary", true},
                       {"put_mib_per_s_best", put},
                       {"get_mib_per_s_best", get},
                       {"put_ratio_to_null_median", median(bench.put_ratios)},
                       {"get_ratio_to_null_median", median(bench.get_ratios)},
                       {"client_peak_bytes", client},
                       {"chunk_server_peak_bytes", chunk},
                       {"metadata_server_peak_bytes", metadata},
                       {"server_syncs_per_put", syncs},
                       {"null_syncs_per_put", null_syncs}});
  bench.output.line(
      fmt::format("put {:.1f} MiB/s, {:.2f} of null; get {:.1f} MiB/s, {:.2f} of null", put,
                  median(bench.put_ratios), get, median(bench.get_ratios)));
  bench.output.line(fmt::format(
      "peak memory: client {} MiB, largest chunk server {} MiB, largest metadata server {} MiB",
      client / limits::kMiB, chunk / limits::kMiB, metadata / limits::kMiB));
  bench.output.line(fmt::format("syncs for each put: {:.1f}, null {:.1f}", syncs, null_syncs));
  return {};
}

}  // namespace

Result<void> run_data_bench(Output& output, const DataBenchOptions& options, int& signal) {
  if (options.bytes < options.files)
    return fail(Code::kInvalid, "--size {}: give at least one byte for each file", options.bytes);
  HeldSignals signals;         // outlives all that has to be cleaned up
  ::signal(SIGPIPE, SIG_IGN);  // a sink, or whoever reads the output, that ended is an error
  TRY(place, Workplace::make(options.directory));
  TRY(null_system, NullSystem::start(place.path(), kShards));
  TRY(cluster, LocalCluster::create(place.path() / "cluster", {}));
  const Up up(cluster);
  TRY_VOID(bring_up(cluster, [](const LocalNode&, const std::string&) {}));
  Bench bench{output, options, cluster, null_system, signals, signal, {}, {}, {}};
  for (uint32_t round = 1; round <= options.rounds; ++round) TRY_VOID(run_round(bench, round));
  return summarize(bench);
}

}  // namespace dogfs::tool
