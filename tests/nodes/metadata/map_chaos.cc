#include "tests/nodes/metadata/map_chaos.h"

#include <algorithm>
#include <memory>

#include <fmt/ranges.h>

#include "core/raft/core.h"
#include "sim/check/raft_safety.h"
#include "sim/world/disk_image.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/nodes/metadata/replicated_map.h"

namespace dogfs::nodes {
namespace {

using sim::Oracle;

constexpr int kServers = 3;
constexpr int kClients = 2;
constexpr ClusterId kCluster{77};
constexpr uint16_t kPort = 9;

class SafetyObserver final : public metadata::RaftObserver {
 public:
  explicit SafetyObserver(sim::RaftSafety& safety) : safety_(safety) {}
  void started(const raft::Core& core) override { safety_.started(core.self()); }
  void stepped(const raft::Core& core) override {
    safety_.stepped({core.self(), core.role(), core.term()}, core.log());
  }
  void committed(GroupId, const raft::Member& member, const raft::Entry& entry) override {
    safety_.committed(member, entry);
  }
  void applied(GroupId, const raft::Member& member, LogIndex index, uint64_t digest) override {
    safety_.applied(member, index, digest);
  }

 private:
  sim::RaftSafety& safety_;
};

class MapCluster {
 public:
  explicit MapCluster(const MapChaosOptions& options)
      : options_(options),
        world_(options.seed),
        random_(world_.random("chaos")),
        safety_(violations_),
        observer_(safety_) {
    std::vector<Address> servers;
    for (int i = 1; i <= kServers; ++i) servers.push_back({name(i), kPort});
    for (int i = 1; i <= kServers; ++i) {
      hosts_.push_back(&world_.add_host(name(i), host_options()));
      boot(i, true);
    }
    for (int i = 0; i < kClients; ++i) {
      clients_.push_back(std::make_unique<MapClient>(fmt::format("key-{}", i), servers));
      sim::Host& host = world_.add_host(fmt::format("client-{}", i), {});
      host.set_main([this, i](Env& env) { return clients_[i]->run(env, options_.writes); });
      host.boot();
    }
  }

  MapChaosResult run() {
    while (world_.now() < Instant(options_.under_faults)) {
      world_.run_for(std::chrono::milliseconds(random_.between(50, 800)));
      disturb();
      if (options_.slow_and_failing) trouble();
      revive(2);
    }
    world_.fabric().heal();
    for (auto* host : hosts_) mend(*host);
    revive(1);
    world_.run_for(30s);
    check_servers();
    check_values();
    return result();
  }

 private:
  static std::string name(int i) { return fmt::format("meta-{}", i); }

  sim::HostOptions host_options() {
    sim::HostOptions host;
    if (options_.slow_and_failing)
      host.drift_ppm = static_cast<int>(random_.below(20'000)) - 10'000;
    return host;
  }

  RaftServerOptions raft_options(int i, bool first_start) {
    RaftServerOptions raft;
    raft.node = NodeId(static_cast<uint32_t>(i));
    raft.cluster = kCluster;
    raft.snapshot_after_bytes = options_.snapshot_after_bytes;
    raft.observer = &observer_;
    Bootstrap birth;
    for (int peer = 1; peer <= kServers; ++peer) {
      const NodeId node(static_cast<uint32_t>(peer));
      raft.peers.push_back({node, name(peer), {name(peer), kPort}});
      birth.voters.push_back({node, StoreId(100 + static_cast<uint64_t>(peer))});
    }
    birth.store = StoreId(100 + static_cast<uint64_t>(i));
    if (first_start) raft.bootstrap = birth;
    return raft;
  }

  void boot(int i, bool first_start) {
    sim::Host& host = *hosts_[static_cast<size_t>(i - 1)];
    host.set_main([this, i, first_start, address = Address{name(i), kPort}](Env& env) {
      return map_node_main(env, {raft_options(i, first_start), address});
    });
    host.boot();
  }

  // One server in `one_in` of those that are down or ended comes back.
  void revive(uint64_t one_in) {
    for (int i = 1; i <= kServers; ++i) {
      sim::Host& host = *hosts_[static_cast<size_t>(i - 1)];
      if (host.up() && host.process()->ended()) host.crash();
      if (!host.up() && random_.chance(1, one_in)) boot(i, false);
    }
  }

  void disturb() {
    sim::Host& victim = *hosts_[random_.below(kServers)];
    sim::Host& other = *hosts_[random_.below(kServers)];
    switch (random_.below(8)) {
      case 0: victim.crash(); break;
      case 1: victim.power_off(); break;
      case 2:
        for (auto* host : hosts_) host->power_off();
        break;
      case 3: world_.fabric().block(victim, other); break;
      case 4:
        for (auto* host : hosts_) world_.fabric().block(victim, *host);
        break;
      case 5: world_.fabric().heal(); break;
      case 6: world_.fabric().reset_one(random_); break;
      case 7:
        // At most one server ever loses its disk: a minority.
        if (options_.lose_disks && !std::exchange(disk_lost_, true)) victim.lose_disk();
        break;
    }
  }

  // What a disk, a scheduler or a full volume does to a server that stays connected.
  void trouble() {
    sim::Host& victim = *hosts_[random_.below(kServers)];
    sim::DiskImage& image = victim.disk_image();
    switch (random_.below(7)) {
      case 0:
        victim.disk_model().set_slow_factor(1 + static_cast<uint32_t>(random_.below(300)));
        break;
      case 1:
        victim.disk_model().stall_until(world_.now() +
                                        std::chrono::milliseconds(random_.below(2000)));
        break;
      case 2: victim.disk_model().fail_nth(1 + random_.below(50)); break;
      case 3: image.set_capacity(used_bytes(image) + random_.below(8 * 1024)); break;
      case 4:
        if (victim.up()) victim.process()->pause();
        break;
      default: mend(victim);
    }
  }

  static uint64_t used_bytes(const sim::DiskImage& image) {
    return image.capacity() - image.space().free_bytes;
  }

  void mend(sim::Host& host) {
    host.disk_model().set_slow_factor(1);
    host.disk_model().stall_until(world_.now());
    host.disk_model().clear_trap();
    host.disk_image().set_capacity(host.options().disk_bytes);
    if (host.up()) host.process()->resume();
  }

  // No fault here is one that a server may not recover from.
  void check_servers() {
    for (auto* host : hosts_)
      if (!host->up() || host->process()->ended())
        violations_.add(Oracle::kLiveness, "{} does not run after all faults have stopped: {}",
                        host->name(), fmt::join(world_.trace().kept(), "\n"));
  }

  void check_values() {
    for (size_t i = 0; i < clients_.size(); ++i) {
      std::optional<std::string> value;
      bool done = false;
      sim::Host& host = world_.add_host(fmt::format("reader-{}", i), {});
      host.set_main([&](Env& env) { return read(env, *clients_[i], value, done); });
      host.boot();
      world_.run_for(30s);
      if (!done || !value) {
        violations_.add(Oracle::kLiveness, "no answer to a read after all faults have stopped");
        continue;
      }
      if (auto complaint = clients_[i]->complaint(*value); !complaint.empty())
        violations_.add(Oracle::kDurability, "{}", complaint);
    }
  }

  static Task<> read(Env& env, MapClient& client, std::optional<std::string>& value, bool& done) {
    value = co_await client.read(env, 20s);
    done = true;
  }

  MapChaosResult result() {
    MapChaosResult result;
    for (const auto& violation : violations_.kept()) {
      result.oracles.emplace_back(sim::oracle_name(violation.oracle));
      result.complaints.push_back(violation.text);
    }
    std::sort(result.oracles.begin(), result.oracles.end());
    result.oracles.erase(std::unique(result.oracles.begin(), result.oracles.end()),
                         result.oracles.end());
    for (const auto& client : clients_) result.acknowledged += client->acknowledged();
    result.elections = safety_.elections();
    result.trace_hash = world_.trace_hash();
    return result;
  }

  const MapChaosOptions options_;
  sim::Violations violations_;
  sim::World world_;
  Random random_;
  sim::RaftSafety safety_;
  SafetyObserver observer_;
  std::vector<sim::Host*> hosts_;
  std::vector<std::unique_ptr<MapClient>> clients_;
  bool disk_lost_ = false;
};

}  // namespace

MapChaosResult run_map_chaos(const MapChaosOptions& options) { return MapCluster(options).run(); }

}  // namespace dogfs::nodes
