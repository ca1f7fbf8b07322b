#include "nodes/client/client.h"
#include "sim/world/disk_content.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr size_t kMiB = limits::kMiB;

struct Outcome {
  std::string code = "not ended";
  std::string bytes;
  uint64_t rebuilt = 0;
};

Task<> put(Client& client, std::string path, std::string bytes, Outcome& outcome) {
  MemorySource source(std::move(bytes));
  auto stored = co_await client.put(path, source, {});
  outcome.code = stored ? "ok" : code_name(stored.error().code);
}

Task<> get(Client& client, std::string path, Outcome& outcome) {
  MemorySink sink;
  auto got = co_await client.get(path, sink, {});
  outcome.code = got ? "ok" : code_name(got.error().code);
  if (!got) co_return;
  outcome.rebuilt = got->rebuilt_bytes;
  outcome.bytes = std::move(sink.bytes);
}

void store(LocalCluster& cluster, const std::string& path, const std::string& bytes) {
  Outcome outcome;
  REQUIRE(cluster.run([&](Env&, Client& client) { return put(client, path, bytes, outcome); }));
  REQUIRE_EQ(outcome.code, "ok");
}

TEST_CASE("a get waits for its servers as long as it may, however often they refuse") {
  LocalCluster cluster({});
  cluster.client_options.read_limit = 25s;
  const auto bytes = pattern(kMiB, 1);
  store(cluster, "/f", bytes);
  for (const int dead : {1, 2, 3}) cluster.chunk(dead).crash();
  Outcome outcome;
  cluster.start([&](Env&, Client& client) { return get(client, "/f", outcome); });
  cluster.world.run_for(15s);
  REQUIRE_EQ(outcome.code, "not ended");
  cluster.chunk(2).boot();
  REQUIRE(cluster.finish(20s));
  CHECK_EQ(outcome.code, "ok");
  CHECK((outcome.bytes == bytes));
}

// The first shard of a disk becomes that of the other disk, which has the same name.
void replace_shard(sim::Host& host, sim::Host& other) {
  const std::string path = "shards/" + host.disk_image().list("shards")->front().name;
  const std::string* bytes = other.disk_image().durable_bytes(path);
  REQUIRE(bytes != nullptr);
  const auto file = *host.disk_image().open(path, OpenMode::kWrite);
  REQUIRE(host.disk_image().write(file, 0, Buffer::copy(*bytes)));
  host.disk_image().sync(file, host.disk_image().sync_mark(file));
}

TEST_CASE("a stale shard, whole but not what the block's row says, is rebuilt, not believed") {
  for (const char* policy : {"rs-4-2", "rep-3"}) {
    CAPTURE(policy);
    LocalCluster cluster({.policy = policy});
    LocalCluster twin({.policy = policy});  // gives the same block the same servers
    const auto bytes = pattern(kMiB, 1);
    store(cluster, "/f", bytes);
    store(twin, "/f", pattern(kMiB, 2));
    for (int i = 1, stale = 0; i <= 6 && stale < 2; ++i) {
      if (cluster.chunk(i).disk_image().list("shards")->empty()) continue;
      cluster.chunk(i).crash();
      replace_shard(cluster.chunk(i), twin.chunk(i));
      cluster.chunk(i).boot();
      ++stale;
    }
    cluster.world.run_for(3s);
    Outcome outcome;
    REQUIRE(cluster.run([&](Env&, Client& client) { return get(client, "/f", outcome); }));
    CHECK_EQ(outcome.code, "ok");
    CHECK((outcome.bytes == bytes));
  }
}

}  // namespace
}  // namespace dogfs::nodes::testing
