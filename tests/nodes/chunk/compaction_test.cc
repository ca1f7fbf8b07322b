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

}  // namespace dogfs::nodes::testing
