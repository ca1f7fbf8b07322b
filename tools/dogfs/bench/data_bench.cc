#include "tools/dogfs/bench/data_bench.h"

#include <algorithm>
#include <csignal>

#include "tools/dogfs/bench/data_parts.h"
#include "tools/dogfs/bench/data_scene.h"
#include "tools/dogfs/bench/workplace.h"
#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/held_signals.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

constexpr uint32_t kShards = 6;

Result<void> check(const DataBenchOptions& options) {
  for (const uint32_t clients : options.clients)
    if (options.bytes < clients)
      return fail(Code::kInvalid, "--size {}: give at least one byte for each client",
                  options.bytes);
  for (const std::string& part : options.parts)
    if (std::ranges::count(data_parts(), part, &DataPart::name) == 0)
      return fail(Code::kInvalid, "--parts {}: there is no such part", part);
  return {};
}

}  // namespace

Result<void> run_data_bench(Output& output, const DataBenchOptions& options, int& signal) {
  TRY_VOID(check(options));
  HeldSignals signals;         // outlives all that has to be cleaned up
  ::signal(SIGPIPE, SIG_IGN);  // a sink, or whoever reads the output, that ended is an error
  TRY(place, Workplace::make(options.directory));
  TRY(null_system, NullSystem::start(place.path(), kShards));
  TRY(cluster, LocalCluster::create(place.path() / "cluster", {}));
  const Up up(cluster);
  TRY_VOID(bring_up(cluster, [](const LocalNode&, const std::string&) {}));
  DataScene scene(output, options, cluster, null_system, signals, signal);
  for (const DataPart& part : data_parts()) {
    const bool wanted = options.parts.empty() || std::ranges::count(options.parts, part.name) > 0;
    if (wanted) TRY_VOID(part.run(scene));
  }
  return {};
}

}  // namespace dogfs::tool
