// Compaction of packs by chunk servers, on a simulated world with one metadata server.

#include "core/env/nursery.h"
#include "nodes/client/appender.h"

#include "tests/nodes/small_files.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr int kWriters = 4;
constexpr int kFiles = 20;  // of each writer; what is kept does not go at once
constexpr size_t kMost = 20'000;

// Every fourth file is kept.
bool kept(int number) { return number % 4 == 0; }

// Many files in one block, sealed, converted, and nothing of before is left.
Put put_settled(LocalCluster& cluster) {
  Put put;
  REQUIRE(cluster.run([&](Env& env, Client& client) -> Task<> {
    co_await nursery(env, [&](Nursery& children) {
      return put_at_once(env, client, children, kWriters, kFiles, kMost, 0ms, put);
    });
  }));
  REQUIRE_EQ(put.done.size(), size_t{kWriters * kFiles});
  cluster.world.run_for(60s);
  REQUIRE_EQ(blocks(cluster), 1u);
  REQUIRE(cluster.metadata.machine.append_blocks({}, 1).empty());
  REQUIRE(cluster.metadata.machine.formers({}, 1).empty());
  return put;
}

// What is left is less than half.
void remove_most(LocalCluster& cluster, Put& put) {
  for (int writer = 0; writer < kWriters; ++writer)
    for (int i = 0; i < kFiles; ++i) {
      if (kept(i)) continue;
      CHECK(remove(cluster, path_of(writer, i)).has_value());
      put.done.erase(path_of(writer, i));
    }
  REQUIRE_EQ(cluster.metadata.machine.sparse_blocks({}, 10).size(), 1u);
}

void run_until(LocalCluster& cluster, const std::function<bool()>& reached, Duration limit) {
  const Instant end = cluster.world.now() + limit;
  while (!reached() && cluster.world.now() < end) cluster.world.run_for(1ms);
  CHECK(reached());
}

sim::Host& host_of(LocalCluster& cluster, NodeId node) {
  const auto& name = cluster.metadata.machine.cluster_map().find(node)->name;
  const auto& hosts = cluster.world.hosts();
  return **std::ranges::find_if(hosts, [&](const auto& host) { return host->name() == name; });
}

BlockId only_sparse(LocalCluster& cluster) {
  return cluster.metadata.machine.sparse_blocks({}, 1).at(0).block;
}

bool is_gone(LocalCluster& cluster, BlockId block) {
  return cluster.metadata.machine.referrers(block, {}).error().is(Code::kNotFound);
}

}  // namespace

TEST_CASE("what files have left of a block is moved elsewhere, and its shards are deleted") {
  LocalCluster cluster({.block_bytes = 4 * limits::kMiB, .inline_bytes = kInline, .pack = true});
  Put put = put_settled(cluster);
  const auto before = cluster.metadata.machine.counters();
  remove_most(cluster, put);
  const BlockId old = only_sparse(cluster);
  cluster.world.run_for(10s);
  CHECK_EQ(cluster.metadata.moves, 0);

  cluster.metadata.compacts = true;
  run_until(cluster, [&] { return is_gone(cluster, old); }, 10s);
  CHECK_EQ(cluster.metadata.moves, static_cast<int>(put.done.size()));
  check_sound(cluster);
  check_files(cluster, put, kWriters, kFiles, kMost);
  CHECK_EQ(cluster.metadata.machine.counters().pack_bytes, 0u);

  // The new block is sealed and converted, too, and is left alone.
  cluster.world.run_for(90s);
  const auto after = cluster.metadata.machine.counters();
  CHECK_EQ(after.garbage_blocks, 0u);
  CHECK_EQ(after.blocks, 1u);
  CHECK_EQ(after.pack_bytes, after.packed_bytes);
  CHECK_LT(2 * after.placed_bytes, before.placed_bytes);
  CHECK_EQ(cluster.shards_on_disks(), 6u);
  CHECK_EQ(cluster.metadata.moves, static_cast<int>(put.done.size()));
  check_sound(cluster);
  check_files(cluster, put, kWriters, kFiles, kMost);
}

TEST_CASE("a compaction that is cut off by a crash is ended by another server") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    LocalCluster cluster(
        {.seed = seed, .block_bytes = 4 * limits::kMiB, .inline_bytes = kInline, .pack = true});
    Put put = put_settled(cluster);
    remove_most(cluster, put);
    const auto sparse = cluster.metadata.machine.sparse_blocks({}, 1).at(0);
    cluster.metadata.compacts = true;
    run_until(cluster, [&] { return cluster.metadata.moves > 0; }, 10s);
    CHECK_LT(cluster.metadata.moves, static_cast<int>(put.done.size()));
    host_of(cluster, sparse.nodes.front()).crash();
    run_until(cluster, [&] { return is_gone(cluster, sparse.block); }, 60s);
    CHECK_EQ(cluster.metadata.moves, static_cast<int>(put.done.size()));
    check_sound(cluster);
    check_files(cluster, put, kWriters, kFiles, kMost);
    cluster.boot_all();
    cluster.world.run_for(90s);
    check_sound(cluster);
    check_files(cluster, put, kWriters, kFiles, kMost);
    CHECK_EQ(cluster.metadata.machine.counters().garbage_blocks, 0u);
  }
}

TEST_CASE("copied, cut, joined and appended files are the same after a compaction") {
  LocalCluster cluster({.block_bytes = 4 * limits::kMiB, .inline_bytes = kInline, .pack = true});
  Put put = put_settled(cluster);
  const std::string a = bytes_of(0, 0, kMost);
  const std::string b = bytes_of(1, 0, kMost);
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    CHECK((co_await client.copy(path_of(0, 0), "/copy", false)).has_value());
    CHECK((co_await client.copy(path_of(0, 0), "/cut", false)).has_value());
    CHECK((co_await client.truncate("/cut", 900)).has_value());
    CHECK((co_await client.copy(path_of(0, 0), "/joined", false)).has_value());
    CHECK((co_await client.copy(path_of(0, 0), "/again", false)).has_value());
    CHECK((co_await client.concatenate("/joined", {path_of(1, 0), "/again"})).has_value());
    CHECK((co_await client.copy(path_of(0, 0), "/appended", false)).has_value());
    auto appender = co_await client.open_append("/appended", {});
    REQUIRE(appender.has_value());
    CHECK((co_await (*appender)->append(Buffer::copy("more"))).has_value());
  }));
  put.done.erase(path_of(1, 0));
  for (int writer = 0; writer < kWriters; ++writer)
    for (int i = 1; i < kFiles; ++i) {
      CHECK(remove(cluster, path_of(writer, i)).has_value());
      put.done.erase(path_of(writer, i));
    }
  const BlockId old = only_sparse(cluster);
  cluster.metadata.compacts = true;
  run_until(cluster, [&] { return is_gone(cluster, old); }, 10s);
  check_sound(cluster);
  const auto check = [&] {
    check_files(cluster, put, kWriters, 1, kMost);
    CHECK((read(cluster, "/copy") == a));
    CHECK((read(cluster, "/cut") == a.substr(0, 900)));
    CHECK((read(cluster, "/joined") == a + b + a));
    CHECK((read(cluster, "/appended") == a + "more"));
  };
  check();
  // The bytes that several files have are there once.
  cluster.world.run_for(90s);
  const size_t distinct =
      a.size() + 900 + b.size() + bytes_of(2, 0, kMost).size() + bytes_of(3, 0, kMost).size();
  CHECK_EQ(cluster.metadata.machine.counters().pack_bytes, distinct);
  check_sound(cluster);
  check();
}

TEST_CASE("bytes that one server lost are rebuilt when they are moved") {
  LocalCluster cluster({.block_bytes = 4 * limits::kMiB, .inline_bytes = kInline, .pack = true});
  Put put = put_settled(cluster);
  remove_most(cluster, put);
  const auto sparse = cluster.metadata.machine.sparse_blocks({}, 1).at(0);
  host_of(cluster, sparse.nodes.front()).power_off();
  cluster.metadata.compacts = true;
  run_until(cluster, [&] { return is_gone(cluster, sparse.block); }, 60s);
  check_sound(cluster);
  check_files(cluster, put, kWriters, kFiles, kMost);
}

namespace {

// Takes one piece, and then waits to be let on.
class PausedSink final : public ByteSink {
 public:
  explicit PausedSink(Env& env) : begun(env), go_on(env) {}
  Task<Result<void>> write(Buffer piece) override {
    bytes += piece.text();
    begun.set();
    co_await go_on.wait();
    co_return Result<void>();
  }
  Event begun;
  Event go_on;
  std::string bytes;
};

using Meanwhile = std::function<Task<>(Env&, Client&)>;

Task<> get_into(Client& client, std::string path, PausedSink& sink, std::string& code) {
  const auto got = co_await client.get(path, sink, {});
  code = got ? "ok" : code_name(got.error().code);
  sink.begun.set();
}

Task<> get_while(Env& env, Client& client, Nursery& children, std::string path, PausedSink& sink,
                 const Meanwhile& meanwhile, std::string& code) {
  children.spawn(get_into(client, path, sink, code));
  co_await sink.begun.wait();
  co_await meanwhile(env, client);
  sink.go_on.set();
  co_await children.join();
}

// "ok" and the bytes, or the error's name, of a get during which that happens.
std::pair<std::string, std::string> get_across(LocalCluster& cluster, const std::string& path,
                                               const Meanwhile& meanwhile) {
  cluster.client_options.read_ahead = 1;
  std::pair<std::string, std::string> out;
  REQUIRE(cluster.run(
      [&](Env& env, Client& client) -> Task<> {
        PausedSink sink(env);
        co_await nursery(env, [&](Nursery& children) {
          return get_while(env, client, children, path, sink, meanwhile, out.first);
        });
        out.second = std::move(sink.bytes);
      },
      300s));
  return out;
}

// The smallest file four times, doubled as often as that, and then others, joined to /long: little
// of a block, in many pieces.
std::string make_long(LocalCluster& cluster, int doublings) {
  std::string bytes;
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    CHECK((co_await client.copy(path_of(0, 0), "/long", false)).has_value());
    bytes = bytes_of(0, 0, kMost);
    for (int i = 0; i < 2 + doublings; ++i) {
      CHECK((co_await client.copy("/long", "/again", false)).has_value());
      CHECK((co_await client.concatenate("/long", {"/again"})).has_value());
      bytes += bytes;
    }
    for (int writer = 0; writer < kWriters; ++writer) {
      CHECK((co_await client.copy(path_of(writer, 0), "/part", false)).has_value());
      CHECK((co_await client.concatenate("/long", {"/part"})).has_value());
      bytes += bytes_of(writer, 0, kMost);
    }
  }));
  return bytes;
}

// The old block is moved, and nothing of it is left on any disk.
Task<> compact_away(LocalCluster& cluster, Env& env, Client& client) {
  const BlockId old = cluster.metadata.machine.locate("/long", {})->blocks.at(0).block;
  for (int writer = 0; writer < kWriters; ++writer)
    for (int i = 0; i < kFiles; ++i)
      CHECK((co_await client.remove(path_of(writer, i), false)).has_value());
  cluster.metadata.compacts = true;
  while (!is_gone(cluster, old) || cluster.metadata.machine.counters().garbage_blocks > 0)
    co_await env.sleep(100ms);
}

}  // namespace

TEST_CASE("a get goes on across a compaction, also one of many blocks") {
  for (const int doublings : {0, 6}) {
    CAPTURE(doublings);
    LocalCluster cluster({.block_bytes = 4 * limits::kMiB, .inline_bytes = kInline, .pack = true});
    (void)put_settled(cluster);
    const std::string bytes = make_long(cluster, doublings);
    const auto [code, read] = get_across(cluster, "/long", [&](Env& env, Client& client) -> Task<> {
      co_await compact_away(cluster, env, client);
    });
    CHECK_EQ(code, "ok");
    CHECK((read == bytes));
    CHECK_GT(cluster.metadata.moves, 0);
  }
}

TEST_CASE("a get of a file that was cut or replaced is refused when its bytes have been moved") {
  for (const bool replaced : {false, true}) {
    CAPTURE(replaced);
    LocalCluster cluster({.block_bytes = 4 * limits::kMiB, .inline_bytes = kInline, .pack = true});
    (void)put_settled(cluster);
    const std::string bytes = make_long(cluster, 1);
    const auto [code, read] = get_across(cluster, "/long", [&](Env& env, Client& client) -> Task<> {
      if (replaced) {
        MemorySource source(pattern(bytes.size(), 99));
        CHECK((co_await client.put("/new", source, {})).has_value());
      } else {
        // No shorter than before, and of other bytes at its end.
        const size_t whole = bytes.size() - bytes_of(3, 0, kMost).size();
        CHECK((co_await client.truncate("/long", whole)).has_value());
        CHECK((co_await client.copy(path_of(1, 0), "/end", false)).has_value());
        CHECK((co_await client.concatenate("/long", {"/end"})).has_value());
      }
      co_await compact_away(cluster, env, client);
      if (replaced) CHECK((co_await client.rename("/new", "/long")).has_value());
    });
    CHECK_EQ(code, "unavailable");
    CHECK((read == bytes.substr(0, read.size())));
  }
}

TEST_CASE("a get goes on when what was appended is converted meanwhile") {
  LocalCluster cluster({});
  std::string bytes;
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    auto appender = co_await client.open_append("/log", {});
    REQUIRE(appender.has_value());
    for (uint64_t i = 0; i < 30; ++i) {
      const std::string record = pattern(100'000, i);
      CHECK((co_await (*appender)->append(Buffer::copy(record))).has_value());
      bytes += record;
    }
  }));
  const auto [code, read] = get_across(cluster, "/log", [&](Env& env, Client&) -> Task<> {
    const auto& machine = cluster.metadata.machine;
    while (!machine.append_blocks({}, 1).empty() || !machine.formers({}, 1).empty())
      co_await env.sleep(1s);
  });
  CHECK_EQ(code, "ok");
  CHECK((read == bytes));
}

}  // namespace dogfs::nodes::testing
