#include "core/env/nursery.h"
#include "nodes/client/client.h"
#include "nodes/client/server_health.h"
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

// Reads the same file again and again; how long each took.
Task<> get_often(Env& env, Client& client, std::string path, int times, std::vector<Duration>& took,
                 Outcome& outcome) {
  for (int i = 0; i < times; ++i) {
    const Instant begin = env.now();
    co_await get(client, path, outcome);
    took.push_back(env.now() - begin);
  }
}

TEST_CASE(
    "a server that falls silent is asked around, soon after reads usually take, and avoided") {
  LocalCluster cluster({});
  const auto bytes = pattern(kMiB, 1);
  store(cluster, "/f", bytes);
  Outcome outcome;
  std::vector<Duration> took;
  cluster.start(
      [&](Env& env, Client& client) { return get_often(env, client, "/f", 60, took, outcome); });
  while (took.size() < 20) cluster.world.run_for(1ms);
  cluster.chunk(2).disk_model().stall_until(kNever);
  REQUIRE(cluster.finish(30s));
  CHECK_EQ(outcome.code, "ok");
  CHECK((outcome.bytes == bytes));
  const auto longest = *std::ranges::max_element(took);
  CHECK_LE(to_ms(longest), 300);  // and not the second that a client waits which knows nothing yet
  // It holds up the read that finds out, and those that try it again, one in five seconds.
  CHECK_LE(std::ranges::count_if(took, [](Duration each) { return each > 40ms; }), 3);
}

TEST_CASE("what is usual is twice what few reads exceeded lately, within bounds") {
  ServerHealth health;
  CHECK_EQ(to_ms(health.hedge_after(1s)), 1000);
  for (int i = 0; i < 1000; ++i) health.took(1ms);
  CHECK_EQ(to_ms(health.hedge_after(1s)), 50);
  CHECK_EQ(to_ms(health.hedge_after(20ms)), 20);
  for (int i = 0; i < 1000; ++i) health.took(i % 10 == 0 ? 200ms : 1ms);
  CHECK_EQ(to_ms(health.hedge_after(1s)), 400);
  for (int i = 0; i < 1000; ++i) health.took(2s);
  CHECK_EQ(to_ms(health.hedge_after(1s)), 1000);
  const Instant now = Instant(1h);
  health.was_slow(NodeId(1), now);
  CHECK(health.doubtful_for_reads(NodeId(1), now + 4s));
  CHECK_FALSE(health.doubtful(NodeId(1), now + 4s));
  CHECK_FALSE(health.doubtful_for_reads(NodeId(1), now + 6s));
}

std::string only_shard(sim::Host& host) {
  return "shards/" + host.disk_image().list("shards")->front().name;
}

TEST_CASE("a disk that cannot read for a moment is asked again, and does not count as damage") {
  LocalCluster cluster({});
  const auto bytes = pattern(kMiB, 1);
  store(cluster, "/f", bytes);
  for (const int rotten : {1, 2})
    REQUIRE(cluster.chunk(rotten).disk_image().rot(only_shard(cluster.chunk(rotten)), 9000, 1));
  cluster.chunk(3).disk_model().set_rates({.read_error = 1'000'000});
  Outcome outcome;
  cluster.start([&](Env&, Client& client) { return get(client, "/f", outcome); });
  cluster.world.run_for(1s);
  REQUIRE_EQ(outcome.code, "not ended");
  cluster.chunk(3).disk_model().set_rates({});
  REQUIRE(cluster.finish(20s));
  CHECK_EQ(outcome.code, "ok");
  CHECK((outcome.bytes == bytes));
}

TEST_CASE("a disk that cannot read at all makes a file unavailable, not damaged for good") {
  LocalCluster cluster({});
  store(cluster, "/f", pattern(kMiB, 1));
  for (const int unreadable : {1, 2, 3})
    cluster.chunk(unreadable).disk_model().set_rates({.read_error = 1'000'000});
  Outcome outcome;
  REQUIRE(cluster.run([&](Env&, Client& client) { return get(client, "/f", outcome); }));
  CHECK_EQ(outcome.code, "unavailable");
}

// The first shard of a disk becomes that of the other disk, which has the same name.
void replace_shard(sim::Host& host, sim::Host& other) {
  const std::string path = only_shard(host);
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

// Takes one piece, and the others only when told.
class StuckSink final : public ByteSink {
 public:
  StuckSink(Env& env, const bool& stuck) : env_(env), stuck_(stuck) {}
  Task<Result<void>> write(Buffer piece) override {
    bytes += piece.text();
    while (stuck_) co_await env_.sleep(10ms);
    co_return Result<void>();
  }
  std::string bytes;

 private:
  Env& env_;
  const bool& stuck_;
};

Task<> get_stuck(Env& env, Client& client, const bool& stuck, Outcome& outcome) {
  StuckSink sink(env, stuck);
  auto got = co_await client.get("/f", sink, {});
  outcome.code = got ? "ok" : code_name(got.error().code);
  outcome.bytes = std::move(sink.bytes);
}

uint64_t disk_operations(LocalCluster& cluster) {
  uint64_t count = 0;
  for (int i = 1; i <= 6; ++i) count += cluster.chunk(i).disk_model().operations();
  return count;
}

TEST_CASE("a get asks for no more than it may keep for a sink that is slow") {
  LocalCluster cluster({.block_bytes = 16 * kMiB});
  cluster.client_options.read_ahead = 4 * kMiB;
  const auto bytes = pattern(60 * kMiB, 1);
  store(cluster, "/f", bytes);
  bool stuck = true;
  Outcome outcome;
  const uint64_t begin = disk_operations(cluster);
  cluster.start([&](Env& env, Client& client) { return get_stuck(env, client, stuck, outcome); });
  cluster.world.run_for(3s);
  const uint64_t while_stuck = disk_operations(cluster) - begin;
  // A second piece at most, of fifteen; and the heartbeats, which look at the space.
  cluster.world.run_for(3s);
  const uint64_t idle = disk_operations(cluster) - begin - while_stuck;
  stuck = false;
  REQUIRE(cluster.finish(20s));
  CHECK_EQ(outcome.code, "ok");
  CHECK((outcome.bytes == bytes));
  CHECK_GE(while_stuck, idle + 4);
  CHECK_LE(while_stuck, idle + 2 * 4 * 4);
}

// `path` becomes 512 times `bytes`, each in a block of its own or of a copy: more than one answer
// of the leader names.
Task<> make_long(Client& client, std::string path, std::string bytes, Outcome& outcome) {
  co_await put(client, path, std::move(bytes), outcome);
  for (int i = 0; i < 9; ++i) {
    const std::string half = path + "-half";
    const auto copied = co_await client.copy(path, half, true);
    const auto joined = co_await client.concatenate(path, {half});
    if (!copied || !joined) outcome.code = "not joined";
  }
}

using Change = Task<Result<Changed>> (*)(Client&);

Task<> change_while_read(Nursery& children, Env& env, Client& client, Change change,
                         Outcome& outcome) {
  bool stuck = true;
  children.spawn(get_stuck(env, client, stuck, outcome));
  co_await env.sleep(1s);
  const auto changed = co_await change(client);
  stuck = false;
  co_await children.join();
  if (!changed) outcome.code = "not changed";
}

Task<> read_while(Env& env, Client& client, Change change, Outcome& outcome) {
  co_await nursery(env, [&](Nursery& children) {
    return change_while_read(children, env, client, change, outcome);
  });
}

Task<Result<Changed>> cut_and_grow(Client& client) {
  CO_TRY_VOID(co_await client.truncate("/f", 3'000));
  co_return co_await client.concatenate("/f", {"/g"});
}
Task<Result<Changed>> cut(Client& client) { return client.truncate("/f", 3'000); }
Task<Result<Changed>> remove(Client& client) { return client.remove("/f", false); }
Task<Result<Changed>> grow(Client& client) { return client.concatenate("/f", {"/g"}); }
Task<Result<Changed>> change_mode(Client& client) {
  metadata::SetAttributes changes{.path = "/f"};
  changes.mode = 0600;
  return client.set_attributes(std::move(changes));
}

TEST_CASE("a get gives the bytes of one moment, or none when the rest of them is no more") {
  const std::pair<Change, bool> kChanges[] = {
      {cut_and_grow, false}, {cut, false}, {remove, false}, {grow, true}, {change_mode, true}};
  const std::string bytes = pattern(100, 1), others = pattern(100, 2);
  for (const auto& [change, goes_on] : kChanges) {
    LocalCluster cluster({});
    cluster.client_options.read_ahead = 1;
    Outcome made;
    for (const auto& [path, content] : {std::pair("/f", bytes), std::pair("/g", others)}) {
      REQUIRE(cluster.run(
          [&](Env&, Client& client) { return make_long(client, path, content, made); }, 60s));
      REQUIRE_EQ(made.code, "ok");
    }
    Outcome outcome;
    REQUIRE(cluster.run(
        [&](Env& env, Client& client) { return read_while(env, client, change, outcome); }, 60s));
    CHECK_EQ(outcome.code, goes_on ? "ok" : "unavailable");
    std::string whole;
    for (int i = 0; i < 512; ++i) whole += bytes;
    CHECK(whole.starts_with(outcome.bytes));
    CHECK_EQ(outcome.bytes.size() == whole.size(), goes_on);
  }
}

// The ways to lose the one shard of a server.
enum class Loss { kRotten, kMissing, kStale, kHung, kDead, kUnreadable };
constexpr Loss kLosses[] = {Loss::kRotten, Loss::kMissing, Loss::kStale,
                            Loss::kHung,   Loss::kDead,    Loss::kUnreadable};

void lose(LocalCluster& cluster, LocalCluster& twin, int chunk, Loss loss) {
  sim::Host& host = cluster.chunk(chunk);
  const std::string path = "shards/" + host.disk_image().list("shards")->front().name;
  switch (loss) {
    case Loss::kRotten: REQUIRE(host.disk_image().rot(path, 70'000, 3)); break;
    case Loss::kMissing: REQUIRE(host.disk_image().remove(path)); break;
    case Loss::kStale: replace_shard(host, twin.chunk(chunk)); break;
    case Loss::kHung: host.disk_model().stall_until(kNever); break;
    case Loss::kDead: host.power_off(); break;
    case Loss::kUnreadable: REQUIRE(host.disk_image().add_latent_error(path, 70'000)); break;
  }
}

// What a get gives when chunks 1, 2, ... lost their shards in these ways.
Outcome get_after(const std::vector<Loss>& losses, const std::string& bytes) {
  LocalCluster cluster({});
  LocalCluster twin({});
  store(cluster, "/f", bytes);
  store(twin, "/f", pattern(bytes.size(), 99));
  for (int i = 1; i <= 6; ++i) cluster.chunk(i).crash();  // forget what they have open
  cluster.boot_all();
  cluster.world.run_for(1s);
  for (size_t i = 0; i < losses.size(); ++i)
    lose(cluster, twin, static_cast<int>(i + 1), losses[i]);
  Outcome outcome;
  // Twice its limit at most: what became known as lost meanwhile may be elsewhere by then.
  REQUIRE(cluster.run([&](Env&, Client& client) { return get(client, "/f", outcome); }, 20s));
  return outcome;
}

TEST_CASE("any two shards of rs-4-2 may be lost in any two ways, and a third costs an error") {
  const auto bytes = pattern(kMiB, 1);
  for (const Loss first : kLosses)
    for (const Loss second : kLosses) {
      CAPTURE(static_cast<int>(first));
      CAPTURE(static_cast<int>(second));
      const auto outcome = get_after({first, second}, bytes);
      CHECK_EQ(outcome.code, "ok");
      CHECK((outcome.bytes == bytes));
    }
  for (const Loss third : kLosses) {
    CAPTURE(static_cast<int>(third));
    const auto outcome = get_after({Loss::kRotten, third, Loss::kMissing}, bytes);
    CHECK((outcome.code == "corrupt" || outcome.code == "unavailable"));
    CHECK(outcome.bytes.empty());
  }
}

}  // namespace
}  // namespace dogfs::nodes::testing
