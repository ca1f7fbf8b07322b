// What is read of an append log to find damage, and what a damaged one still does.
#include "core/base/limits.h"
#include "core/chunk/append_log.h"
#include "sim/world/disk_image.h"

#include "tests/core/chunk/append_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

using Entries = std::vector<DrawnEntry>;

constexpr uint64_t kHeaderSays = 76;  // bytes of the header; behind them are zeros

void play_log(StoreWorld& world, const LogScript& script) {
  world.run([&](Env& env) { return make_log(env, kOrigin, script); });
}

Code code_of_result(const auto& result) { return result ? Code{} : result.error().code; }

// "": sound. Waits for the witness first.
Task<> append_and_verify(Env& env, AppendLog& log, StoreWorld& world, uint64_t byte, bool seals,
                         Code& found) {
  co_await append_all(log, draw_entries(kOrigin, 3, 1, 20));
  if (seals) REQUIRE(co_await log.seal(Epoch(3)));
  co_await env.sleep(10ms);
  CHECK(co_await log.verify());
  REQUIRE(world.host().disk_image().rot(kLogPath, byte, byte % 8));
  found = code_of_result(co_await log.verify());
}

uint64_t file_bytes_of(size_t entries) {
  uint64_t bytes = kAppendHeaderBytes;
  for (const auto& entry : draw_entries(kOrigin, entries, 1, 20))
    bytes += kAppendBatchHeaderBytes + entry.entry.size();
  return bytes;
}

TEST_CASE("a flipped bit in any byte that says something is found, and no other is damage") {
  const uint64_t end = file_bytes_of(3);
  std::vector<uint64_t> bytes{kHeaderSays, 1000, kAppendSealOffset + 600};
  for (uint64_t byte = 0; byte < kHeaderSays; ++byte) bytes.push_back(byte);
  for (uint64_t byte = kAppendHeaderBytes; byte < end; ++byte) bytes.push_back(byte);
  for (const uint64_t byte : bytes) {
    CAPTURE(byte);
    const bool says = byte < kHeaderSays || (byte >= kAppendHeaderBytes && byte < end);
    StoreWorld world;
    Code found{};
    play_log(world, [&](Env& env, AppendLog& log) {
      return append_and_verify(env, log, world, byte, false, found);
    });
    // A format of a later build is as bad.
    if (says) CHECK((found == Code::kCorrupt || found == Code::kUnsupported));
    if (!says) CHECK_EQ(found, Code{});
  }
}

TEST_CASE("a damaged seal refuses all the more, and is no damage") {
  for (const uint64_t byte : {0, 8, 9, 16, 20, 511}) {
    StoreWorld world;
    Code found{};
    play_log(world, [&](Env& env, AppendLog& log) {
      return append_and_verify(env, log, world, kAppendSealOffset + byte, true, found);
    });
    CHECK_EQ(found, Code{});
  }
}

Task<> cut_off(Env& env, AppendLog& log, StoreWorld& world, Code& found) {
  co_await append_all(log, draw_entries(kOrigin, 3, 1, 20));
  co_await env.sleep(10ms);
  auto& image = world.host().disk_image();
  const auto file = image.open(kLogPath, OpenMode::kWrite).value();
  REQUIRE(image.truncate(file, file_bytes_of(3) - 1));
  image.sync(file, image.sync_mark(file));
  found = code_of_result(co_await log.verify());
}

TEST_CASE("a log that became shorter is damaged") {
  StoreWorld world;
  Code found{};
  play_log(world, [&](Env& env, AppendLog& log) { return cut_off(env, log, world, found); });
  CHECK_EQ(found, Code::kCorrupt);
}

Task<> verify_while(Env& env, AppendLog& log, uint64_t length, int& rounds) {
  Random random = env.random().fork("verify");
  while (log.length() < length) {
    const auto pause = [&](uint64_t) { return env.sleep(Duration(random.below(2'000'000))); };
    const auto sound = co_await log.verify(pause);
    CHECK_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
    ++rounds;
    co_await env.sleep(Duration(random.below(100'000)));
  }
  CHECK(co_await log.seal(Epoch(9)));
}

Task<> append_verified(Env& env, AppendLog& log, const Entries& entries) {
  for (size_t i = 0; i < entries.size(); i += 2) {
    for (const auto& result :
         co_await append_together(env, log, entries, i, std::min(i + 2, entries.size())))
      CHECK(result);
    co_await env.sleep(Duration(env.random().below(4'000'000)));
  }
}

Task<> both(Env& env, Nursery& children, AppendLog& log, const Entries& entries, int& rounds) {
  children.spawn(verify_while(env, log, length_of(entries, entries.size()), rounds));
  children.spawn(append_verified(env, log, entries));
  co_await children.join();
}

TEST_CASE("an entry that is being appended is never taken for damage") {
  int rounds = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    StoreWorld world(seed);
    const Entries entries = draw_entries(kOrigin, 30, seed);
    play_log(world, [&](Env& env, AppendLog& log) -> Task<> {
      co_await nursery(
          env, [&](Nursery& children) { return both(env, children, log, entries, rounds); });
    });
  }
  CHECK_GT(rounds, 200);
}

Task<> large_batches(Env&, AppendLog& log, uint64_t& told) {
  Random random(3);
  uint64_t offset = 0;
  for (uint64_t i = 0; i < 12; ++i) {
    auto drawn = draw_entry(kOrigin, offset, i, random, limits::kAppendRecordBytesMax / 4);
    offset += drawn.data.size();
    (co_await append(log, std::move(drawn.entry))).value();
  }
  const auto count = [&](uint64_t bytes) -> Task<> {
    CHECK_LE(bytes, limits::kAppendBatchBytesMax + kAppendBatchHeaderBytes);
    told += bytes;
    co_return;
  };
  CHECK(co_await log.verify(count));
  CHECK_GE(told, offset);
}

TEST_CASE("a large log is read a bounded part at a time, and what was read is told") {
  StoreWorld world;
  uint64_t told = 0;
  play_log(world, [&](Env& env, AppendLog& log) { return large_batches(env, log, told); });
  CHECK_GT(told, limits::kMiB);
}

Task<> condemned(Env&, AppendLog& log) {
  const Entries entries = draw_entries(kOrigin, 3, 1);
  CHECK(co_await append(log, entries[0].entry));
  CHECK(co_await append(log, entries[1].entry));
  CHECK_FALSE(log.damaged());
  log.condemn({Code::kCorrupt, "damaged"});
  CHECK(log.damaged());
  CHECK_EQ(code_of_result(co_await append(log, entries[2].entry)), Code::kCorrupt);
  CHECK_EQ((co_await log.seal(Epoch(3))).value(), length_of(entries, 2));
  CHECK(co_await log.catch_up({entries[2].entry}));
  CHECK((co_await log.read(0, entries[0].data.size()))->text() == entries[0].data);
}

TEST_CASE(
    "a log that was found damaged takes nothing of its primary, is sealed, and still catches up") {
  StoreWorld world;
  play_log(world, condemned);
}

}  // namespace
}  // namespace dogfs::chunk
