#include "tools/dogfs/bench/data_scene.h"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "nodes/client/client.h"
#include "tools/dogfs/allocator.h"
#include "tools/dogfs/bench/process_usage.h"
#include "tools/dogfs/bench/server_figures.h"
#include "tools/dogfs/held_signals.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

// Operations below this are counted one by one, larger ones by their MiB.
constexpr uint64_t kSmallBytes = limits::kMiB;

// Adds what servers used between two looks. One that was started anew meanwhile counts from then.
void add_used(Measured& measured, const std::vector<NodeFigures>& before,
              const std::vector<NodeFigures>& after) {
  for (const NodeFigures& now : after) {
    const auto was = std::ranges::find(before, now.pid, &NodeFigures::pid);
    const NodeFigures start = was == before.end() ? NodeFigures{} : *was;
    (now.metadata ? measured.metadata_cpu_us : measured.chunk_cpu_us) += now.cpu_us - start.cpu_us;
    measured.syncs += static_cast<double>(now.syncs - start.syncs);
    measured.copied_bytes += now.copied_bytes - start.copied_bytes;
    uint64_t& peak = now.metadata ? measured.metadata_peak_bytes : measured.chunk_peak_bytes;
    peak = std::max(peak, now.peak_memory_bytes);
  }
}

double rate(const Measured& measured) {
  return static_cast<double>(measured.timed.bytes) / measured.timed.seconds;
}

std::string text_of(const Label& label) {
  const bool small = label.bytes < kSmallBytes;
  return fmt::format("{} {} {}{}", label.operation,
                     label.bytes / (small ? limits::kKiB : limits::kMiB), small ? "KiB" : "MiB",
                     label.condition.empty() ? "" : fmt::format(", {}", label.condition));
}

}  // namespace

DataScene::DataScene(Output& output, const DataBenchOptions& options, LocalCluster& cluster,
                     NullSystem& null_system, HeldSignals& signals, int& signal)
    : output_(output),
      options_(options),
      cluster_(cluster),
      null_system_(null_system),
      signals_(signals),
      signal_(signal) {}

Result<void> DataScene::go_on() {
  if (signal_ == 0) signal_ = signals_.signal();
  if (signal_ != 0) return fail(Code::kUnavailable, "interrupted");
  return {};
}

Result<Measured> DataScene::run(const Effort& effort, const Operation& operation) {
  TRY_VOID(go_on());
  TRY(before, all_figures(cluster_));
  for (const NodeFigures& node : before) forget_peak(node.pid);
  give_back_freed_memory();
  forget_peak(::getpid());
  const uint64_t client_before = process_usage(::getpid()).cpu_us;
  Measured measured;
  {
    const HeldSignals::Released released;
    auto timed = run_clients(cluster_, effort, operation, signal_);
    if (signal_ == 0 && !timed) return fail(std::move(timed).error());
    if (timed) measured.timed = *std::move(timed);
  }
  TRY_VOID(go_on());
  const ProcessUsage client = process_usage(::getpid());
  measured.client_cpu_us = static_cast<double>(client.cpu_us - client_before);
  measured.client_peak_bytes = client.peak_memory_bytes;
  measured.copied_bytes = measured.timed.client_copied_bytes;
  TRY(after, all_figures(cluster_));
  add_used(measured, before, after);
  return measured;
}

Result<Measured> DataScene::run_null(const std::function<Result<Timed>()>& work, double syncs) {
  TRY_VOID(go_on());
  for (const pid_t pid : null_system_.processes()) forget_peak(pid);
  forget_peak(::getpid());
  const uint64_t client_before = process_usage(::getpid()).cpu_us;
  const double sinks_before = cpu_us_of(null_system_.processes());
  Measured measured;
  TRY(timed, work());
  const ProcessUsage client = process_usage(::getpid());
  measured.client_cpu_us = static_cast<double>(client.cpu_us - client_before);
  measured.client_peak_bytes = client.peak_memory_bytes;
  measured.chunk_cpu_us = cpu_us_of(null_system_.processes()) - sinks_before;
  for (const pid_t pid : null_system_.processes())
    measured.chunk_peak_bytes =
        std::max(measured.chunk_peak_bytes, process_usage(pid).peak_memory_bytes);
  measured.syncs = syncs * static_cast<double>(timed.operations());
  measured.timed = std::move(timed);
  return measured;
}

double DataScene::report(const Label& label, const Measured& measured, const Measured* null) {
  std::optional<double> ratio;
  if (null != nullptr) ratio = rate(measured) / rate(*null);
  write("dogfs", label, measured, ratio);
  return ratio.value_or(0);
}

void DataScene::report_null(const Label& label, const Measured& measured) {
  write("null", label, measured, std::nullopt);
}

void DataScene::write(std::string_view system, const Label& label, const Measured& measured,
                      std::optional<double> ratio) {
  const Timed& timed = measured.timed;
  const auto operations = static_cast<double>(timed.operations());
  const double servers_cpu_us = measured.chunk_cpu_us + measured.metadata_cpu_us;
  const bool small = label.bytes < kSmallBytes;
  const double share = small ? operations : timed.mib();
  json line{{"bench", "data"},
            {"part", label.part},
            {"system", system},
            {"operation", label.operation},
            {"round", label.round},
            {"bytes", label.bytes},
            {"clients", label.clients},
            {"operations", timed.operations()},
            {"seconds", timed.seconds},
            {"mib_per_s", timed.mib() / timed.seconds},
            {"per_second", operations / timed.seconds},
            {"p50_us", timed.quantile_us(0.5)},
            {"p99_us", timed.quantile_us(0.99)},
            {"client_cpu_us_per_mib", measured.client_cpu_us / timed.mib()},
            {"server_cpu_us_per_mib", servers_cpu_us / timed.mib()},
            {"client_cpu_us_per_op", measured.client_cpu_us / operations},
            {"chunk_cpu_us_per_op", measured.chunk_cpu_us / operations},
            {"metadata_cpu_us_per_op", measured.metadata_cpu_us / operations},
            {"syncs_per_op", measured.syncs / operations},
            {"client_peak_bytes", measured.client_peak_bytes},
            {"chunk_server_peak_bytes", measured.chunk_peak_bytes},
            {"metadata_server_peak_bytes", measured.metadata_peak_bytes}};
  if (!label.condition.empty()) line["condition"] = label.condition;
  if (ratio) line["ratio_to_null"] = *ratio;
  if (system == "dogfs")
    line["copied_per_byte"] =
        static_cast<double>(measured.copied_bytes) / static_cast<double>(timed.bytes);
  output_.object(line);
  const std::string speed = small ? fmt::format("{:>9.0f} op/s ", operations / timed.seconds)
                                  : fmt::format("{:>8.1f} MiB/s ", timed.mib() / timed.seconds);
  output_.line(fmt::format(
      "{:<20} {:>2} x {:<5} {} p50 {:>9.0f} us  p99 {:>9.0f} us  cpu us/{:<3} {:>6.0f} {:>6.0f}  "
      "syncs/op {:>6.2f}  MiB {:>4} {:>4}  {}{}",
      text_of(label), label.clients, system, speed, timed.quantile_us(0.5), timed.quantile_us(0.99),
      small ? "op" : "MiB", measured.client_cpu_us / share, servers_cpu_us / share,
      measured.syncs / operations, measured.client_peak_bytes / limits::kMiB,
      measured.chunk_peak_bytes / limits::kMiB,
      system == "dogfs"
          ? fmt::format("copied {:.3f}  ", static_cast<double>(measured.copied_bytes) /
                                               static_cast<double>(timed.bytes))
          : "",
      ratio ? fmt::format("{:.2f} of null", *ratio) : ""));
}

Task<Result<uint64_t>> DataScene::put(nodes::Client& client, std::string path, uint64_t bytes) {
  PatternSource source(pattern_, bytes);
  nodes::PutOptions options;
  options.size = bytes;
  CO_TRY(stored, co_await client.put(path, source, std::move(options)));
  if (stored.blocks_below_full_width > 0)
    output_.line(
        fmt::format("note: {} blocks of {} lack a shard", stored.blocks_below_full_width, path));
  co_return bytes;
}

Task<Result<uint64_t>> DataScene::get(nodes::Client& client, std::string path, uint64_t offset,
                                      uint64_t bytes) {
  PatternSink sink(pattern_, offset);
  nodes::GetOptions options;
  options.offset = offset;
  options.length = bytes;
  CO_TRY_VOID(co_await client.get(std::move(path), sink, std::move(options)));
  if (sink.size() != bytes)
    co_return fail(Code::kCorrupt, "{} of {} bytes came back", sink.size(), bytes);
  co_return bytes;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

}  // namespace dogfs::tool
