#include <rapidcheck.h>

#include "core/env/nursery.h"
#include "nodes/client/client.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr size_t kKiB = limits::kKiB;
constexpr size_t kMiB = limits::kMiB;

struct Outcome {
  std::optional<Result<PutResult>> put;
  std::optional<Result<GetResult>> got;
  std::string bytes;
};

Task<> put(Client& client, std::string path, std::string bytes, PutOptions options,
           Outcome& outcome) {
  MemorySource source(std::move(bytes));
  outcome.put = co_await client.put(path, source, options);
}

Task<> get(Client& client, std::string path, GetOptions options, Outcome& outcome) {
  MemorySink sink;
  outcome.got = co_await client.get(path, sink, options);
  outcome.bytes = std::move(sink.bytes);
}

Task<> put_and_get(Client& client, std::string path, std::string bytes, Outcome& outcome) {
  co_await put(client, path, bytes, {}, outcome);
  co_await get(client, path, {}, outcome);
}

std::string code_of(const auto& result) {
  if (!result) return "not ended";
  return std::string(*result ? "ok" : code_name(result->error().code));
}

Outcome run_put(LocalCluster& cluster, std::string path, std::string bytes) {
  Outcome outcome;
  REQUIRE(cluster.run([&](Env&, Client& client) { return put(client, path, bytes, {}, outcome); }));
  return outcome;
}

Outcome run_get(LocalCluster& cluster, std::string path, GetOptions options = {}) {
  Outcome outcome;
  REQUIRE(cluster.run([&](Env&, Client& client) { return get(client, path, options, outcome); }));
  return outcome;
}

TEST_CASE("what was put is got back, at every boundary of cells, stripes and blocks") {
  struct Row {
    const char* policy;
    size_t data;
  };
  for (const Row& row : {Row{"rs-4-2", 4}, Row{"rs-2-1", 2}, Row{"rep-3", 1}}) {
    LocalCluster cluster({.policy = row.policy});
    const size_t cell = 16 * kKiB;
    std::vector<size_t> sizes{0, 2 * kMiB + 3 * row.data * cell + 7};
    for (const size_t edge : {size_t{1}, cell, row.data * cell, kMiB})
      for (const size_t size : {edge - 1, edge, edge + 1}) sizes.push_back(size);
    for (const size_t size : sizes) {
      CAPTURE(row.policy);
      CAPTURE(size);
      const auto bytes = pattern(size, size);
      Outcome outcome;
      REQUIRE(cluster.run(
          [&](Env&, Client& client) { return put_and_get(client, "/f", bytes, outcome); }));
      REQUIRE_EQ(code_of(outcome.put), "ok");
      CHECK_EQ((*outcome.put)->bytes, size);
      CHECK_EQ((*outcome.put)->blocks_below_full_width, 0u);
      REQUIRE_EQ(code_of(outcome.got), "ok");
      CHECK_EQ((*outcome.got)->rebuilt_bytes, 0u);
      CHECK((outcome.bytes == bytes));
      CHECK((*outcome.got)->position >= (*outcome.put)->position);
    }
  }
}

TEST_CASE("a range gives exactly its bytes, and none past the end") {
  LocalCluster cluster({});
  const auto bytes = pattern(2 * kMiB + 12345, 9);
  REQUIRE_EQ(code_of(run_put(cluster, "/f", bytes).put), "ok");
  struct Row {
    uint64_t offset, length;
  };
  for (const Row& row : {Row{0, 1}, Row{16383, 2}, Row{kMiB - 1, 2}, Row{kMiB, kMiB},
                         Row{70000, 1500000}, Row{bytes.size() - 1, 100}, Row{bytes.size(), 5},
                         Row{bytes.size() + 9, 5}, Row{5, UINT64_MAX}, Row{UINT64_MAX, 1}}) {
    CAPTURE(row.offset);
    const auto outcome = run_get(cluster, "/f", {.offset = row.offset, .length = row.length});
    REQUIRE_EQ(code_of(outcome.got), "ok");
    const auto begin = std::min<uint64_t>(row.offset, bytes.size());
    CHECK((outcome.bytes == bytes.substr(begin, row.length)));
  }
}

Task<> put_in_drops(Client& client, const std::string& bytes, size_t at_once, Outcome& outcome) {
  MemorySource source(bytes, at_once);
  outcome.put = co_await client.put("/f", source, {.size = bytes.size() / 2});
  co_await get(client, "/f", {}, outcome);
}

TEST_CASE("a source may give its bytes in drops, and more of them than was said") {
  LocalCluster cluster({});
  const auto bytes = pattern(kMiB + kMiB / 2, 4);
  Outcome outcome;
  REQUIRE(cluster.run(
      [&](Env&, Client& client) { return put_in_drops(client, bytes, 1000, outcome); }));
  REQUIRE_EQ(code_of(outcome.put), "ok");
  CHECK((outcome.bytes == bytes));
}

TEST_CASE("with one of six servers dead put and get work") {
  LocalCluster cluster({});
  const auto before = pattern(kMiB + 5, 1);
  REQUIRE_EQ(code_of(run_put(cluster, "/before", before).put), "ok");
  cluster.chunk(2).crash();
  SUBCASE("at once") {}
  SUBCASE("when the leader has noticed") { cluster.world.run_for(3s); }
  const auto bytes = pattern(3 * kMiB, 2);
  const auto outcome = run_put(cluster, "/f", bytes);
  REQUIRE_EQ(code_of(outcome.put), "ok");
  CHECK_EQ((*outcome.put)->blocks_below_full_width, 3u);
  CHECK((run_get(cluster, "/f").bytes == bytes));
  CHECK((run_get(cluster, "/before").bytes == before));
}

TEST_CASE("with two of six dead get works and put is refused, naming 5 needed and 4 live") {
  LocalCluster cluster({});
  const auto bytes = pattern(2 * kMiB, 2);
  REQUIRE_EQ(code_of(run_put(cluster, "/f", bytes).put), "ok");
  cluster.chunk(1).crash();
  cluster.chunk(5).power_off();
  SUBCASE("at once") {}
  SUBCASE("when the leader has noticed") { cluster.world.run_for(3s); }
  const auto got = run_get(cluster, "/f");
  REQUIRE_EQ(code_of(got.got), "ok");
  CHECK((got.bytes == bytes));
  CHECK((*got.got)->rebuilt_bytes > 0);
  const auto refused = run_put(cluster, "/g", bytes);
  REQUIRE_EQ(code_of(refused.put), "unavailable");
  CHECK_NE(refused.put->error().message.find("5 needed and 4 live"), std::string::npos);
  CHECK_EQ(code_of(run_get(cluster, "/g").got), "not_found");
}

TEST_CASE("with three of six dead get fails clearly within 10 s, and all recovers") {
  LocalCluster cluster({});
  const auto bytes = pattern(2 * kMiB, 2);
  REQUIRE_EQ(code_of(run_put(cluster, "/f", bytes).put), "ok");
  cluster.chunk(1).crash();
  cluster.chunk(3).power_off();
  cluster.chunk(5).crash();
  const Instant begin = cluster.world.now();
  const auto failed = run_get(cluster, "/f");
  CHECK(cluster.world.now() - begin < 10s);
  REQUIRE_EQ(code_of(failed.got), "unavailable");
  CHECK_NE(failed.got->error().message.find("3 of its 6 shards can be, 4 are needed"),
           std::string::npos);
  cluster.boot_all();
  cluster.world.run_for(3s);
  CHECK((run_get(cluster, "/f").bytes == bytes));
}

TEST_CASE("a server that dies during a put or a get does not end it") {
  for (int at_ms = 1; at_ms < 60; at_ms += 7) {
    CAPTURE(at_ms);
    LocalCluster cluster({.seed = static_cast<uint64_t>(at_ms)});
    const auto bytes = pattern(6 * kMiB, 3);
    Outcome outcome;
    cluster.start([&](Env&, Client& client) { return put_and_get(client, "/f", bytes, outcome); });
    cluster.world.run_for(std::chrono::milliseconds(at_ms));
    at_ms % 2 == 0 ? cluster.chunk(4).crash() : cluster.chunk(4).power_off();
    REQUIRE(cluster.finish(60s));
    REQUIRE_EQ(code_of(outcome.put), "ok");
    REQUIRE_EQ(code_of(outcome.got), "ok");
    CHECK((outcome.bytes == bytes));
  }
}

TEST_CASE("with two servers dying during a put of eight it goes on, placed anew") {
  LocalCluster cluster({.chunks = 8});
  const auto bytes = pattern(8 * kMiB, 3);
  Outcome outcome;
  cluster.start([&](Env&, Client& client) { return put_and_get(client, "/f", bytes, outcome); });
  cluster.world.run_for(10ms);
  cluster.chunk(2).crash();
  cluster.chunk(7).crash();
  REQUIRE(cluster.finish(60s));
  REQUIRE_EQ(code_of(outcome.put), "ok");
  CHECK((outcome.bytes == bytes));
}

TEST_CASE("a server that falls silent holds a put up only for a while") {
  LocalCluster cluster({});
  const auto bytes = pattern(16 * kMiB, 3);
  Outcome outcome;
  cluster.start([&](Env&, Client& client) { return put_and_get(client, "/f", bytes, outcome); });
  cluster.world.run_for(20ms);
  cluster.chunk(3).disk_model().stall_until(kNever);
  REQUIRE(cluster.finish(5s));  // patience once, and not again for each of sixteen blocks
  REQUIRE_EQ(code_of(outcome.put), "ok");
  CHECK((outcome.bytes == bytes));
}

TEST_CASE("rotten bits are never read: they are rebuilt, or the error says so") {
  LocalCluster cluster({});
  const auto bytes = pattern(kMiB, 3);
  REQUIRE_EQ(code_of(run_put(cluster, "/f", bytes).put), "ok");
  for (int rotten = 1; rotten <= 3; ++rotten) {
    const auto& disk = cluster.chunk(rotten).disk_image();
    const auto files = disk.list("shards");
    REQUIRE_EQ(files->size(), 1u);
    CHECK(cluster.chunk(rotten).disk_image().rot("shards/" + files->front().name, 70000, 3));
    const auto outcome = run_get(cluster, "/f");
    if (rotten < 3) {
      REQUIRE_EQ(code_of(outcome.got), "ok");
      CHECK((outcome.bytes == bytes));
    } else {
      CHECK_EQ(code_of(outcome.got), "corrupt");
    }
  }
}

TEST_CASE("a client killed during a put leaves nothing to be seen, and its shards go") {
  for (int at_ms = 1; at_ms < 40; at_ms += 3) {
    CAPTURE(at_ms);
    LocalCluster cluster({.seed = static_cast<uint64_t>(at_ms)});
    const auto bytes = pattern(4 * kMiB, 3);
    Outcome outcome;
    cluster.start([&](Env&, Client& client) { return put(client, "/f", bytes, {}, outcome); });
    cluster.world.run_for(std::chrono::milliseconds(at_ms));
    const bool done = outcome.put.has_value();
    cluster.client_host.crash();
    const auto visible = cluster.metadata.machine.stat("/f");
    CHECK_EQ(cluster.metadata.machine.counters().files, visible ? 1u : 0u);
    if (visible) CHECK_EQ(visible->length, bytes.size());
    if (done) CHECK(visible.has_value());
    for (const auto& upload : cluster.metadata.machine.uploads({}, 10))
      cluster.metadata.apply(metadata::ExpireLease{upload.file, upload.epoch});
    cluster.world.run_for(35s);
    CHECK_EQ(cluster.metadata.machine.counters().garbage_blocks, 0u);
    if (!visible) CHECK_EQ(cluster.shards_on_disks(), 0u);
  }
}

Task<> make_and_rename(Client& client, std::vector<std::string>& codes) {
  const auto note = [&codes](const auto& result) {
    codes.emplace_back(result ? "ok" : code_name(result.error().code));
  };
  note(co_await client.make_directory("/a", false, std::nullopt));
  note(co_await client.make_directory("/a", false, std::nullopt));
  note(co_await client.make_directory("/x/y", false, std::nullopt));
  note(co_await client.make_directory("/x/y", true, std::nullopt));
  note(co_await client.rename("/a", "/x/y/a"));
  note(co_await client.rename("/a", "/b"));
  note(co_await client.stat("/x/y/a"));
  note(co_await client.remove("/x", false));
  note(co_await client.remove("/x", true));
  note(co_await client.stat("/x"));
  note(co_await client.list("/", "", 10));
}

TEST_CASE("a change whose reply is lost is applied once, and its answer is the first") {
  for (int lost = 0; lost < 3; ++lost) {
    LocalCluster cluster({});
    std::vector<std::string> codes;
    cluster.metadata.replies_to_lose = lost;
    REQUIRE(cluster.run([&](Env&, Client& client) { return make_and_rename(client, codes); }));
    const std::vector<std::string> expected{"ok", "exists",    "not_found", "ok",
                                            "ok", "not_found", "ok",        "precondition",
                                            "ok", "not_found", "ok"};
    CHECK((codes == expected));
    CHECK_EQ(cluster.metadata.executed, 1 + 8 + lost);
  }
}

Task<> make_directory(Client& client, std::optional<Result<Changed>>& made) {
  made = co_await client.make_directory("/a", false, std::nullopt);
}

TEST_CASE("a change that is never answered is unknown, one that was never sent is refused") {
  LocalCluster cluster({});
  std::optional<Result<Changed>> made;
  cluster.start([&](Env&, Client& client) { return make_directory(client, made); });
  SUBCASE("not answered") {
    while (cluster.metadata.executed < 1) REQUIRE(cluster.world.step());
    cluster.metadata.replies_to_lose = 100;
    REQUIRE(cluster.finish(60s));
    CHECK_EQ(code_of(made), "unknown");
    CHECK(cluster.metadata.machine.stat("/a").has_value());
  }
  SUBCASE("not sent") {
    cluster.metadata_host.crash();
    REQUIRE(cluster.finish(60s));
    CHECK_EQ(code_of(made), "unavailable");
  }
}

Task<> put_twice(Env& env, Client& client, MetadataModel& metadata,
                 std::vector<std::string>& codes) {
  Outcome outcome;
  co_await put(client, "/a", "one", {}, outcome);
  codes.push_back(code_of(outcome.put));
  for (const auto& session : metadata.machine.sessions({}, 10))
    metadata.apply(metadata::ExpireSession{session.client, session.epoch});
  co_await put(client, "/b", "two", {}, outcome);
  codes.push_back(code_of(outcome.put));
  metadata.replies_to_lose = 1;
  for (const auto& session : metadata.machine.sessions({}, 10))
    metadata.apply(metadata::ExpireSession{session.client, session.epoch});
  auto made = co_await client.make_directory("/c", false, std::nullopt);
  codes.emplace_back(made ? "ok" : code_name(made.error().code));
  made = co_await client.make_directory("/d", false, std::nullopt);
  codes.emplace_back(made ? "ok" : code_name(made.error().code));
  co_await env.sleep(1ms);
}

TEST_CASE("an expired session is replaced, and a doubtful request on it is unknown") {
  LocalCluster cluster({});
  std::vector<std::string> codes;
  REQUIRE(cluster.run(
      [&](Env& env, Client& client) { return put_twice(env, client, cluster.metadata, codes); }));
  CHECK((codes == std::vector<std::string>{"ok", "ok", "unknown", "ok"}));
}

Task<> put_conditions(Client& client, std::vector<std::string>& codes) {
  Outcome outcome;
  const auto note = [&](const Outcome& o) { codes.push_back(code_of(o.put)); };
  co_await put(client, "/f", "one", {.overwrite = false}, outcome), note(outcome);
  co_await put(client, "/f", "two", {.overwrite = false}, outcome), note(outcome);
  co_await put(client, "/f", "three", {}, outcome), note(outcome);
  co_await put(client, "/missing/f", "x", {}, outcome), note(outcome);
  co_await put(client, "/f/g", "x", {}, outcome), note(outcome);
  co_await put(client, "/", "x", {}, outcome), note(outcome);
  co_await put(client, "relative", "x", {}, outcome), note(outcome);
  co_await put(client, "/w", "x", {.policy = *placement::Policy::parse("rs-10-4")}, outcome);
  note(outcome);
  co_await put(client, "/r", "x", {.policy = *placement::Policy::parse("rep-2")}, outcome);
  note(outcome);
  co_await get(client, "/f", {}, outcome);
  codes.push_back(outcome.bytes);
}

TEST_CASE("a put says why it is refused") {
  LocalCluster cluster({});
  std::vector<std::string> codes;
  REQUIRE(cluster.run([&](Env&, Client& client) { return put_conditions(client, codes); }));
  const std::vector<std::string> expected{"ok",           "exists", "ok",      "not_found",
                                          "precondition", "exists", "invalid", "precondition",
                                          "ok",           "three"};
  CHECK((codes == expected));
}

TEST_CASE("a put larger than its memory keeps within it and still settles") {
  LocalCluster cluster({});
  cluster.client_options.write_memory = 256 * kKiB;  // less than a block
  const auto bytes = pattern(5 * kMiB, 8);
  Outcome outcome;
  REQUIRE(
      cluster.run([&](Env&, Client& client) { return put_and_get(client, "/f", bytes, outcome); }));
  REQUIRE_EQ(code_of(outcome.put), "ok");
  CHECK((outcome.bytes == bytes));
}

}  // namespace
}  // namespace dogfs::nodes::testing
