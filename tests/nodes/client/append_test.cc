// Appends, by clients to chunk servers, on a simulated world with one metadata server.

#include <algorithm>
#include <map>
#include <set>

#include "core/env/nursery.h"
#include "nodes/client/appender.h"
#include "nodes/client/client.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

// A record that names itself, so that a file of them can be taken apart: nothing is torn, nothing
// is there twice.
std::string record_of(int writer, int number, size_t filler) {
  return fmt::format("<{}.{}:{}>", writer, number, std::string(filler, 'x'));
}

struct Appended {
  std::map<std::string, uint64_t> offsets;  // of records that were acknowledged
  std::set<std::string> refused;
  std::set<std::string> unknown;
};

Task<> append_some(Env& env, Client& client, std::string path, int writer, int count, size_t filler,
                   Duration pause, Appended& appended) {
  auto opened = co_await client.open_append(path, {});
  REQUIRE_MESSAGE(opened.has_value(), opened.error().message);
  for (int i = 0; i < count; ++i) {
    const std::string record = record_of(writer, i, filler);
    const auto offset = co_await (*opened)->append(Buffer::copy(record));
    if (offset)
      appended.offsets[record] = *offset;
    else if (offset.error().is(Code::kUnknown))
      appended.unknown.insert(record);
    else {
      appended.refused.insert(record);
      if (appended.refused.size() < 3) MESSAGE(offset.error().message);
    }
    if (pause > Duration(0)) co_await env.sleep(pause);
  }
}

Task<> append_at_once(Env& env, Client& client, Nursery& children, std::string path, int writers,
                      int count, size_t filler, Duration pause, Appended& appended) {
  for (int writer = 0; writer < writers; ++writer)
    children.spawn(append_some(env, client, path, writer, count, filler, pause, appended));
  co_await children.join();
}

// The records of the file, by their offsets. Fails the test when something else is among them.
std::map<uint64_t, std::string> taken_apart(const std::string& bytes) {
  std::map<uint64_t, std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    REQUIRE(bytes[at] == '<');
    const size_t end = bytes.find('>', at);
    REQUIRE(end != std::string::npos);
    records[at] = bytes.substr(at, end + 1 - at);
    at = end + 1;
  }
  return records;
}

void check_file(const std::string& bytes, const Appended& appended) {
  std::map<std::string, uint64_t> found;
  for (const auto& [offset, record] : taken_apart(bytes)) {
    CHECK_MESSAGE(found.emplace(record, offset).second, "twice: ", record.substr(0, 20));
    CHECK_MESSAGE(!appended.refused.contains(record), "refused: ", record.substr(0, 20));
  }
  for (const auto& [record, offset] : appended.offsets) {
    CHECK_MESSAGE(found.contains(record), "lost: ", record.substr(0, 20));
    CHECK(found[record] == offset);
  }
}

std::string read_all(LocalCluster& cluster, std::string path) {
  MemorySink sink;
  std::optional<Result<GetResult>> got;
  REQUIRE(cluster.run(
      [&](Env&, Client& client) -> Task<> { got = co_await client.get(path, sink, {}); }));
  REQUIRE_MESSAGE(got->has_value(), (*got).error().message);
  return sink.bytes;
}

TEST_CASE("records of many writers lie in the file whole, each once, where they were said to lie") {
  LocalCluster cluster({});
  Appended appended;
  REQUIRE(cluster.run([&](Env& env, Client& client) -> Task<> {
    co_await nursery(env, [&](Nursery& children) {
      return append_at_once(env, client, children, "/log", 8, 50, 100, 0ms, appended);
    });
  }));
  CHECK(appended.offsets.size() == 400);
  check_file(read_all(cluster, "/log"), appended);
}

TEST_CASE("a full block is sealed and the next one takes over; sealed ones are converted") {
  LocalCluster cluster({});
  Appended appended;
  REQUIRE(cluster.run([&](Env& env, Client& client) -> Task<> {
    co_await nursery(env, [&](Nursery& children) {
      return append_at_once(env, client, children, "/log", 4, 40, 30'000, 0ms, appended);
    });
  }));
  CHECK(appended.offsets.size() == 160);  // 4.8 MB in blocks of 1 MiB
  check_file(read_all(cluster, "/log"), appended);
  // The last one is sealed when nobody appends for a while, and all of them become rs-4-2.
  cluster.world.run_for(60s);
  std::optional<Result<StatResult>> stat;
  REQUIRE(
      cluster.run([&](Env&, Client& client) -> Task<> { stat = co_await client.stat("/log"); }));
  CHECK_FALSE((*stat)->attributes.appending);
  CHECK(cluster.metadata.machine.append_blocks({}, 10).empty());
  check_file(read_all(cluster, "/log"), appended);
}

TEST_CASE("an appended file is read on: what was acknowledged before is there") {
  LocalCluster cluster({});
  std::vector<std::pair<uint64_t, uint64_t>> seen;  // acknowledged end, bytes read
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    auto appender = co_await client.open_append("/log", {});
    for (int i = 0; i < 20; ++i) {
      const auto record = Buffer::copy(record_of(0, i, 5000));
      const auto offset = co_await (*appender)->append(record);
      REQUIRE(offset.has_value());
      MemorySink sink;
      const auto got = co_await client.get("/log", sink, {});
      REQUIRE_MESSAGE(got.has_value(), got.error().message);
      const auto stat = co_await client.stat("/log");
      CHECK(stat->attributes.length == *offset + record.size());
      seen.emplace_back(*offset + record.size(), sink.bytes.size());
    }
  }));
  for (const auto& [acknowledged, read] : seen) CHECK(acknowledged == read);
}

TEST_CASE("a file that was put goes on behind its bytes, a small one, too") {
  LocalCluster cluster({.inline_bytes = 4096});
  for (const size_t size : {0, 100, 300'000}) {
    const std::string path = fmt::format("/file-{}", size);
    std::optional<Result<uint64_t>> offset;
    REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
      MemorySource source(pattern(size, 1));
      REQUIRE((co_await client.put(path, source, {})).has_value());
      auto appender = co_await client.open_append(path, {});
      REQUIRE(appender.has_value());
      offset = co_await (*appender)->append(Buffer::copy("more"));
    }));
    CHECK(**offset == size);
    CHECK((read_all(cluster, path) == pattern(size, 1) + "more"));
    cluster.world.run_for(60s);
    CHECK((read_all(cluster, path) == pattern(size, 1) + "more"));
  }
}

TEST_CASE("appends go on over kills of chunk servers, none lost, none twice") {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    LocalCluster cluster({.seed = seed});
    Appended appended;
    cluster.start([&](Env& env, Client& client) -> Task<> {
      co_await nursery(env, [&](Nursery& children) {
        return append_at_once(env, client, children, "/log", 4, 60, 3000, 100ms, appended);
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
    REQUIRE(cluster.finish(200s));
    CHECK(appended.offsets.size() + appended.unknown.size() == 240);
    CHECK(appended.offsets.size() > 200);
    check_file(read_all(cluster, "/log"), appended);
    cluster.world.run_for(90s);
    check_file(read_all(cluster, "/log"), appended);
  }
}

// The only replica's disk dies, and its server goes on with the other.
Task<> append_on_a_dead_disk(LocalCluster& cluster, Env& env, Client& client,
                             std::string& outcomes) {
  const auto code = [](const auto& result) {
    return std::string(result ? "ok" : code_name(result.error().code));
  };
  auto appender = co_await client.open_append("/log", {});
  REQUIRE(appender.has_value());
  outcomes = code(co_await (*appender)->append(Buffer::copy("acknowledged")));
  for (const auto& path : cluster.chunk(1).disk_image().durable_paths())
    if (path.ends_with(".append"))
      cluster.chunk(1).disk_model().kill_below(path.substr(0, path.find('/')));
  co_await env.sleep(5s);  // it is given up
  outcomes += " " + code(co_await (*appender)->append(Buffer::copy("in vain")));
  MemorySink sink;
  outcomes += " " + code(co_await client.get("/log", sink, {})) + " " + sink.bytes;
}

TEST_CASE(
    "a log that was lost with its disk is not begun anew, so a seal does not think it empty") {
  LocalCluster cluster({.chunks = 1, .disks = 2, .policy = "rep-1"});
  cluster.client_options.append_limit = 8s;
  std::string outcomes;
  REQUIRE(cluster.run(
      [&](Env& env, Client& client) {
        return append_on_a_dead_disk(cluster, env, client, outcomes);
      },
      120s));
  CHECK_EQ(outcomes, "ok unknown unavailable ");
}

TEST_CASE("an empty record, or one that is too large, is refused") {
  LocalCluster cluster({});
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    auto appender = co_await client.open_append("/log", {});
    const auto empty = co_await (*appender)->append({});
    CHECK(empty.error().is(Code::kInvalid));
    const auto large = co_await (*appender)->append(
        Buffer::copy(std::string(limits::kAppendRecordBytesMax + 1, 'x')));
    CHECK(large.error().is(Code::kTooLarge));
    const auto missing = co_await client.open_append("/no/log", {});
    CHECK(missing.error().is(Code::kNotFound));
    const auto absent = co_await client.open_append("/other", {.create = false});
    CHECK(absent.error().is(Code::kNotFound));
  }));
}

}  // namespace
}  // namespace dogfs::nodes::testing
