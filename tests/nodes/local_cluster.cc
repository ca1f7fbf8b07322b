#include "tests/nodes/local_cluster.h"

#include <algorithm>
#include <cstring>

#include "core/env/nursery.h"

namespace dogfs::nodes::testing {
namespace {

const Address kMetadataAddress{"meta-1", 7000};
constexpr uint16_t kChunkPort = 7100;

}  // namespace

LocalCluster::LocalCluster(const LocalClusterOptions& options)
    : world(options.seed),
      metadata(ClusterId(77), *placement::Policy::parse(options.policy), options.block_bytes,
               options.cell_bytes, options.inline_bytes),
      metadata_host(world.add_host("meta-1", {})),
      client_host(world.add_host("client", {})) {
  client_options.metadata = {kMetadataAddress};
  client_options.pack = options.pack;
  scrub_ = options.scrub;
  for (int i = 1; i <= options.disks; ++i)
    directories_.push_back({.path = options.disks == 1 ? "" : fmt::format("disk-{}", i)});
  metadata_host.set_main([this](Env& env) { return metadata_main(env); });
  for (int i = 1; i <= options.chunks; ++i) {
    const auto name = fmt::format("chunk-{}", i);
    sim::Host& host = world.add_host(name, {});
    host.set_main([this, name](Env& env) { return chunk_main(env, name); });
    chunks_.push_back(&host);
  }
  boot_all();
  world.run_for(2s);
  CHECK(metadata.machine.cluster_map().count(placement::NodeKind::kChunk,
                                             placement::NodeState::kLive) ==
        static_cast<uint32_t>(options.chunks));
}

void LocalCluster::boot_all() {
  if (!metadata_host.up()) metadata_host.boot();
  for (sim::Host* host : chunks_)
    if (!host->up()) host->boot();
}

Task<> LocalCluster::metadata_main(Env& env) {
  LocalMetadata server(env, metadata, kMetadataAddress);
  co_await server.run();
}

Task<> LocalCluster::chunk_main(Env& env, std::string name) {
  ChunkNode node(env, {.name = name,
                       .zone = {},
                       .cluster = {},
                       .listen = {name, kChunkPort},
                       .advertise = {name, kChunkPort},
                       .metadata = {kMetadataAddress},
                       .directories = directories_,
                       .scrub = scrub_});
  auto ended = co_await node.run();
  env.log().error("chunk node ended: {}", ended.error());
}

Task<> LocalCluster::client_main(Env& env, Script script) {
  Client client(env, client_options);
  const auto body = [&](Nursery& children) {
    children.spawn(client.run());
    return script(env, client);
  };
  co_await nursery(env, body);
}

void LocalCluster::start(Script script) {
  if (client_host.up()) client_host.crash();
  client_host.set_main(
      [this, script = std::move(script)](Env& env) { return client_main(env, script); });
  client_host.boot();
}

bool LocalCluster::finish(Duration limit) {
  const Instant end = world.now() + limit;
  while (!ended() && world.now() < end) world.run_for(5ms);
  return ended();
}

bool LocalCluster::run(Script script, Duration limit) {
  start(std::move(script));
  return finish(limit);
}

uint64_t LocalCluster::shards_on_disks() {
  uint64_t count = 0;
  for (sim::Host* host : chunks_)
    for (const auto& directory : directories_)
      for (const auto& entry :
           *host->disk_image().list(directory.path.empty() ? "shards" : directory.path + "/shards"))
        if (entry.name.ends_with(".shard")) ++count;
  return count;
}

std::string pattern(size_t size, uint64_t seed) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(&bytes[at], &word, std::min(sizeof word, size - at));
  }
  return bytes;
}

}  // namespace dogfs::nodes::testing
