#include "sim/run/cluster.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/placement/policy.h"
#include "nodes/chunk/chunk_node.h"
#include "nodes/metadata/metadata_node.h"
#include "sim/world/disk_image.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

namespace dogfs::sim {
namespace {

constexpr ClusterId kCluster{0xD06F5};
constexpr uint16_t kMetadataPort = 7001;
constexpr uint16_t kChunkPort = 7002;
constexpr Duration kSuperviseEvery = 250ms;
constexpr Duration kRestartAfter = 1s;

std::string metadata_name(uint32_t number) { return fmt::format("meta-{}", number); }

Task<> metadata_main(Env& env, nodes::MetadataNodeOptions options) {
  nodes::MetadataNode node(env, std::move(options));
  const auto ended = co_await node.run();
  if (!ended) env.log().warning("the metadata server ends: {}", ended.error());
}

Task<> chunk_main(Env& env, nodes::ChunkNodeOptions options) {
  nodes::ChunkNode node(env, std::move(options));
  const auto ended = co_await node.run();
  if (!ended) env.log().warning("the chunk server ends: {}", ended.error());
}

nodes::Founding founding_of(const ClusterShape& shape) {
  const auto policy = placement::Policy::parse(shape.policy);
  CHECK(policy, "{}", shape.policy);
  return {.policy = *policy,
          .block_bytes = shape.block_bytes,
          .cell_bytes = shape.cell_bytes,
          .inline_bytes = shape.inline_bytes};
}

// How often the host's disk did to it what may end a server. What power loss takes is none of it.
uint64_t disk_trouble(Host& host) {
  const auto& counts = host.disk_image().counts();
  uint64_t sum = 0;
  for (const DiskFault fault :
       {DiskFault::kReadError, DiskFault::kWriteError, DiskFault::kSyncError,
        DiskFault::kMetadataError, DiskFault::kNoSpace, DiskFault::kDroppedPages,
        DiskFault::kLatentError, DiskFault::kBitRot, DiskFault::kMisdirectedWrite,
        DiskFault::kDeadDisk})
    sum += counts[fault].took_effect;
  return sum;
}

}  // namespace

Cluster::Cluster(World& world, const ClusterShape& shape, RaftWatch& watch)
    : world_(world), shape_(shape), watch_(watch) {
  for (uint32_t i = 1; i <= shape.metadata; ++i) add_metadata(i);
  for (uint32_t i = 1; i <= shape.chunk; ++i) add_chunk(i);
}

Host& Cluster::add_host(const std::string& name) {
  HostOptions options;
  options.buggify = shape_.buggify;
  if (shape_.drift_ppm_max > 0) {
    Random random = world_.random("drift", world_.hosts().size());
    const auto most = static_cast<uint64_t>(shape_.drift_ppm_max);
    options.drift_ppm = static_cast<int>(random.below(2 * most + 1)) - shape_.drift_ppm_max;
  }
  return world_.add_host(name, options);
}

// Only the first boot founds the group: a server that lost its disk must not vote with what it
// forgot.
void Cluster::add_metadata(uint32_t number) {
  nodes::MetadataNodeOptions options;
  options.listen = {metadata_name(number), kMetadataPort};
  options.founding = founding_of(shape_);
  options.deletion.grace = shape_.deletion_grace;
  options.deletion.step_entries = shape_.removal_step;
  options.compaction = {.sparse_for = shape_.compact_after,
                        .again_after = 3 * shape_.compact_after,
                        .look_every = std::min<Duration>(5s, shape_.compact_after / 4)};
  options.expiry.session_silence = shape_.session_silence;
  options.expiry.lease_silence = shape_.lease_silence;
  options.raft.node = NodeId(number);
  options.raft.cluster = kCluster;
  options.raft.tick = shape_.tick;
  options.raft.lease_drift_percent = shape_.lease_drift_percent;
  if (shape_.snapshot_after_bytes > 0)
    options.raft.snapshot_after_bytes = shape_.snapshot_after_bytes;
  options.raft.reserve_bytes = shape_.reserve_bytes;
  options.raft.tail_entries = shape_.log_tail.value_or(options.raft.tail_entries);
  nodes::Bootstrap bootstrap;
  for (uint32_t i = 1; i <= shape_.metadata; ++i) {
    options.raft.peers.push_back({NodeId(i), metadata_name(i), {metadata_name(i), kMetadataPort}});
    bootstrap.voters.push_back({NodeId(i), StoreId(100 + i)});
  }
  bootstrap.store = StoreId(100 + number);
  options.raft.bootstrap = std::move(bootstrap);

  Host& host = add_host(metadata_name(number));
  options.raft.observer = watch_.observer(host.name());
  host.set_main([options](Env& env) mutable {
    auto task = metadata_main(env, options);
    options.raft.bootstrap.reset();
    return task;
  });
  metadata_.push_back(&host);
}

void Cluster::add_chunk(uint32_t number) {
  nodes::ChunkNodeOptions options;
  options.name = fmt::format("chunk-{}", number);
  if (shape_.zones > 0) options.zone = fmt::format("zone-{}", number % shape_.zones);
  options.cluster = kCluster;
  options.listen = {options.name, kChunkPort};
  options.advertise = options.listen;
  options.metadata = metadata_addresses();
  options.scrub = {.bytes_per_second = shape_.scrub_bytes_per_second,
                   .delay = 3s,
                   .every = 12s,
                   .logs_every = 4s};
  options.append.idle = shape_.append_idle;
  options.compaction.bytes_per_second = shape_.compaction_bytes_per_second;
  options.directories.clear();
  for (const auto& directory : data_directories())
    options.directories.push_back({.path = directory});
  Host& host = add_host(options.name);
  host.set_main([options](Env& env) { return chunk_main(env, options); });
  chunk_.push_back(&host);
}

std::vector<std::string> Cluster::data_directories() const {
  if (shape_.disks <= 1) return {""};
  std::vector<std::string> directories;
  for (uint32_t i = 1; i <= shape_.disks; ++i) directories.push_back(fmt::format("disk-{}", i));
  return directories;
}

std::vector<Address> Cluster::metadata_addresses() const {
  std::vector<Address> addresses;
  for (uint32_t i = 1; i <= shape_.metadata; ++i)
    addresses.push_back({metadata_name(i), kMetadataPort});
  return addresses;
}

Host& Cluster::add_client() {
  Host& host = add_host(fmt::format("client-{}", clients_.size() + 1));
  clients_.push_back(&host);
  return host;
}

nodes::ClientOptions Cluster::client_options() const {
  nodes::ClientOptions options;
  options.metadata = metadata_addresses();
  options.cluster = kCluster;
  options.operation_limit = shape_.operation_limit;
  options.pack = shape_.pack;
  return options;
}

void Cluster::start() {
  for (const auto* hosts : {&metadata_, &chunk_})
    for (Host* host : *hosts) host->boot();
  supervise();
}

void Cluster::supervise() {
  for (const auto* hosts : {&metadata_, &chunk_})
    for (Host* host : *hosts) restart_if_ended(*host);
  world_.after(kSuperviseEvery, [this] { supervise(); });
}

void Cluster::restart_if_ended(Host& host) {
  Process* process = host.process();
  if (process == nullptr || !process->ended() || !restarting_.insert(host.name()).second) return;
  // What it had promised may be lost with what it held: it stays away until somebody replaces it.
  const bool stays_away = blank_.contains(host.name()) && std::ranges::count(metadata_, &host) > 0;
  if (stays_away) return;
  ++ends_;
  const uint64_t trouble = disk_trouble(host);
  if (!blank_.contains(host.name()) && trouble == trouble_seen_[host.name()])
    unexplained_ends_.push_back(host.name());
  trouble_seen_[host.name()] = trouble;
  changed_();
  world_.after(kRestartAfter, [this, &host, process] {
    restarting_.erase(host.name());
    if (host.process() != process) return;
    const bool new_disk = blank_.contains(host.name()) && std::ranges::count(chunk_, &host) > 0;
    new_disk ? host.lose_disk() : host.crash();
    host.boot();
    changed_();
  });
}

Host* Cluster::leader() const { return watch_.leader() ? find(*watch_.leader()) : nullptr; }

Host* Cluster::find(const std::string& name) const {
  for (const auto* hosts : {&metadata_, &chunk_, &clients_})
    for (Host* host : *hosts)
      if (host->name() == name) return host;
  return nullptr;
}

void Cluster::excuse(const Host& host) { excused_.insert(host.name()); }

bool Cluster::is_given_up(const Host& host) const { return blank_.contains(host.name()); }

bool Cluster::is_excused(const Host& host) const { return excused_.contains(host.name()); }

void Cluster::give_up(const Host& host) { blank_.insert(host.name()); }

bool Cluster::caught_up() const {
  for (const auto* hosts : {&metadata_, &chunk_})
    for (Host* host : *hosts)
      if (!blank_.contains(host->name()) && !excused_.contains(host->name()) &&
          (!host->up() || host->process()->ended()))
        return false;
  return std::ranges::all_of(metadata_, [this](Host* host) {
    return blank_.contains(host->name()) || excused_.contains(host->name()) ||
           watch_.applied(host->name()) >= watch_.committed();
  });
}

}  // namespace dogfs::sim
