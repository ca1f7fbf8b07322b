#include <algorithm>

#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "nodes/client/client.h"

#include "tests/nodes/gated_source.h"
#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr size_t kMiB = limits::kMiB;

struct Outcome {
  std::optional<Result<PutResult>> put;
  std::string bytes;  // what a get gave; only of one that succeeded
  bool got = false;
};

std::string code_of(const std::optional<Result<PutResult>>& put) {
  if (!put) return "not ended";
  return std::string(*put ? "ok" : code_name(put->error().code));
}

Task<> put(Client& client, std::string path, std::string bytes, Outcome& outcome) {
  MemorySource source(std::move(bytes));
  outcome.put = co_await client.put(path, source, {});
}

Task<> get(Client& client, std::string path, Outcome& outcome) {
  MemorySink sink;
  outcome.got = (co_await client.get(path, sink, {})).has_value();
  if (outcome.got) outcome.bytes = std::move(sink.bytes);
}

Outcome run_put(LocalCluster& cluster, std::string path, std::string bytes) {
  Outcome outcome;
  REQUIRE(cluster.run([&](Env&, Client& client) { return put(client, path, bytes, outcome); }));
  return outcome;
}

Outcome run_get(LocalCluster& cluster, std::string path) {
  Outcome outcome;
  REQUIRE(cluster.run([&](Env&, Client& client) { return get(client, path, outcome); }));
  return outcome;
}

Task<> put_gated(Env& env, Client& client, const std::string& bytes, size_t gate, const bool& open,
                 Outcome& outcome) {
  GatedSource source(env, bytes, gate, open);
  outcome.put = co_await client.put("/f", source, {});
}

TEST_CASE("a block that is too large to be kept costs the ones behind it nothing") {
  LocalCluster cluster({.chunks = 9, .block_bytes = 16 * kMiB, .cell_bytes = limits::kMiB / 4});
  cluster.client_options.write_memory = 6 * kMiB;
  const size_t first_block = 16 * kMiB;
  const auto bytes = pattern(first_block + kMiB, 1);
  bool open = false;
  Outcome outcome;
  cluster.start([&](Env& env, Client& client) {
    return put_gated(env, client, bytes, first_block, open, outcome);
  });
  cluster.world.run_for(2s);
  for (const int dead : {1, 2, 3}) cluster.chunk(dead).crash();
  open = true;
  REQUIRE(cluster.finish(60s));
  CHECK_EQ(code_of(outcome.put), "ok");
  cluster.boot_all();  // the first block may have three shards there
  cluster.world.run_for(2s);
  CHECK((run_get(cluster, "/f").bytes == bytes));
}

TEST_CASE("on full disks a put is refused for want of space, and nothing is left of it") {
  LocalCluster cluster({});
  REQUIRE_EQ(code_of(run_put(cluster, "/small", pattern(1000, 1)).put), "ok");
  const uint64_t before = cluster.shards_on_disks();
  for (int i = 1; i <= 6; ++i) cluster.chunk(i).disk_image().set_capacity(kMiB / 2);
  const auto refused = run_put(cluster, "/f", pattern(16 * kMiB, 2));
  CHECK_EQ(code_of(refused.put), "no_space");
  CHECK_FALSE(run_get(cluster, "/f").got);
  cluster.world.run_for(5s);
  CHECK_EQ(cluster.shards_on_disks(), before);
  for (int i = 1; i <= 6; ++i) CHECK_EQ(cluster.chunk(i).disk_image().list("shards")->size(), 1u);
  CHECK_EQ(code_of(run_put(cluster, "/small", pattern(2000, 1)).put), "ok");
}

// One put of three blocks whose commands the test counts.
constexpr size_t kThreeBlocks = 2 * kMiB + 12345;

int commands_of_a_put() {
  LocalCluster cluster({});
  REQUIRE_EQ(code_of(run_put(cluster, "/f", pattern(kThreeBlocks, 1)).put), "ok");
  return cluster.metadata.executed;
}

// Puts, with `lost` replies lost from that of the nth command on.
Outcome put_with_lost_replies(LocalCluster& cluster, const std::string& bytes, int nth, int lost) {
  Outcome outcome;
  cluster.start([&](Env&, Client& client) { return put(client, "/f", bytes, outcome); });
  while (cluster.metadata.executed < nth - 1) REQUIRE(cluster.world.step());
  cluster.metadata.replies_to_lose = lost;
  REQUIRE(cluster.finish(120s));
  cluster.metadata.replies_to_lose = 0;
  return outcome;
}

TEST_CASE("whichever reply of a put is lost, each of its steps is applied once") {
  const auto bytes = pattern(kThreeBlocks, 1);
  const int commands = commands_of_a_put();
  CHECK_GE(commands, 7);
  for (int nth = 1; nth <= commands; ++nth) {
    CAPTURE(nth);
    LocalCluster cluster({});
    CHECK_EQ(code_of(put_with_lost_replies(cluster, bytes, nth, 1).put), "ok");
    CHECK_EQ(cluster.metadata.executed, commands + 1);
    CHECK_EQ(cluster.metadata.machine.counters().files, 1u);
    CHECK_EQ(cluster.metadata.machine.counters().blocks, 3u);
    CHECK_EQ(cluster.metadata.machine.counters().uploads, 0u);
    CHECK((run_get(cluster, "/f").bytes == bytes));
  }
}

TEST_CASE("a put is unknown only when its publish is in doubt, and refused before that") {
  const auto bytes = pattern(kThreeBlocks, 1);
  const int commands = commands_of_a_put();
  for (int nth = 1; nth <= commands; ++nth) {
    CAPTURE(nth);
    LocalCluster cluster({});
    const auto outcome = put_with_lost_replies(cluster, bytes, nth, 1000);
    CHECK_EQ(code_of(outcome.put), nth < commands ? "unavailable" : "unknown");
    const auto got = run_get(cluster, "/f");
    CHECK_EQ(got.got, nth == commands);
    if (got.got) CHECK((got.bytes == bytes));
  }
}

TEST_CASE("a client killed while it replaces a file leaves the old one or the new one") {
  const auto old_bytes = pattern(kMiB, 1), new_bytes = pattern(3 * kMiB, 2);
  int replaced = 0;
  for (int at_ms = 4; at_ms < 80; at_ms += 6) {
    CAPTURE(at_ms);
    LocalCluster cluster({.seed = static_cast<uint64_t>(at_ms)});
    REQUIRE_EQ(code_of(run_put(cluster, "/f", old_bytes).put), "ok");
    Outcome outcome;
    cluster.start([&](Env&, Client& client) { return put(client, "/f", new_bytes, outcome); });
    cluster.world.run_for(std::chrono::milliseconds(at_ms));
    cluster.client_host.crash();
    const auto got = run_get(cluster, "/f");
    REQUIRE(got.got);
    CHECK((got.bytes == new_bytes || (!outcome.put && got.bytes == old_bytes)));
    if (got.bytes == new_bytes) ++replaced;
  }
  CHECK_GT(replaced, 0);
  CHECK_LT(replaced, 13);
}

Task<> put_for_a_while(Env& env, Client& client, Duration patience, Outcome& outcome) {
  MemorySource source(pattern(4 * kMiB, 1));
  outcome.put = co_await within(env, patience, client.put("/f", source, {}));
}

Task<> put_again(Env& env, Client& client, Duration patience, const std::string& bytes,
                 Outcome& first, Outcome& second) {
  co_await put_for_a_while(env, client, patience, first);
  co_await put(client, "/f", bytes, second);
  co_await get(client, "/f", second);
}

uint64_t files_being_written(LocalCluster& cluster) {
  uint64_t count = 0;
  for (int i = 1; i <= 6; ++i)
    for (const auto& file : *cluster.chunk(i).disk_image().list("shards"))
      if (file.name.ends_with(".writing")) ++count;
  return count;
}

TEST_CASE("a put that is cancelled leaves nothing in the way and nothing behind") {
  int cancelled = 0;
  for (int at_ms = 1; at_ms < 40; at_ms += 4) {
    CAPTURE(at_ms);
    LocalCluster cluster({.seed = static_cast<uint64_t>(at_ms)});
    const auto bytes = pattern(kMiB, 7);
    Outcome first, second;
    REQUIRE(cluster.run([&](Env& env, Client& client) {
      return put_again(env, client, std::chrono::milliseconds(at_ms), bytes, first, second);
    }));
    if (code_of(first.put) == "deadline") ++cancelled;
    CHECK_EQ(code_of(second.put), "ok");
    CHECK((second.bytes == bytes));
    for (const auto& upload : cluster.metadata.machine.uploads({}, 10))
      cluster.metadata.apply(metadata::ExpireLease{upload.file, upload.epoch});
    cluster.world.run_for(40s);
    CHECK_EQ(files_being_written(cluster), 0u);
    CHECK_EQ(cluster.shards_on_disks(), 6u);
  }
  CHECK_GT(cancelled, 3);
}

TEST_CASE("a put whose source is slow keeps its lease") {
  LocalCluster cluster({});
  const auto bytes = pattern(kMiB + 5, 1);
  bool open = false;
  Outcome outcome;
  cluster.start([&](Env& env, Client& client) {
    return put_gated(env, client, bytes, kMiB / 2, open, outcome);
  });
  cluster.world.run_for(1s);
  const int before = cluster.metadata.executed;
  cluster.world.run_for(35s);
  CHECK_EQ(cluster.metadata.executed, before + 3);
  open = true;
  REQUIRE(cluster.finish(20s));
  CHECK_EQ(code_of(outcome.put), "ok");
}

TEST_CASE("with too many hung disks a put ends, refused") {
  LocalCluster cluster({});
  const auto bytes = pattern(3 * kMiB, 1);
  Outcome outcome;
  cluster.start([&](Env&, Client& client) { return put(client, "/f", bytes, outcome); });
  cluster.world.run_for(5ms);
  for (const int hung : {2, 5}) cluster.chunk(hung).disk_model().stall_until(kNever);
  REQUIRE(cluster.finish(60s));
  REQUIRE_EQ(code_of(outcome.put), "unavailable");
  CHECK_NE(outcome.put->error().message.find("5 needed and 4 live"), std::string::npos);
  CHECK_FALSE(run_get(cluster, "/f").got);
}

// Zeros, counted.
class EndlessSource final : public ByteSource {
 public:
  explicit EndlessSource(uint64_t& given) : given_(given) {}
  Task<Result<Buffer>> read(size_t max) override {
    given_ += max;
    co_return Buffer::copy(std::string(max, '\0'));
  }

 private:
  uint64_t& given_;
};

Task<> put_endless(Client& client, uint64_t& given) {
  EndlessSource source(given);
  auto stored = co_await client.put("/f", source, {});
  CHECK_FALSE(stored);
}

TEST_CASE("a put reads no more of its source than it may keep for servers that are slow") {
  LocalCluster cluster({.block_bytes = 64 * kMiB, .cell_bytes = limits::kMiB / 4});
  uint64_t given = 0;
  cluster.start([&](Env&, Client& client) { return put_endless(client, given); });
  cluster.world.run_for(10ms);
  for (int i = 1; i <= 6; ++i) cluster.chunk(i).disk_model().stall_until(kNever);
  cluster.world.run_for(2s);
  // 4 MiB for each of 4 data shards, a batch on top of that, and what the disks took before.
  CHECK_GE(given, 8 * kMiB);
  CHECK_LE(given, 24 * kMiB);
  cluster.client_host.crash();
}

bool has_shard(sim::Host& host) {
  const auto files = host.disk_image().list("shards");
  return files && std::ranges::any_of(*files, [](const DirectoryEntry& file) {
           return file.name.ends_with(".shard");
         });
}

TEST_CASE("a shard that is there when its server died before it could say so counts") {
  for (const size_t size : {100'000ul, 4 * kMiB}) {  // shards in one call, and in many
    CAPTURE(size);
    LocalCluster cluster({.block_bytes = 4 * kMiB});
    const auto bytes = pattern(size, 1);
    Outcome outcome;
    cluster.start([&](Env&, Client& client) { return put(client, "/f", bytes, outcome); });
    while (!has_shard(cluster.chunk(3))) REQUIRE(cluster.world.step());
    REQUIRE_FALSE(outcome.put);
    cluster.chunk(3).crash();
    cluster.chunk(3).boot();
    REQUIRE(cluster.finish(20s));
    REQUIRE_EQ(code_of(outcome.put), "ok");
    CHECK_EQ((*outcome.put)->blocks_below_full_width, 0u);
    CHECK((run_get(cluster, "/f").bytes == bytes));
  }
}

}  // namespace
}  // namespace dogfs::nodes::testing
