// Bytes on the disks of chunk servers change behind their backs: what is read is right, or an
// error, and the damage becomes known to the metadata.
#include <string>
#include <vector>

#include "core/chunk/shard_file.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr size_t kFileBytes = 150'000;  // three stripes, the last one short

Task<> put_file(Client& client, std::string path, uint64_t seed, std::string& code) {
  MemorySource source(pattern(kFileBytes, seed));
  auto put = co_await client.put(path, source, {});
  code = put ? "ok" : code_name(put.error().code);
}

Task<> get_file(Client& client, std::string path, std::string& bytes) {
  MemorySink sink;
  if (co_await client.get(path, sink, {})) bytes = sink.bytes;
}

class DamageWorld {
 public:
  explicit DamageWorld(const LocalClusterOptions& options) : cluster(options) {}

  void put(const std::string& path, uint64_t seed) {
    std::string code;
    REQUIRE(cluster.run([&](Env&, Client& client) { return put_file(client, path, seed, code); }));
    REQUIRE_EQ(code, "ok");
  }
  bool reads_right(const std::string& path, uint64_t seed) {
    std::string bytes;
    REQUIRE(cluster.run([&](Env&, Client& client) { return get_file(client, path, bytes); }));
    return bytes == pattern(kFileBytes, seed);
  }
  // The shard files of one server.
  std::vector<std::string> shards(int number) {
    std::vector<std::string> paths;
    for (const auto& path : cluster.chunk(number).disk_image().files())
      if (path.ends_with(".shard")) paths.push_back(path);
    return paths;
  }
  uint64_t narrow() const { return cluster.metadata.machine.counters().blocks_below_full_width; }
  void restart(int number) {
    cluster.chunk(number).crash();
    cluster.chunk(number).boot();
  }
  // What is on the disk now, durably: the content of one file under the name of another.
  void copy_over(int number, const std::string& from, const std::string& to) {
    auto& image = cluster.chunk(number).disk_image();
    const std::string bytes = *image.durable_bytes(from);
    const auto file = image.open(to, OpenMode::kWrite).value();
    CHECK(image.truncate(file, 0));
    CHECK(image.write(file, 0, Buffer::copy(bytes)));
    image.sync(file, image.sync_mark(file));
  }

  LocalCluster cluster;
};

// One byte of each part of a shard file: cells, table, footer.
std::vector<uint64_t> parts_of(uint64_t file_bytes, uint64_t shard_length) {
  return {0,
          1,
          shard_length / 2,
          shard_length - 1,
          shard_length,
          shard_length + 3,
          file_bytes - chunk::kShardFooterBytes,
          file_bytes - chunk::kShardFooterBytes + 5,
          file_bytes - 60,
          file_bytes - 12,
          file_bytes - 1};
}

TEST_CASE("a flipped bit anywhere in a shard file is never read, and becomes known") {
  constexpr uint64_t kShardBytes = kFileBytes / 4;
  constexpr uint64_t kCells = 3;
  constexpr uint64_t kWhole = kShardBytes + 4 * kCells + chunk::kShardFooterBytes;
  const auto parts = parts_of(kWhole, kShardBytes);
  for (size_t part = 0; part < parts.size(); ++part) {
    CAPTURE(part);
    DamageWorld world(
        {.seed = part + 1, .scrub = {.bytes_per_second = limits::kMiB, .delay = 4s, .every = 4s}});
    world.put("/f", 7);
    const int victim = 1 + static_cast<int>(part % 6);
    const auto paths = world.shards(victim);
    REQUIRE_EQ(paths.size(), 1u);
    auto& image = world.cluster.chunk(victim).disk_image();
    REQUIRE_EQ(image.durable_bytes(paths[0])->size(), kWhole);
    REQUIRE(image.rot(paths[0], parts[part], part % 8));
    CHECK(world.reads_right("/f", 7));
    world.restart(victim);
    world.cluster.world.run_for(3s);
    CHECK(world.reads_right("/f", 7));
    world.cluster.world.run_for(8s);
    CHECK_EQ(world.narrow(), 1u);
    CHECK(world.reads_right("/f", 7));
  }
}

TEST_CASE("the scrub finds damage that nobody reads, and its repair would be known") {
  DamageWorld world(
      {.disks = 2, .scrub = {.bytes_per_second = limits::kMiB, .delay = 2s, .every = 10s}});
  for (uint64_t i = 0; i < 4; ++i) world.put(fmt::format("/f{}", i), i);
  world.cluster.world.run_for(15s);
  CHECK_EQ(world.narrow(), 0u);
  const auto paths = world.shards(2);
  REQUIRE_EQ(paths.size(), 4u);
  auto& image = world.cluster.chunk(2).disk_image();
  REQUIRE(image.rot(paths[1], 20'000, 2));
  REQUIRE(image.add_latent_error(paths[2], 512));
  world.cluster.world.run_for(30s);
  CHECK_EQ(world.narrow(), 2u);
  // A file that vanished is missed at the next start.
  REQUIRE(image.remove(paths[3]));
  world.restart(2);
  world.cluster.world.run_for(10s);
  CHECK_EQ(world.narrow(), 3u);
  for (uint64_t i = 0; i < 4; ++i) CHECK(world.reads_right(fmt::format("/f{}", i), i));
}

TEST_CASE("what lay on a disk that failed is known as lost, and as there when it is back") {
  DamageWorld world({.disks = 2});
  for (uint64_t i = 0; i < 8; ++i) world.put(fmt::format("/f{}", i), i);
  uint64_t there = 0;
  for (const auto& path : world.shards(2)) there += path.starts_with("disk-2");
  REQUIRE_GT(there, 0u);
  world.cluster.chunk(2).disk_model().kill_below("disk-2");
  for (uint64_t i = 8; i < 12; ++i) world.put(fmt::format("/f{}", i), i);
  for (uint64_t i = 0; i < 12; ++i) CHECK(world.reads_right(fmt::format("/f{}", i), i));
  world.cluster.world.run_for(15s);
  CHECK_GE(world.narrow(), there);
  const uint64_t during = world.narrow();
  world.cluster.chunk(2).disk_model().revive();
  world.restart(2);
  world.cluster.world.run_for(15s);
  CHECK_EQ(world.narrow(), during - there);
  for (uint64_t i = 0; i < 12; ++i) CHECK(world.reads_right(fmt::format("/f{}", i), i));
}

// Whole files in each other's places, and parts of one over another, all the swaps there are.
TEST_CASE("a shard file in the place of another never goes unnoticed") {
  DamageWorld world({.policy = "rep-3"});
  for (uint64_t i = 0; i < 4; ++i) world.put(fmt::format("/f{}", i), i);
  for (int victim = 1; victim <= 6; ++victim) {
    const auto paths = world.shards(victim);
    for (size_t i = 0; i < paths.size(); ++i)
      for (size_t j = 0; j < paths.size(); ++j) {
        if (i == j) continue;
        CAPTURE(victim);
        auto& image = world.cluster.chunk(victim).disk_image();
        const std::string kept = *image.durable_bytes(paths[j]);
        world.cluster.chunk(victim).crash();
        world.copy_over(victim, paths[i], paths[j]);
        world.cluster.chunk(victim).boot();
        world.cluster.world.run_for(4s);
        CHECK_EQ(world.narrow(), 1u);
        for (uint64_t f = 0; f < 4; ++f) CHECK(world.reads_right(fmt::format("/f{}", f), f));
        // Back again: then it is sound.
        world.cluster.chunk(victim).crash();
        const auto file = image.open(paths[j], OpenMode::kWrite).value();
        CHECK(image.write(file, 0, Buffer::copy(kept)));
        image.sync(file, image.sync_mark(file));
        world.cluster.chunk(victim).boot();
        world.cluster.world.run_for(4s);
        CHECK_EQ(world.narrow(), 0u);
      }
  }
}

TEST_CASE("a cell of one shard file that is written into another never goes unnoticed") {
  constexpr size_t kCell = 16 * limits::kKiB;
  DamageWorld world({.policy = "rep-2",
                     .scrub = {.bytes_per_second = 4 * limits::kMiB, .delay = 1s, .every = 2s}});
  for (uint64_t i = 0; i < 4; ++i) world.put(fmt::format("/f{}", i), i);
  uint64_t spoiled = 0;
  for (int victim = 1; victim <= 3; ++victim) {
    const auto paths = world.shards(victim);
    if (paths.size() < 2 || spoiled > 0) continue;
    auto& image = world.cluster.chunk(victim).disk_image();
    const std::string other = *image.durable_bytes(paths[0]);
    const auto file = image.open(paths[1], OpenMode::kWrite).value();
    CHECK(image.write(file, 2 * kCell, Buffer::copy(other.substr(2 * kCell, kCell))));
    image.sync(file, image.sync_mark(file));
    ++spoiled;
  }
  REQUIRE_EQ(spoiled, 1u);
  for (uint64_t f = 0; f < 4; ++f) CHECK(world.reads_right(fmt::format("/f{}", f), f));
  world.cluster.world.run_for(10s);
  CHECK_EQ(world.narrow(), 1u);
  for (uint64_t f = 0; f < 4; ++f) CHECK(world.reads_right(fmt::format("/f{}", f), f));
}

TEST_CASE("a shard file that got the name of another is missed, and not taken for it") {
  DamageWorld world({.policy = "rep-3"});
  for (uint64_t i = 0; i < 4; ++i) world.put(fmt::format("/f{}", i), i);
  uint64_t renamed = 0;
  for (int victim = 1; victim <= 6 && renamed == 0; ++victim) {
    const auto paths = world.shards(victim);
    if (paths.size() < 2) continue;
    auto& image = world.cluster.chunk(victim).disk_image();
    REQUIRE(image.rename(paths[0], paths[1]));
    renamed += 2;
    for (uint64_t f = 0; f < 4; ++f) CHECK(world.reads_right(fmt::format("/f{}", f), f));
    world.restart(victim);
  }
  REQUIRE_EQ(renamed, 2u);
  world.cluster.world.run_for(5s);
  CHECK_EQ(world.narrow(), renamed);
  for (uint64_t f = 0; f < 4; ++f) CHECK(world.reads_right(fmt::format("/f{}", f), f));
}

}  // namespace
}  // namespace dogfs::nodes::testing
