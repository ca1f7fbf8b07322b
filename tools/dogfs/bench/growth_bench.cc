#include "tools/dogfs/bench/growth_bench.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include <nlohmann/json.hpp>

#include "core/env/env.h"
#include "nodes/client/client.h"
#include "tools/dogfs/bench/bench_cluster.h"
#include "tools/dogfs/bench/process_usage.h"
#include "tools/dogfs/bench/server_figures.h"
#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/held_signals.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

// What follows the file of a snapshot (the log is cut, old files go) counts as part of it.
constexpr auto kAfterSnapshot = std::chrono::milliseconds(300);
constexpr uint64_t kFilesToReturn = 100'000;
constexpr double kLoadSeconds = 2;  // of one stretch of load beside something else
constexpr auto kCatchUpLimit = std::chrono::seconds(120);

// Whether any server is writing a snapshot, or was a moment ago.
class SnapshotWatch {
 public:
  // Of all but the server `gone`, whose unfinished file stays as it is.
  explicit SnapshotWatch(const LocalCluster& cluster, const std::string& gone = {}) {
    for (const auto& node : cluster.nodes())
      if (node.metadata() && node.name != gone)
        unfinished_.push_back(cluster.directory() / node.name / "data" / "snapshots" /
                              "snapshot-00000000-part");
  }
  bool look() {
    std::error_code ignored;
    const auto now = Clock::now();
    const bool writing = std::ranges::any_of(
        unfinished_, [&](const fs::path& path) { return fs::exists(path, ignored); });
    if (writing && !std::exchange(writing_, true)) ++seen_;
    if (!writing) writing_ = false;
    if (writing) last_ = now;
    return writing || now - last_ < kAfterSnapshot;
  }
  uint32_t seen() const { return seen_; }

 private:
  std::vector<fs::path> unfinished_;
  Clock::time_point last_{};
  bool writing_ = false;
  uint32_t seen_ = 0;
};

class GrowthBench {
 public:
  GrowthBench(Output& output, const GrowthBenchOptions& options, int& signal, const fs::path& place)
      : output_(output), options_(options), signal_(signal), place_(place) {}
  Result<void> run();

 private:
  Result<void> create();
  Result<void> restart();
  Result<void> fall_behind_and_return();
  Result<LocalNode> follower();
  // The log index that a server has applied; 0 while it does not answer.
  Result<uint64_t> applied(const LocalNode& node);
  Result<double> wait_until_applied(const LocalNode& node, uint64_t index);

  Output& output_;
  const GrowthBenchOptions& options_;
  int& signal_;
  const fs::path place_;
  std::unique_ptr<BenchCluster> dogfs_;
};

json latencies(const Latencies& from) {
  return {{"operations", from.operations},
          {"p50_us", from.p50_us},
          {"p99_us", from.p99_us},
          {"p999_us", from.p999_us},
          {"max_us", from.max_us}};
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Result<void> GrowthBench::create() {
  TRY_VOID(metadata_figures(dogfs_->cluster()));  // turns count from here
  SnapshotWatch watch(dogfs_->cluster());
  TRY(load, dogfs_->load(MetadataWork::kCreate, options_.in_flight, signal_));
  TRY(figures, load.run(options_.in_flight,
                        {.operations = options_.files, .apart = [&] { return watch.look(); }}));
  TRY(servers, metadata_figures(dogfs_->cluster()));
  uint64_t memory = 0;
  for (const auto& node : dogfs_->cluster().nodes())
    if (const auto pid = dogfs_->cluster().process(node).running(); pid && node.metadata())
      memory = std::max(memory, process_usage(*pid).peak_memory_bytes);
  const double ratio =
      figures.usual.p999_us > 0 ? figures.apart.p999_us / figures.usual.p999_us : 0;
  output_.object({{"bench", "growth"},
                  {"part", "create"},
                  {"files", options_.files},
                  {"in_flight", options_.in_flight},
                  {"seconds", figures.seconds},
                  {"per_second", figures.per_second()},
                  {"snapshots", watch.seen()},
                  {"outside_snapshots", latencies(figures.usual)},
                  {"during_snapshots", latencies(figures.apart)},
                  {"p999_ratio", ratio},
                  {"longest_turn_us", servers.longest_turn_us},
                  {"server_peak_bytes", memory}});
  output_.line(
      fmt::format("{} files in {:.1f} s, {:.0f}/s; {} snapshots; p99.9 {:.1f} ms, during "
                  "them {:.1f} ms ({:.2f} of it); longest turn {:.1f} ms; largest server "
                  "{} MiB",
                  options_.files, figures.seconds, figures.per_second(), watch.seen(),
                  figures.usual.p999_us / 1000, figures.apart.p999_us / 1000, ratio,
                  servers.longest_turn_us / 1000, memory / limits::kMiB));
  return {};
}

Result<LocalNode> GrowthBench::follower() {
  TRY(leader, dogfs_->leader(signal_));
  for (const auto& node : dogfs_->cluster().nodes())
    if (node.metadata() && node.name != leader.name) return node;
  return fail(Code::kNotFound, "there is no follower");
}

Task<Result<void>> ask_applied(nodes::Client& client, Address address, uint64_t& index) {
  for (const auto& server : co_await client.metadata_status())
    if (server.address == address && server.status) index = server.status->applied.value;
  co_return Result<void>();
}

Result<uint64_t> GrowthBench::applied(const LocalNode& node) {
  uint64_t index = 0;
  TRY_VOID(dogfs_->with_client(
      [&](Env&, nodes::Client& client) { return ask_applied(client, node.address, index); },
      signal_));
  return index;
}

Result<double> GrowthBench::wait_until_applied(const LocalNode& node, uint64_t index) {
  const auto start = Clock::now();
  for (;;) {
    TRY(now, applied(node));
    if (now >= index) return seconds_since(start);
    if (Clock::now() - start > kCatchUpLimit)
      return fail(Code::kDeadline, "{} has applied {} of {}", node.name, now, index);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<void> GrowthBench::restart() {
  TRY(node, follower());
  TRY(leader, dogfs_->leader(signal_));
  TRY(index, applied(leader));
  ServerProcess process = dogfs_->cluster().process(node);
  TRY_VOID(process.signal(SIGTERM));
  TRY_VOID(process.wait_until_gone(20s));
  const auto start = Clock::now();
  TRY_VOID(start_server(dogfs_->cluster(), node));
  const double listens = seconds_since(start);
  TRY_VOID(wait_until_applied(node, index));
  const double caught_up = seconds_since(start);
  output_.object({{"bench", "growth"},
                  {"part", "restart"},
                  {"files", options_.files},
                  {"listens_seconds", listens},
                  {"caught_up_seconds", caught_up}});
  output_.line(
      fmt::format("restart with {} files: listens after {:.1f} s, caught up after {:.1f} s",
                  options_.files, listens, caught_up));
  return {};
}

// Under load a server is killed, stays away until the others have forgotten the log that it needs,
// and returns.
Result<void> GrowthBench::fall_behind_and_return() {
  TRY(node, follower());
  TRY_VOID(metadata_figures(dogfs_->cluster()));
  TRY(load, dogfs_->load(MetadataWork::kCreate, options_.in_flight, signal_));
  TRY_VOID(kill_server(dogfs_->cluster(), node));
  SnapshotWatch watch(dogfs_->cluster(), node.name);
  while (watch.seen() < 2 || watch.look())
    TRY_VOID(load.run(options_.in_flight,
                      {.seconds = kLoadSeconds, .apart = [&] { return watch.look(); }}));
  TRY(before, load.run(options_.in_flight, {.seconds = kLoadSeconds}));
  TRY(leader, dogfs_->leader(signal_));
  TRY(index, applied(leader));
  const auto start = Clock::now();
  TRY_VOID(dogfs_->cluster().start(node));
  double away = 0;
  Latencies worst;
  for (uint64_t reached = 0; reached < index; away = seconds_since(start)) {
    if (away > 120) return fail(Code::kDeadline, "{} does not catch up", node.name);
    TRY(during, load.run(options_.in_flight, {.seconds = kLoadSeconds}));
    if (during.p999_us > worst.p999_us) worst = during;
    TRY(now, applied(node));
    reached = now;
  }
  output_.object({{"bench", "growth"},
                  {"part", "join"},
                  {"caught_up_seconds", away},
                  {"before", latencies(before)},
                  {"during_worst", latencies(worst)}});
  output_.line(
      fmt::format("a server that was away is back within {:.1f} s under load; p99.9 {:.1f} "
                  "ms, meanwhile at worst {:.1f} ms, at most {:.1f} ms",
                  away, before.p999_us / 1000, worst.p999_us / 1000, worst.max_us / 1000));
  return {};
}

Result<void> GrowthBench::run() {
  TRY(dogfs, BenchCluster::start(place_ / "cluster", signal_));
  dogfs_ = std::move(dogfs);
  TRY_VOID(create());
  TRY_VOID(restart());
  if (options_.files < kFilesToReturn) return {};
  return fall_behind_and_return();
}

}  // namespace

Result<void> run_growth_bench(Output& output, const GrowthBenchOptions& options, int& signal) {
  HeldSignals signals;  // outlives all that has to be cleaned up
  ::signal(SIGPIPE, SIG_IGN);
  TRY(place, Workplace::make(options.directory));
  auto done = GrowthBench(output, options, signal, place.path()).run();
  if (signal == 0) signal = signals.signal();
  return done;
}

}  // namespace dogfs::tool
