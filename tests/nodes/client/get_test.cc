#include "nodes/client/client.h"

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

}  // namespace
}  // namespace dogfs::nodes::testing
