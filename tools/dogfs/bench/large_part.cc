// One large file for each client, put and get, in turns with the null system.

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "tools/dogfs/bench/data_parts.h"
#include "tools/dogfs/bench/data_scene.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

constexpr uint32_t kDataShards = 4;
constexpr double kShards = 6;

// Of all rounds of one operation with so many clients.
struct Summary {
  std::vector<double> ratios;
  double mib_per_s_best = 0;
  uint64_t client_peak_bytes = 0;
  uint64_t chunk_peak_bytes = 0;
  uint64_t metadata_peak_bytes = 0;
  double syncs_per_op = 0;

  void add(const Measured& measured, double ratio) {
    ratios.push_back(ratio);
    mib_per_s_best = std::max(mib_per_s_best, measured.timed.mib() / measured.timed.seconds);
    client_peak_bytes = std::max(client_peak_bytes, measured.client_peak_bytes);
    chunk_peak_bytes = std::max(chunk_peak_bytes, measured.chunk_peak_bytes);
    metadata_peak_bytes = std::max(metadata_peak_bytes, measured.metadata_peak_bytes);
    syncs_per_op = measured.syncs / static_cast<double>(measured.timed.operations());
  }
};

Timed one_operation(double seconds, uint64_t bytes) {
  return {.seconds = seconds, .bytes = bytes, .latencies_us = {seconds * 1e6}};
}

Result<void> put(DataScene& scene, Label label, Summary& summary) {
  const uint64_t total = label.bytes * label.clients;
  TRY(null, scene.run_null(
                [&]() -> Result<Timed> {
                  TRY(seconds, scene.null_system().put(total / kDataShards));
                  return one_operation(seconds, total);
                },
                kShards));
  scene.report_null(label, null);
  TRY(real, scene.run({.clients = label.clients, .turns = 1}, [&](nodes::Client& client,
                                                                  uint32_t worker, uint64_t) {
    return scene.put(client, fmt::format("/large-{}-{}", label.clients, worker), label.bytes);
  }));
  summary.add(real, scene.report(label, real, &null));
  return {};
}

Result<void> get(DataScene& scene, Label label, Summary& summary) {
  const uint64_t total = label.bytes * label.clients;
  TRY(null, scene.run_null(
                [&]() -> Result<Timed> {
                  TRY(seconds, scene.null_system().get(total / kDataShards, kDataShards));
                  return one_operation(seconds, total);
                },
                0));
  scene.report_null(label, null);
  TRY(real, scene.run({.clients = label.clients, .turns = 1}, [&](nodes::Client& client,
                                                                  uint32_t worker, uint64_t) {
    return scene.get(client, fmt::format("/large-{}-{}", label.clients, worker), 0, label.bytes);
  }));
  summary.add(real, scene.report(label, real, &null));
  return {};
}

void summarize(DataScene& scene, uint32_t clients, const Summary& put, const Summary& get) {
  const auto peak = [&](uint64_t Summary::* which) { return std::max(put.*which, get.*which); };
  scene.output().object({{"bench", "data"},
                         {"part", "large"},
                         {"summary", true},
                         {"clients", clients},
                         {"put_mib_per_s_best", put.mib_per_s_best},
                         {"get_mib_per_s_best", get.mib_per_s_best},
                         {"put_ratio_to_null_median", median(put.ratios)},
                         {"get_ratio_to_null_median", median(get.ratios)},
                         {"client_peak_bytes", peak(&Summary::client_peak_bytes)},
                         {"chunk_server_peak_bytes", peak(&Summary::chunk_peak_bytes)},
                         {"metadata_server_peak_bytes", peak(&Summary::metadata_peak_bytes)},
                         {"server_syncs_per_put", put.syncs_per_op},
                         {"null_syncs_per_put", kShards / clients}});
  scene.output().line(fmt::format(
      "{} client{}: put {:.2f} of null, get {:.2f} of null (medians); peak MiB: client {} put, {} "
      "get; chunk server {}",
      clients, clients == 1 ? "" : "s", median(put.ratios), median(get.ratios),
      put.client_peak_bytes / limits::kMiB, get.client_peak_bytes / limits::kMiB,
      peak(&Summary::chunk_peak_bytes) / limits::kMiB));
}

}  // namespace

Result<void> run_large_part(DataScene& scene) {
  const DataBenchOptions& options = scene.options();
  for (const uint32_t clients : options.clients) {
    Summary put_summary;
    Summary get_summary;
    for (uint32_t round = 1; round <= options.rounds; ++round) {
      Label label{.part = "large",
                  .operation = "put",
                  .condition = "",
                  .bytes = options.bytes / clients,
                  .clients = clients,
                  .round = round};
      TRY_VOID(put(scene, label, put_summary));
      label.operation = "get";
      for (uint32_t i = 0; i < options.gets; ++i) TRY_VOID(get(scene, label, get_summary));
    }
    summarize(scene, clients, put_summary, get_summary);
  }
  return {};
}

}  // namespace dogfs::tool
