#include "tools/dogfs/bench/meta_bench.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "tools/dogfs/bench/bench_cluster.h"
#include "tools/dogfs/bench/etcd_cluster.h"
#include "tools/dogfs/bench/etcd_dialect.h"
#include "tools/dogfs/bench/null_log.h"
#include "tools/dogfs/bench/server_figures.h"
#include "tools/dogfs/held_signals.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

constexpr double kWarmUpShare = 0.5;
// Of an etcd put: about what one of our small commands has in the log.
constexpr size_t kEtcdValueBytes = 32;
constexpr MetadataWork kWorks[] = {MetadataWork::kRenew, MetadataWork::kCreate, MetadataWork::kStat,
                                   MetadataWork::kList, MetadataWork::kRename};

// What one measurement gave.
struct Measure {
  std::string system;
  std::string operation;
  uint32_t in_flight = 0;
  uint32_t round = 0;
  LoadFigures load;
  double server_cpu_us = 0;
  std::optional<uint64_t> syncs;
  std::optional<double> longest_turn_us;
};

class MetaBench {
 public:
  MetaBench(Output& output, const MetaBenchOptions& options, int& signal)
      : output_(output), options_(options), signal_(signal) {}

  Result<void> run();

 private:
  Result<void> round(uint32_t number);
  Result<void> measure_null(uint32_t in_flight, uint32_t round);
  Result<void> measure_dogfs(MetadataWork work, uint32_t in_flight, uint32_t round);
  Result<void> measure_etcd(uint32_t in_flight, uint32_t round);
  bool wanted(MetadataWork work) const {
    return std::ranges::find(options_.operations, work_name(work)) != options_.operations.end();
  }
  Result<void> go_on() {
    if (signal_ == 0) signal_ = signals_.signal();
    if (signal_ != 0) return fail(Code::kUnavailable, "interrupted");
    return {};
  }
  void report(const Measure& measure);
  void summarize() const;

  Output& output_;
  const MetaBenchOptions& options_;
  int& signal_;
  HeldSignals signals_;  // outlives all that has to be cleaned up
  std::optional<Workplace> place_;
  std::optional<NullLog> null_;
  std::unique_ptr<BenchCluster> dogfs_;
  std::optional<EtcdCluster> etcd_;
  // By system and operation, then by operations under way: per second, and p50, of each round.
  struct Series {
    std::vector<double> per_second;
    std::vector<double> p50_us;
  };
  std::map<std::string, std::map<uint32_t, Series>> series_;
};

void MetaBench::report(const Measure& measure) {
  const LoadFigures& load = measure.load;
  const auto operations = static_cast<double>(load.operations);
  json line{{"bench", "meta"},
            {"system", measure.system},
            {"operation", measure.operation},
            {"in_flight", measure.in_flight},
            {"round", measure.round},
            {"per_second", load.per_second()},
            {"p50_us", load.p50_us},
            {"p99_us", load.p99_us},
            {"p999_us", load.p999_us},
            {"max_us", load.max_us},
            {"client_cpu_us_per_op", load.client_cpu_us / operations},
            {"server_cpu_us_per_op", measure.server_cpu_us / operations}};
  if (measure.syncs) line["syncs_per_op"] = static_cast<double>(*measure.syncs) / operations;
  if (measure.longest_turn_us) line["longest_turn_us"] = *measure.longest_turn_us;
  output_.object(line);
  output_.line(fmt::format(
      "{:<5} {:<6} {:>5} under way  {:>8.0f}/s  p50 {:>7.0f} us  p99 {:>7.0f}  p99.9 {:>7.0f}  "
      "CPU us/op: client {:>5.1f} servers {:>6.1f}{}{}",
      measure.system, measure.operation, measure.in_flight, load.per_second(), load.p50_us,
      load.p99_us, load.p999_us, load.client_cpu_us / operations,
      measure.server_cpu_us / operations,
      measure.syncs
          ? fmt::format("  syncs/op {:.3f}", static_cast<double>(*measure.syncs) / operations)
          : std::string(),
      measure.longest_turn_us ? fmt::format("  turn {:.1f} ms", *measure.longest_turn_us / 1000)
                              : std::string()));
  Series& series = series_[measure.system + " " + measure.operation][measure.in_flight];
  series.per_second.push_back(load.per_second());
  series.p50_us.push_back(load.p50_us);
}

Result<void> MetaBench::measure_null(uint32_t in_flight, uint32_t round) {
  std::vector<std::unique_ptr<Dialect>> dialects;
  for (uint32_t i = 0; i < connections_for(in_flight); ++i)
    dialects.push_back(std::make_unique<NullDialect>());
  TRY(load, Load::connect(null_->address(), std::move(dialects)));
  TRY_VOID(load.run(in_flight, {.seconds = options_.seconds * kWarmUpShare}));
  const double before = cpu_us_of({null_->process()});
  TRY(figures, load.run(in_flight, {.seconds = options_.seconds}));
  report({.system = "null",
          .operation = "log",
          .in_flight = in_flight,
          .round = round,
          .load = figures,
          .server_cpu_us = cpu_us_of({null_->process()}) - before});
  return {};
}

Result<void> MetaBench::measure_dogfs(MetadataWork work, uint32_t in_flight, uint32_t round) {
  TRY_VOID(go_on());
  TRY(load, dogfs_->load(work, in_flight, signal_));
  TRY_VOID(load.run(in_flight, {.seconds = options_.seconds * kWarmUpShare}));
  TRY(before, metadata_figures(dogfs_->cluster()));
  TRY(figures, load.run(in_flight, {.seconds = options_.seconds}));
  TRY(after, metadata_figures(dogfs_->cluster()));
  report({.system = "dogfs",
          .operation = std::string(work_name(work)),
          .in_flight = in_flight,
          .round = round,
          .load = figures,
          .server_cpu_us = after.cpu_us - before.cpu_us,
          .syncs = after.syncs - before.syncs,
          .longest_turn_us = after.longest_turn_us});
  return {};
}

Result<void> MetaBench::measure_etcd(uint32_t in_flight, uint32_t round) {
  TRY_VOID(go_on());
  TRY(leader, etcd_->leader());
  std::vector<std::unique_ptr<Dialect>> dialects;
  for (uint32_t i = 0; i < connections_for(in_flight); ++i)
    dialects.push_back(std::make_unique<EtcdDialect>(EtcdDialect::Call::kPut,
                                                     fmt::format("k{}-", i), kEtcdValueBytes));
  TRY(load, Load::connect(leader, std::move(dialects)));
  TRY_VOID(load.run(in_flight, {.seconds = options_.seconds * kWarmUpShare}));
  const double before = cpu_us_of(etcd_->processes());
  TRY(figures, load.run(in_flight, {.seconds = options_.seconds}));
  report({.system = "etcd",
          .operation = "put",
          .in_flight = in_flight,
          .round = round,
          .load = figures,
          .server_cpu_us = cpu_us_of(etcd_->processes()) - before});
  return {};
}

Result<void> MetaBench::round(uint32_t number) {
  for (const uint32_t in_flight : options_.in_flight) {
    TRY_VOID(measure_null(in_flight, number));
    if (etcd_) TRY_VOID(measure_etcd(in_flight, number));
    for (const MetadataWork work : kWorks)
      if (wanted(work)) TRY_VOID(measure_dogfs(work, in_flight, number));
  }
  return {};
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[(values.size() - 1) / 2];
}

// Medians of the rounds, and their ratios to etcd's puts.
void MetaBench::summarize() const {
  const auto puts = series_.find("etcd put");
  if (puts == series_.end()) return;
  for (const auto& [name, by_in_flight] : series_) {
    if (!name.starts_with("dogfs ")) continue;
    for (const auto& [in_flight, series] : by_in_flight) {
      const Series& other = puts->second.at(in_flight);
      const double ratio = median(series.per_second) / median(other.per_second);
      const double p50 = median(series.p50_us) / median(other.p50_us);
      const std::string operation = name.substr(name.find(' ') + 1);
      output_.object({{"bench", "meta"},
                      {"summary", true},
                      {"operation", operation},
                      {"in_flight", in_flight},
                      {"per_second_median", median(series.per_second)},
                      {"etcd_put_per_second_median", median(other.per_second)},
                      {"ratio_to_etcd_put", ratio},
                      {"p50_ratio_to_etcd_put", p50}});
      output_.line(fmt::format("{:<6} {:>5} under way: {:.2f} times etcd's puts, p50 {:.2f} of its",
                               operation, in_flight, ratio, p50));
    }
  }
}

Result<void> MetaBench::run() {
  TRY(place, Workplace::make(options_.directory));
  place_.emplace(std::move(place));
  TRY(null, NullLog::start(place_->path() / "null.log"));
  null_.emplace(std::move(null));
  if (options_.against == "etcd") {
    TRY(etcd, EtcdCluster::start(place_->path()));
    etcd_.emplace(std::move(etcd));
  }
  TRY(dogfs, BenchCluster::start(place_->path() / "cluster", signal_));
  dogfs_ = std::move(dogfs);
  for (uint32_t number = 1; number <= options_.rounds; ++number) TRY_VOID(round(number));
  summarize();
  return {};
}

}  // namespace

Result<void> run_meta_bench(Output& output, const MetaBenchOptions& options, int& signal) {
  ::signal(SIGPIPE, SIG_IGN);  // whoever reads the output may have ended
  for (const uint32_t in_flight : options.in_flight)
    if (in_flight == 0 || in_flight > 4096)
      return fail(Code::kInvalid, "--in-flight {}: give 1 to 4096", in_flight);
  MetaBench bench(output, options, signal);
  return bench.run();
}

}  // namespace dogfs::tool
