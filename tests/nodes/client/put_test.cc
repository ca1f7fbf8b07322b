#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "nodes/client/client.h"

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

// Gives `bytes`, but goes on behind `gate` only when that is open.
class GatedSource final : public ByteSource {
 public:
  GatedSource(Env& env, const std::string& bytes, size_t gate, const bool& open)
      : env_(env), bytes_(Buffer::copy(bytes)), gate_(gate), open_(open) {}
  Task<Result<Buffer>> read(size_t max) override {
    while (at_ == gate_ && !open_) co_await env_.sleep(10ms);
    const size_t end = at_ < gate_ ? gate_ : bytes_.size();
    const Buffer piece = bytes_.slice(at_, std::min(max, end - at_));
    at_ += piece.size();
    co_return piece;
  }

 private:
  Env& env_;
  const Buffer bytes_;
  const size_t gate_;
  const bool& open_;
  size_t at_ = 0;
};

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

}  // namespace
}  // namespace dogfs::nodes::testing
