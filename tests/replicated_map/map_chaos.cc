#include "tests/replicated_map/map_chaos.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "core/base/mutation.h"
#include "sim/world/disk_image.h"

#include "tests/replicated_map/map_cluster.h"
#include "tests/replicated_map/map_stages.h"

namespace dogfs::nodes {
namespace {

using sim::Oracle;

constexpr int kServers = MapCluster::kServers;

class MapChaos {
 public:
  explicit MapChaos(const MapChaosOptions& options)
      : options_(options),
        cluster_({.seed = options.seed,
                  .snapshot_after_bytes = options.snapshot_after_bytes,
                  .tail_entries = options.tail_entries,
                  .drift_ppm_max = options.slow_and_failing ? 10'000 : 0}),
        random_(cluster_.world.random("chaos")),
        stages_(cluster_, cluster_.world.random("stages"), options.lose_disks) {}

  MapChaosResult run() {
    while (cluster_.world.now() < Instant(options_.under_faults)) {
      cluster_.world.run_for(std::chrono::milliseconds(random_.between(50, 800)));
      if (options_.stages && random_.chance(1, 3)) stages_.play();
      disturb();
      if (options_.slow_and_failing) trouble();
      revive(2);
    }
    cluster_.world.fabric().heal();
    for (int i = 1; i <= kServers; ++i) cluster_.mend(i);
    cluster_.world.run_for(1s);  // one that was paused may fail only now
    revive(1);
    cluster_.world.run_for(5s);
    check_servers();
    cluster_.judge();
    if (MUTANT("CANARY")) cluster_.watch.violations().add(Oracle::kCanary, "the canary sings");
    return result();
  }

 private:
  // One server in `one_in` of those that are down or ended comes back.
  void revive(uint64_t one_in) {
    for (int i = 1; i <= kServers; ++i)
      if (!cluster_.runs(i) && random_.chance(1, one_in)) cluster_.start(i);
  }

  int any_server() { return 1 + static_cast<int>(random_.below(kServers)); }

  void disturb() {
    const int number = any_server();
    sim::Host& victim = cluster_.server(number);
    sim::Fabric& fabric = cluster_.world.fabric();
    switch (random_.below(8)) {
      case 0: victim.crash(); break;
      case 1: victim.power_off(); break;
      case 2:
        for (auto* host : cluster_.servers()) host->power_off();
        break;
      case 3: fabric.block(victim, cluster_.server(any_server())); break;
      case 4: cluster_.cut_off(number); break;
      case 5: fabric.heal(); break;
      case 6: fabric.reset_one(random_); break;
      case 7:
        // Late, so that there are three voters first.
        if (options_.lose_disks && cluster_.world.now() > Instant(options_.under_faults / 2))
          cluster_.lose_disk(number);
        break;
    }
  }

  // What a disk, a scheduler or a full volume does to a server that stays connected.
  void trouble() {
    const int number = any_server();
    sim::Host& victim = cluster_.server(number);
    sim::DiskImage& image = victim.disk_image();
    switch (random_.below(7)) {
      case 0:
        victim.disk_model().set_slow_factor(1 + static_cast<uint32_t>(random_.below(300)));
        break;
      case 1:
        victim.disk_model().stall_until(cluster_.world.now() +
                                        std::chrono::milliseconds(random_.below(2000)));
        break;
      case 2: victim.disk_model().fail_nth(1 + random_.below(50)); break;
      case 3: image.set_capacity(used_bytes(image) + random_.below(8 * 1024)); break;
      case 4:
        if (victim.up()) victim.process()->pause();
        break;
      default: cluster_.mend(number);
    }
  }

  static uint64_t used_bytes(const sim::DiskImage& image) {
    return image.capacity() - image.space().free_bytes;
  }

  // No fault here is one that a server may not recover from.
  void check_servers() {
    for (int i = 1; i <= kServers; ++i)
      if (!cluster_.runs(i))
        cluster_.watch.violations().add(
            Oracle::kLiveness, "{} does not run after all faults have stopped: {}",
            cluster_.server(i).name(), fmt::join(cluster_.world.trace().kept(), "\n"));
  }

  MapChaosResult result() {
    MapChaosResult result;
    result.violations = cluster_.watch.violations().kept();
    result.acknowledged = cluster_.history.acknowledged();
    result.reads = cluster_.history.reads();
    result.elections = cluster_.watch.elections();
    result.snapshots = cluster_.watch.snapshots();
    result.stages = stages_.played();
    result.trace_hash = cluster_.world.trace_hash();
    return result;
  }

  const MapChaosOptions options_;
  MapCluster cluster_;
  Random random_;
  MapStages stages_;
};

}  // namespace

const sim::Violation* MapChaosResult::find(sim::Oracle oracle) const {
  const auto found = std::ranges::find(violations, oracle, &sim::Violation::oracle);
  return found == violations.end() ? nullptr : &*found;
}

MapChaosResult run_map_chaos(const MapChaosOptions& options) { return MapChaos(options).run(); }

}  // namespace dogfs::nodes
