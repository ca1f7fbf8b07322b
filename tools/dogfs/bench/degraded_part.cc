// Gets of one large file with no, one and two of the six chunk servers dead, in turn: what is read
// then is rebuilt from the rest. The dead are killed and started anew in every round.

#include <vector>

#include <nlohmann/json.hpp>

#include "tools/dogfs/bench/data_parts.h"
#include "tools/dogfs/bench/data_scene.h"
#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

constexpr const char* kPath = "/degraded";
constexpr size_t kDeadMax = 2;

Result<double> get(DataScene& scene, uint32_t round, size_t dead) {
  const uint64_t bytes = scene.options().bytes;
  TRY(real, scene.run({.turns = 1}, [&](nodes::Client& client, uint32_t, uint64_t) {
    return scene.get(client, kPath, 0, bytes);
  }));
  const std::string condition = fmt::format("{} dead", dead);
  scene.report({.part = "degraded",
                .operation = "get",
                .condition = condition,
                .bytes = bytes,
                .clients = 1,
                .round = round},
               real, nullptr);
  return real.timed.seconds;
}

// Each round another server is the first to die.
Result<void> kill_one(DataScene& scene, uint32_t round, size_t dead) {
  std::vector<LocalNode> chunks;
  for (const LocalNode& node : scene.cluster().nodes())
    if (!node.metadata()) chunks.push_back(node);
  return kill_server(scene.cluster(), chunks[(round + dead) % chunks.size()]);
}

}  // namespace

Result<void> run_degraded_part(DataScene& scene) {
  const DataBenchOptions& options = scene.options();
  TRY_VOID(scene.run({.turns = 1}, [&](nodes::Client& client, uint32_t, uint64_t) {
    return scene.put(client, kPath, options.bytes);
  }));
  std::vector<std::vector<double>> ratios(kDeadMax);
  for (uint32_t round = 1; round <= options.rounds; ++round) {
    TRY(healthy, get(scene, round, 0));
    for (size_t dead = 1; dead <= kDeadMax; ++dead) {
      TRY_VOID(kill_one(scene, round, dead));
      TRY(seconds, get(scene, round, dead));
      ratios[dead - 1].push_back(healthy / seconds);
    }
    TRY_VOID(bring_up(scene.cluster(), [](const LocalNode&, const std::string&) {}));
  }
  scene.output().object({{"bench", "data"},
                         {"part", "degraded"},
                         {"summary", true},
                         {"one_dead_ratio_to_healthy_median", median(ratios[0])},
                         {"two_dead_ratio_to_healthy_median", median(ratios[1])}});
  scene.output().line(fmt::format("1 dead {:.2f}, 2 dead {:.2f} of a healthy get (medians)",
                                  median(ratios[0]), median(ratios[1])));
  return {};
}

}  // namespace dogfs::tool
