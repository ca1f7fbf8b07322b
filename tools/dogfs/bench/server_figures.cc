#include "tools/dogfs/bench/server_figures.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "tools/dogfs/bench/process_usage.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

constexpr auto kLook = std::chrono::milliseconds(1);
constexpr auto kAnswerLimit = std::chrono::seconds(20);

json usage_of(const LocalCluster& cluster, const LocalNode& node) {
  std::ifstream file(cluster.usage_file(node));
  const json usage = json::parse(file, nullptr, false);
  return usage.is_object() ? usage : json::object();
}

Result<json> ask(const LocalCluster& cluster, const LocalNode& node) {
  const std::string before = usage_of(cluster, node).value("report", "");
  TRY_VOID(cluster.process(node).signal(SIGUSR1));
  const auto end = std::chrono::steady_clock::now() + kAnswerLimit;
  for (;;) {
    json usage = usage_of(cluster, node);
    if (usage.value("report", "") != before) return usage;
    if (std::chrono::steady_clock::now() > end)
      return fail(Code::kDeadline, "{} does not say what it used", node.name);
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace

double cpu_us_of(const std::vector<pid_t>& pids) {
  double sum = 0;
  for (const pid_t pid : pids) sum += static_cast<double>(process_usage(pid).cpu_us);
  return sum;
}

Result<ServerFigures> metadata_figures(const LocalCluster& cluster) {
  ServerFigures figures;
  for (const auto& node : cluster.nodes()) {
    if (!node.metadata()) continue;
    const auto pid = cluster.process(node).running();
    if (!pid) continue;
    TRY(usage, ask(cluster, node));
    figures.cpu_us += cpu_us_of({*pid});
    figures.syncs += usage.value("syncs", uint64_t{0});
    figures.longest_turn_us =
        std::max(figures.longest_turn_us, usage.value("longest_turn_us", 0.0));
  }
  return figures;
}

Result<std::vector<NodeFigures>> all_figures(const LocalCluster& cluster) {
  std::vector<NodeFigures> all;
  for (const auto& node : cluster.nodes()) {
    const auto pid = cluster.process(node).running();
    if (!pid) continue;
    TRY(usage, ask(cluster, node));
    const ProcessUsage process = process_usage(*pid);
    all.push_back({.pid = *pid,
                   .metadata = node.metadata(),
                   .cpu_us = static_cast<double>(process.cpu_us),
                   .syncs = usage.value("syncs", uint64_t{0}),
                   .copied_bytes = usage.value("copied_bytes", uint64_t{0}),
                   .peak_memory_bytes = process.peak_memory_bytes});
  }
  return all;
}

}  // namespace dogfs::tool
