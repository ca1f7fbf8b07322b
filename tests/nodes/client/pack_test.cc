// Small files in packs, by clients to chunk servers, on a simulated world with one metadata server.

#include "core/env/nursery.h"
#include "nodes/client/appender.h"

#include "tests/nodes/small_files.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {

TEST_CASE(
    "small files of many writers share a block, are read from it, and are converted with it") {
  LocalCluster cluster({.inline_bytes = kInline, .pack = true});
  Put put;
  REQUIRE(cluster.run([&](Env& env, Client& client) -> Task<> {
    co_await nursery(env, [&](Nursery& children) {
      return put_at_once(env, client, children, 4, 10, 20'000, 0ms, put);
    });
  }));
  CHECK_EQ(put.done.size(), 40u);
  CHECK_EQ(cluster.shards_on_disks(), 0u);
  CHECK_EQ(blocks(cluster), 1u);
  check_files(cluster, put, 4, 10, 20'000);
  const std::string bytes = bytes_of(2, 3, 20'000);
  CHECK_EQ(read(cluster, path_of(2, 3), {.offset = 500, .length = 300}), bytes.substr(500, 300));
  check_sound(cluster);

  cluster.world.run_for(60s);
  CHECK(cluster.metadata.machine.append_blocks({}, 10).empty());
  CHECK_EQ(blocks(cluster), 1u);
  check_files(cluster, put, 4, 10, 20'000);
  CHECK_EQ(read(cluster, path_of(2, 3), {.offset = 500, .length = 300}), bytes.substr(500, 300));
  check_sound(cluster);

  for (const std::string& path : put.done) CHECK(remove(cluster, path).has_value());
  cluster.world.run_for(60s);
  CHECK_EQ(blocks(cluster), 0u);
  CHECK_EQ(cluster.metadata.machine.counters().garbage_blocks, 0u);
  CHECK_EQ(cluster.shards_on_disks(), 0u);
  check_sound(cluster);
}

TEST_CASE("what is too long for a pack, or says how it is laid out, gets blocks of its own") {
  struct Row {
    size_t size;
    bool packed;
    PutOptions options;
  };
  const size_t most = limits::kPackedBytesMax;
  for (const Row& row : {Row{kInline, false, {}}, Row{kInline + 1, true, {}}, Row{most, true, {}},
                         Row{most + 1, false, {}}, Row{5000, false, {.block_bytes = limits::kMiB}},
                         Row{5000, false, {.cell_bytes = 4096}}, Row{5000, false, {.pack = false}},
                         Row{5000, true, {.policy = placement::Policy::parse("rs-2-1").value()}}}) {
    CAPTURE(row.size);
    LocalCluster cluster({.inline_bytes = kInline, .pack = true});
    const std::string bytes = pattern(row.size, 3);
    REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
      MemorySource source(bytes);
      const auto put = co_await client.put("/f", source, row.options);
      REQUIRE_MESSAGE(put.has_value(), put.error().message);
      CHECK_EQ(put->bytes, row.size);
    }));
    CHECK_EQ(cluster.metadata.machine.counters().packed_bytes, row.packed ? row.size : 0u);
    CHECK((read(cluster, "/f") == bytes));
    const auto policy = cluster.metadata.machine.stat("/f")->policy.text();
    CHECK_EQ(policy, row.options.policy ? "rs-2-1" : "rs-4-2");
    check_sound(cluster);
  }
}

TEST_CASE("a put that may not be is refused as ever, packed or not") {
  LocalCluster cluster({.inline_bytes = kInline, .pack = true});
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    const auto code = [&](std::string path, PutOptions options) -> Task<std::string> {
      MemorySource source(pattern(5000, 1));
      const auto put = co_await client.put(std::move(path), source, std::move(options));
      co_return put ? "ok" : std::string(code_name(put.error().code));
    };
    CHECK_EQ(co_await code("/none/f", {}), "not_found");
    CHECK((co_await client.make_directory("/d", false, {})).has_value());
    CHECK_EQ(co_await code("/d", {}), "exists");
    CHECK_EQ(co_await code("/d/f", {}), "ok");
    CHECK_EQ(co_await code("/d/f", {.overwrite = false}), "exists");
    CHECK_EQ(co_await code("/d/f", {.version = metadata::FileVersion{InodeId(9), 9}}),
             "precondition");
    CHECK_EQ(co_await code("/d/g", {.policy = placement::Policy::parse("rs-10-4").value()}),
             "precondition");
    CHECK((co_await client.set_quota("/d", {.bytes = 6000, .entries = {}})).has_value());
    CHECK_EQ(co_await code("/d/g", {}), "no_space");
    // What the client takes for the directory's policy is out of date.
    metadata::Layout layout;
    layout.policy = placement::Policy::parse("rs-2-1").value();
    CHECK((co_await client.set_layout("/", layout, false)).has_value());
    CHECK_EQ(co_await code("/g", {}), "ok");
    CHECK_EQ((co_await client.stat("/g"))->attributes.policy.text(), "rs-2-1");
    CHECK_EQ(co_await code("/h", {}), "ok");
  }));
  check_sound(cluster);
}

TEST_CASE("small files survive kills of chunk servers, none lost, none torn") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    LocalCluster cluster({.seed = seed, .inline_bytes = kInline, .pack = true});
    Put put;
    cluster.start([&](Env& env, Client& client) -> Task<> {
      co_await nursery(env, [&](Nursery& children) {
        return put_at_once(env, client, children, 4, 40, 9000, 100ms, put);
      });
    });
    Random random(seed);
    for (int i = 0; i < 12 && !cluster.ended(); ++i) {
      sim::Host& victim = cluster.chunk(static_cast<int>(1 + random.below(6)));
      cluster.world.run_for(std::chrono::milliseconds(random.below(1500)));
      if (victim.up()) random.chance(1, 2) ? victim.crash() : victim.power_off();
      cluster.world.run_for(std::chrono::milliseconds(random.below(2000)));
      cluster.boot_all();
    }
    REQUIRE(cluster.finish(400s));
    CHECK_GT(put.done.size(), 120u);
    CHECK_EQ(put.unknown.size(), 0u);
    CHECK_GT(cluster.metadata.machine.counters().packed_bytes, 0u);
    check_sound(cluster);
    check_files(cluster, put, 4, 40, 9000);
    cluster.world.run_for(90s);
    check_sound(cluster);
    check_files(cluster, put, 4, 40, 9000);
  }
}

TEST_CASE("a packed file is copied, cut, joined and appended to like any other") {
  LocalCluster cluster({.inline_bytes = kInline, .pack = true});
  const std::string a = pattern(5000, 1);
  const std::string b = pattern(7000, 2);
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    MemorySource first(a);
    CHECK((co_await client.put("/a", first, {})).has_value());
    MemorySource second(b);
    CHECK((co_await client.put("/b", second, {})).has_value());
    CHECK((co_await client.copy("/a", "/c", false)).has_value());
    CHECK((co_await client.truncate("/c", 1234)).has_value());
    CHECK((co_await client.concatenate("/c", {"/b"})).has_value());
    auto appender = co_await client.open_append("/c", {});
    REQUIRE(appender.has_value());
    const auto offset = co_await (*appender)->append(Buffer::copy("more"));
    REQUIRE(offset.has_value());
    CHECK_EQ(*offset, 8234u);
  }));
  const std::string expected = a.substr(0, 1234) + b + "more";
  CHECK((read(cluster, "/c") == expected));
  CHECK((read(cluster, "/c", {.offset = 1000, .length = 500}) == expected.substr(1000, 500)));
  CHECK((read(cluster, "/a") == a));
  check_sound(cluster);
  cluster.world.run_for(60s);
  CHECK((read(cluster, "/c") == expected));
  check_sound(cluster);
}

}  // namespace dogfs::nodes::testing
