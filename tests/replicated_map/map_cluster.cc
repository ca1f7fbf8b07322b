#include "tests/replicated_map/map_cluster.h"

#include <fmt/ranges.h>

#include "sim/world/disk_image.h"

namespace dogfs::nodes {
namespace {

constexpr uint16_t kPort = 9;
const std::vector<std::string> kKeys{"one", "two"};

std::string name(int number) { return fmt::format("meta-{}", number); }

std::vector<Address> addresses() {
  std::vector<Address> servers;
  for (int i = 1; i <= MapCluster::kServers; ++i) servers.push_back({name(i), kPort});
  return servers;
}

Task<> read_into(Env& env, MapClient& reader, std::string key, Duration limit,
                 std::optional<std::string>& value) {
  value = co_await reader.read(env, std::move(key), limit);
}

}  // namespace

MapCluster::MapCluster(const MapClusterOptions& options) : world(options.seed), options_(options) {
  Random random = world.random("drift");
  for (int i = 1; i <= kServers; ++i) {
    sim::HostOptions host;
    if (const auto most = static_cast<uint64_t>(options.drift_ppm_max); most > 0)
      host.drift_ppm = static_cast<int>(random.below(2 * most)) - options.drift_ppm_max;
    servers_.push_back(&world.add_host(name(i), host));
    boot(i, true);
  }
  for (uint32_t i = 1; i <= kClients; ++i) {
    MapClientOptions client{.number = i, .keys = kKeys, .servers = addresses()};
    clients_.push_back(std::make_unique<MapClient>(std::move(client), history));
    sim::Host& host = world.add_host(fmt::format("client-{}", i), {});
    host.set_main([run = clients_.back().get()](Env& env) { return run->run(env); });
    host.boot();
  }
}

void MapCluster::boot(int number, bool first_start) {
  MapNodeOptions options = map_node_options(number, addresses());
  options.raft.snapshot_after_bytes = options_.snapshot_after_bytes;
  options.raft.tail_entries = options_.tail_entries;
  options.raft.observer = &watch;
  if (!first_start) options.raft.bootstrap.reset();
  sim::Host& host = server(number);
  host.set_main([options](Env& env) { return map_node_main(env, options); });
  host.boot();
}

bool MapCluster::runs(int number) {
  sim::Host& host = server(number);
  return host.up() && !host.process()->ended();
}

void MapCluster::start(int number) {
  if (runs(number)) return;
  if (server(number).up()) server(number).crash();
  boot(number, false);
}

void MapCluster::mend(int number) {
  sim::Host& host = server(number);
  host.disk_model().set_slow_factor(1);
  host.disk_model().stall_until(world.now());
  host.disk_model().clear_trap();
  host.disk_image().set_capacity(host.options().disk_bytes);
  if (host.up()) host.process()->resume();
}

bool MapCluster::lose_disk(int number) {
  if (std::exchange(disk_lost_, true)) return false;
  server(number).lose_disk();
  return true;
}

void MapCluster::cut_off(int number) {
  for (auto* other : servers_) {
    if (other == &server(number)) continue;
    world.fabric().block(server(number), *other);
    world.fabric().block(*other, server(number));
  }
}

void MapCluster::reconnect(int number) {
  for (auto* other : servers_) {
    if (other == &server(number)) continue;
    world.fabric().unblock(server(number), *other);
    world.fabric().unblock(*other, server(number));
  }
}

bool MapCluster::run_until(const std::function<bool()>& so, Duration limit) {
  const Instant end = world.now() + limit;
  while (!so()) {
    if (world.now() >= end || !world.step()) return false;
  }
  return true;
}

std::optional<std::string> MapCluster::read_finally(const std::string& key) {
  constexpr Duration kLimit = std::chrono::seconds(20);
  MapClient reader({.number = 0, .keys = {key}, .servers = addresses()}, history);
  std::optional<std::string> value;
  sim::Host& host = world.add_host("reader-of-" + key, {});
  host.set_main([&](Env& env) { return read_into(env, reader, key, kLimit, value); });
  host.boot();
  run_until([&] { return host.process()->ended(); }, kLimit + 2s);
  host.crash();
  return value;
}

void MapCluster::judge() {
  for (auto& client : clients_) client->stop();
  world.run_for(2s);
  for (const auto& key : kKeys) {
    const auto value = read_finally(key);
    if (value)
      history.judge(key, *value, watch.violations());
    else
      watch.violations().add(sim::Oracle::kLiveness,
                             "no answer to a read after all faults have stopped");
  }
}

}  // namespace dogfs::nodes
