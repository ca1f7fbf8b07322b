#include "core/chunk/append_log.h"

#include "core/base/limits.h"
#include "sim/world/disk_image.h"

#include "tests/core/chunk/append_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

using Entries = std::vector<DrawnEntry>;

void play(StoreWorld& world, const LogScript& script, const AppendOrigin& origin = kOrigin) {
  world.run([&](Env& env) { return make_log(env, origin, script); });
}

void play_again(StoreWorld& world, const LogScript& script, const AppendOrigin& origin = kOrigin) {
  world.run([&](Env& env) { return open_log(env, origin, script); });
}

Code code_of(const auto& result) { return result ? Code{} : result.error().code; }

std::string text_of(const Entries& entries, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += entries[i].data;
  return text;
}

Task<> note(Task<Result<void>> task, std::vector<Result<void>>& results) {
  results.push_back(co_await std::move(task));
}

Task<> note_length(Task<Result<uint64_t>> task, std::vector<Result<uint64_t>>& results) {
  results.push_back(co_await std::move(task));
}

using Spawner = std::function<void(Nursery&)>;

Task<> spawn_and_join(Nursery& children, Spawner spawner) {
  spawner(children);
  co_await children.join();
}

// Runs what `spawner` spawns to its end.
Task<> together(Env& env, Spawner spawner) {
  co_await nursery(env, [&](Nursery& children) { return spawn_and_join(children, spawner); });
}

Task<> append_in_order(Env&, AppendLog& log) {
  const Entries entries = draw_entries(kOrigin, 20, 1);
  for (size_t i = 0; i < entries.size(); ++i) {
    REQUIRE(co_await append(log, entries[i].entry));
    CHECK_EQ(log.length(), length_of(entries, i + 1));
    CHECK_EQ(log.entries(), i + 1);
  }
}

TEST_CASE("entries are appended in order, and found by another life after power loss") {
  StoreWorld world;
  play(world, append_in_order);
  world.host().power_off();
  play_again(world, [](Env&, AppendLog& log) -> Task<> {
    const Entries entries = draw_entries(kOrigin, 20, 1);
    CHECK((log.origin() == kOrigin));
    CHECK_EQ(log.sealed(), Epoch(0));
    const auto bytes = co_await log.read(0, length_of(entries, 20));
    REQUIRE(bytes);
    CHECK((bytes->text() == text_of(entries, 20)));
  });
}

Task<> refuse_wrong(Env&, AppendLog& log) {
  const Entries entries = draw_entries(kOrigin, 4, 1);
  REQUIRE(co_await append(log, entries[0].entry));
  // A gap; an entry in the middle of another; another in the place of one.
  CHECK_EQ(code_of(co_await append(log, entries[2].entry)), Code::kPrecondition);
  Random random(9);
  CHECK_EQ(code_of(co_await append(log, draw_entry(kOrigin, 1, 7, random).entry)),
           Code::kPrecondition);
  CHECK_EQ(code_of(co_await append(log, draw_entry(kOrigin, 0, 7, random).entry)), Code::kExists);
  // Another's, or damaged.
  CHECK_EQ(
      code_of(co_await append(log, draw_entry(origin_of(4), entries[1].offset, 7, random).entry)),
      Code::kCorrupt);
  std::string damaged(entries[1].entry.text());
  damaged[40] = static_cast<char>(damaged[40] ^ 1);
  CHECK_EQ(code_of(co_await append(log, Buffer::take(damaged))), Code::kCorrupt);
  CHECK_EQ(code_of(co_await append(log, Buffer())), Code::kCorrupt);
  // Not the primary whose log this is, or not that life of it.
  CHECK_EQ(code_of(co_await log.append({entries[1].entry}, Epoch(1), 99)), Code::kPrecondition);
  CHECK_EQ(code_of(co_await log.append({entries[1].entry}, Epoch(3), 99)), Code::kPrecondition);
  CHECK_EQ(code_of(co_await log.append({entries[1].entry}, Epoch(2), 98)), Code::kPrecondition);
  CHECK_EQ(code_of(co_await log.catch_up({entries[1].entry})), Code::kPrecondition);
  CHECK_EQ(code_of(co_await append(log, encode_requests(kOrigin.block(), Epoch(2), "late"))),
           Code::kPrecondition);
  CHECK_EQ(log.entries(), 1u);
  REQUIRE(co_await append(log, entries[1].entry));
}

TEST_CASE("what is not the next entry of this log's primary is refused") {
  StoreWorld world;
  play(world, refuse_wrong);
}

TEST_CASE("a log that was made only to be sealed takes nothing from a primary") {
  AppendOrigin origin = kOrigin;
  origin.epoch = Epoch(0);
  origin.activation = 0;
  StoreWorld world;
  play(
      world,
      [](Env&, AppendLog& log) -> Task<> {
        const Entries entries = draw_entries(kOrigin, 1, 1);
        CHECK_EQ(code_of(co_await log.append({entries[0].entry}, Epoch(0), 0)),
                 Code::kPrecondition);
        CHECK_EQ(log.entries(), 0u);
      },
      origin);
}

Task<> repeat_entries(Env& env, AppendLog& log) {
  const Entries entries = draw_entries(kOrigin, 6, 1);
  const Buffer requests = encode_requests(kOrigin.block(), Epoch(2), AppendRequests(1).encode());
  std::vector<Result<void>> results;
  co_await together(env, [&](Nursery& children) {
    for (int i = 0; i < 3; ++i) children.spawn(note(append(log, requests), results));
  });
  for (const Result<void>& result : results) CHECK(result);
  CHECK_EQ(log.entries(), 1u);
  results.clear();
  for (int round = 0; round < 5; ++round)
    co_await together(env, [&](Nursery& children) {
      for (const DrawnEntry& entry : entries)
        children.spawn(note(append(log, entry.entry), results));
    });
  for (const DrawnEntry& entry : entries) REQUIRE(co_await append(log, entry.entry));
  REQUIRE(co_await append(log, requests));
  CHECK_EQ(log.entries(), 7u);
  CHECK_EQ(log.length(), length_of(entries, 6));
}

TEST_CASE("an entry that is appended again, also at the same time, is acknowledged and kept once") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    StoreWorld world(seed);
    play(world, repeat_entries);
  }
}

Task<> read_everywhere(Env&, AppendLog& log) {
  const Entries entries = draw_entries(kOrigin, 12, 3, 40);
  AppendRequests before(1);
  before.add(2, {.writer = 9, .request = 1, .length = 1}, 5);
  REQUIRE(co_await append(log, encode_requests(kOrigin.block(), Epoch(2), before.encode())));
  co_await append_all(log, entries);
  const std::string all = text_of(entries, 12);
  for (size_t offset = 0; offset <= all.size(); ++offset) {
    for (size_t length = 0; length <= all.size() - offset; length += 1 + length / 7) {
      const auto bytes = co_await log.read(offset, length);
      REQUIRE(bytes);
      REQUIRE((bytes->text() == all.substr(offset, length)));
    }
  }
  CHECK_EQ(code_of(co_await log.read(0, all.size() + 1)), Code::kInvalid);
  CHECK_EQ(code_of(co_await log.read(all.size() + 1, 0)), Code::kInvalid);
  CHECK_EQ(code_of(co_await log.read(UINT64_MAX, 2)), Code::kInvalid);
  CHECK_EQ(code_of(co_await log.read(0, limits::kShardReadBytesMax + 1)), Code::kTooLarge);
}

TEST_CASE("any stretch of the block can be read") {
  StoreWorld world;
  play(world, read_everywhere);
}

// Records of a few bytes: what describes them is many times as long.
Entries draw_small_records(size_t count) {
  Entries entries(count);
  uint64_t offset = 0;
  uint64_t request = 0;
  for (DrawnEntry& entry : entries) {
    std::vector<Buffer> pieces;
    for (size_t i = 0; i < 30'000; ++i) {
      const std::string piece(1 + (request + i) % 3, static_cast<char>('a' + i % 26));
      entry.records.push_back({.writer = 1,
                               .request = ++request,
                               .acknowledged_below = request,
                               .length = static_cast<uint32_t>(piece.size())});
      entry.data += piece;
      pieces.push_back(Buffer::copy(piece));
    }
    entry.offset = offset;
    entry.entry = encode_records(kOrigin.block(), Epoch(2), offset, entry.records, pieces);
    offset += entry.data.size();
  }
  return entries;
}

Task<> read_small_records(Env&, AppendLog& log, DiskWatch& watch) {
  const Entries entries = draw_small_records(12);
  co_await append_all(log, entries);
  const std::string all = text_of(entries, entries.size());
  const auto bytes = co_await log.read(3, all.size() - 5);
  CHECK((bytes && bytes->text() == all.substr(3, all.size() - 5)));
  CHECK_LE(watch.largest_read(), limits::kAppendBatchBytesMax);
}

TEST_CASE("a read of many small records takes a bounded part of the file at a time") {
  StoreWorld world;
  DiskWatch watch;
  world.run([&](Env& plain) -> Task<> {
    return [](Env& env, DiskWatch& seen) -> Task<> {
      WatchedEnv watched(env, seen);
      co_await make_log(watched.env(), kOrigin,
                        [&](Env& e, AppendLog& log) { return read_small_records(e, log, seen); });
    }(plain, watch);
  });
}

Task<> read_while(Env& env, AppendLog& log, const Entries& entries, const std::string& all,
                  int& reads) {
  Random& random = env.random();
  while (log.entries() < entries.size()) {
    const uint64_t length = log.length();
    const uint64_t from = random.below(length + 1);
    const auto bytes = co_await log.read(from, length - from);
    CHECK((bytes && bytes->text() == all.substr(from, length - from)));
    const auto requests = co_await log.requests(length);
    CHECK(requests);
    for (const DrawnEntry& entry : entries)
      for (const AppendedRecord& record : entry.records)
        if (requests && record.request == 10 * static_cast<uint64_t>(&entry - entries.data()) + 1)
          CHECK_EQ(requests->find(record.writer, record.request).has_value(),
                   entry.offset + entry.data.size() <= length);
    const auto some = co_await log.entries_from(0);
    CHECK(some);
    ++reads;
    co_await env.sleep(Duration(random.below(3'000'000)));
  }
}

Task<> append_slowly(Env& env, AppendLog& log, const Entries& entries) {
  for (size_t i = 0; i < entries.size(); i += 2) {
    for (const auto& result :
         co_await append_together(env, log, entries, i, std::min(i + 2, entries.size())))
      CHECK(result);
    co_await env.sleep(Duration(env.random().below(4'000'000)));
  }
}

TEST_CASE("what is durable can be read while more is appended") {
  int reads = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    StoreWorld world(seed);
    const Entries entries = draw_entries(kOrigin, 30, seed);
    const std::string all = text_of(entries, entries.size());
    play(world, [&](Env& env, AppendLog& log) {
      return together(env, [&](Nursery& children) {
        for (int i = 0; i < 3; ++i) children.spawn(read_while(env, log, entries, all, reads));
        children.spawn(append_slowly(env, log, entries));
      });
    });
  }
  CHECK_GT(reads, 300);
}

Task<> read_damaged(Env&, AppendLog& log, Entries entries, size_t damaged, size_t& refused) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto bytes = co_await log.read(entries[i].offset, entries[i].data.size());
    if (i == damaged)
      CHECK_EQ(code_of(bytes), Code::kCorrupt);
    else
      CHECK((bytes && bytes->text() == entries[i].data));
  }
  if (!co_await log.entries_from(entries[damaged].offset)) ++refused;
  if (!co_await log.requests(log.length())) ++refused;
}

Task<> damage_and_read(Env& env, AppendLog& log, StoreWorld& world, size_t damaged,
                       size_t& refused) {
  const Entries entries = draw_entries(kOrigin, 8, 4);
  co_await append_all(log, entries);
  const std::string& bytes = *world.host().disk_image().durable_bytes(kLogPath);
  const size_t position = bytes.find(entries[damaged].entry.text());
  REQUIRE_NE(position, std::string::npos);
  const size_t byte = position + entries[damaged].entry.size() - 1;
  REQUIRE(world.host().disk_image().rot(kLogPath, byte, 2));
  co_await read_damaged(env, log, entries, damaged, refused);
}

TEST_CASE("what was damaged on the disk is never given out, nor left out of what was asked for") {
  for (size_t damaged = 0; damaged < 8; ++damaged) {
    CAPTURE(damaged);
    StoreWorld world(damaged);
    size_t refused = 0;
    play(world, [&](Env& env, AppendLog& log) {
      return damage_and_read(env, log, world, damaged, refused);
    });
    CHECK_EQ(refused, 2u);
  }
}

Task<> seal_log(Env&, AppendLog& log) {
  const Entries entries = draw_entries(kOrigin, 5, 5);
  for (size_t i = 0; i < 3; ++i) REQUIRE(co_await append(log, entries[i].entry));
  CHECK_EQ((co_await log.seal(Epoch(5))).value(), length_of(entries, 3));
  CHECK_EQ(log.sealed(), Epoch(5));
  CHECK_EQ(code_of(co_await append(log, entries[3].entry)), Code::kPrecondition);
  // Again, at a lower and at a higher epoch.
  CHECK_EQ((co_await log.seal(Epoch(5))).value(), length_of(entries, 3));
  CHECK_EQ((co_await log.seal(Epoch(3))).value(), length_of(entries, 3));
  CHECK_EQ(log.sealed(), Epoch(5));
  CHECK_EQ((co_await log.seal(Epoch(6))).value(), length_of(entries, 3));
  CHECK_EQ(log.sealed(), Epoch(6));
  REQUIRE(co_await log.catch_up({entries[3].entry}));
  Random random(6);
  const DrawnEntry other = draw_entry(kOrigin, entries[3].offset, 3, random);
  CHECK_EQ(code_of(co_await log.catch_up({other.entry})), Code::kExists);
  CHECK_EQ((co_await log.seal(Epoch(6))).value(), length_of(entries, 4));
}

TEST_CASE("a sealed log refuses its primary for ever, and takes what it lacks") {
  StoreWorld world;
  play(world, seal_log);
  world.host().power_off();
  play_again(world, [](Env&, AppendLog& log) -> Task<> {
    const Entries entries = draw_entries(kOrigin, 5, 5);
    CHECK_EQ(log.sealed(), Epoch(6));
    CHECK_EQ(code_of(co_await append(log, entries[4].entry)), Code::kPrecondition);
    REQUIRE(co_await log.catch_up({entries[4].entry}));
    CHECK_EQ((co_await log.seal(Epoch(6))).value(), length_of(entries, 5));
  });
}

Task<> race_sealers(Env& env, AppendLog& log) {
  const Entries entries = draw_entries(kOrigin, 6, 5);
  REQUIRE(co_await append(log, entries[0].entry));
  std::vector<Result<void>> appended;
  std::vector<Result<uint64_t>> sealed;
  co_await together(env, [&](Nursery& children) {
    for (size_t i = 1; i < 6; ++i) children.spawn(note(append(log, entries[i].entry), appended));
    for (const uint64_t epoch : {7, 9, 8, 9, 6, 3})
      children.spawn(note_length(log.seal(Epoch(epoch)), sealed));
  });
  const auto taken = static_cast<size_t>(
      std::ranges::count_if(appended, [](const auto& r) { return r.has_value(); }));
  CHECK_EQ(log.entries(), 1 + taken);
  for (const auto& length : sealed) {
    REQUIRE(length);
    CHECK_EQ(*length, length_of(entries, 1 + taken));
  }
  CHECK_EQ(log.sealed(), Epoch(9));
}

TEST_CASE("of sealers at the same time the highest holds, after power loss too, and all agree") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    StoreWorld world(seed);
    play(world, race_sealers);
    world.host().power_off();
    play_again(world, [](Env&, AppendLog& log) -> Task<> {
      CHECK_EQ(log.sealed(), Epoch(9));
      co_return;
    });
  }
}

Task<> copy_log(Env& env, AppendLog& from, AppendLog& to) {
  (co_await to.seal(Epoch(5))).value();
  for (uint64_t at = 0;;) {
    const auto entries = (co_await from.entries_from(at)).value();
    if (entries.empty()) break;
    REQUIRE(co_await to.catch_up(entries));
    at = peek_entry(entries.back().view())->end();
  }
  CHECK_EQ(to.length(), from.length());
  CHECK_EQ(to.entries(), from.entries());
  const uint64_t part = std::min<uint64_t>(from.length(), limits::kShardReadBytesMax);
  CHECK((co_await from.read(0, part) == co_await to.read(0, part)));
  CHECK((co_await from.requests(from.length()) == co_await to.requests(to.length())));
  co_await env.sleep(5ms);
}

// Another replica of the same block, beside the first.
Task<> copy_to_second(Env& env, AppendLog& log, Entries entries, bool with_requests) {
  if (with_requests)
    REQUIRE(co_await append(
        log, encode_requests(kOrigin.block(), Epoch(2), AppendRequests(2).encode())));
  co_await append_all(log, entries);
  AppendOrigin second = kOrigin;
  second.identity.name.shard = 2;
  second.epoch = Epoch(0);
  second.activation = 0;
  co_await make_log(env, second, [&](Env& e, AppendLog& to) { return copy_log(e, log, to); });
}

TEST_CASE("a whole log can be copied to a sealed one") {
  for (const bool with_requests : {false, true}) {
    for (const size_t bytes_max : {100, 150'000}) {
      StoreWorld world;
      play(world, [&](Env& env, AppendLog& log) {
        return copy_to_second(env, log, draw_entries(kOrigin, 30, 9, bytes_max), with_requests);
      });
    }
  }
}

Task<> ask_entries(Env&, AppendLog& log) {
  CHECK((co_await log.entries_from(0)).value().empty());
  CHECK_EQ(code_of(co_await log.entries_from(1)), Code::kInvalid);
  const Entries entries = draw_entries(kOrigin, 3, 9);
  co_await append_all(log, entries);
  CHECK_EQ((co_await log.entries_from(0)).value().size(), 3u);
  CHECK_EQ((co_await log.entries_from(entries[2].offset)).value().size(), 1u);
  CHECK((co_await log.entries_from(log.length())).value().empty());
  for (const uint64_t inside : {uint64_t{1}, entries[2].offset + 1, log.length() + 1})
    CHECK_EQ(code_of(co_await log.entries_from(inside)), Code::kInvalid);
}

TEST_CASE("entries are given from where one begins, and nowhere else") {
  StoreWorld world;
  play(world, ask_entries);
}

Task<> count_requests(Env&, AppendLog& log) {
  AppendRequests expected(2);
  expected.add(2, {.writer = 50, .request = 3, .length = 4}, 8);
  REQUIRE(co_await append(log, encode_requests(kOrigin.block(), Epoch(2), expected.encode())));
  const Entries entries = draw_entries(kOrigin, 10, 10);
  co_await append_all(log, entries);
  CHECK((co_await log.requests(0) == expected));
  for (const DrawnEntry& entry : entries) {
    const uint64_t end = entry.offset + entry.data.size();
    CHECK((co_await log.requests(end - 1) == expected));
    uint64_t at = kOrigin.file_offset + entry.offset;
    for (const AppendedRecord& record : entry.records) {
      expected.add(kOrigin.ordinal, record, at);
      at += record.length;
    }
    CHECK((co_await log.requests(end) == expected));
  }
  CHECK_EQ(code_of(co_await log.requests(log.length() + 1)), Code::kInvalid);
}

TEST_CASE("the requests of a length are those handed over and those of the entries within it") {
  StoreWorld world;
  play(world, count_requests);
}

Task<> fail_sync_once(Env& env, AppendLog& log, sim::DiskModel& disk, bool of_seal) {
  const Entries entries = draw_entries(kOrigin, 5, 11);
  for (size_t i = 0; i < 2; ++i) REQUIRE(co_await append(log, entries[i].entry));
  co_await env.sleep(10ms);
  disk.set_trap(1, [&disk] {
    disk.fail_nth(1);
    return true;
  });
  if (of_seal)
    CHECK_EQ(code_of(co_await log.seal(Epoch(5))), Code::kIo);
  else
    CHECK_EQ(code_of(co_await append(log, entries[2].entry)), Code::kIo);
  CHECK(log.has_failed());
  CHECK_EQ(log.length(), length_of(entries, 2));
  // Final: also for what is durable, and for seals.
  CHECK_EQ(code_of(co_await append(log, entries[2].entry)), Code::kIo);
  CHECK_EQ(code_of(co_await append(log, entries[0].entry)), Code::kIo);
  CHECK_EQ(code_of(co_await log.seal(Epoch(6))), Code::kIo);
}

Task<> ends_by_itself(Env& env, StoreWorld& world, bool of_seal, bool& ended) {
  DirectorySync names(env, "");
  auto log = (co_await AppendLog::create(env, names, "", kOrigin)).value();
  co_await nursery(env, [&](Nursery& children) -> Task<> {
    return [](Env& e, Nursery& tasks, std::shared_ptr<AppendLog> failing, StoreWorld& w, bool seal,
              bool& done) -> Task<> {
      tasks.spawn(AppendLog::run(failing));
      co_await fail_sync_once(e, *failing, w.host().disk_model(), seal);
      co_await tasks.join();
      done = true;
    }(env, children, log, world, of_seal, ended);
  });
}

TEST_CASE("a failed sync is final for the log in memory, and the next open tells the truth") {
  for (const bool of_seal : {false, true}) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      CAPTURE(seed);
      StoreWorld world(seed);
      bool ended = false;
      world.run([&](Env& env) { return ends_by_itself(env, world, of_seal, ended); });
      CHECK(ended);
      size_t found = 0;
      Epoch sealed;
      play_again(world, [&](Env&, AppendLog& log) -> Task<> {
        found = log.entries();
        sealed = log.sealed();
        co_return;
      });
      CHECK_GE(found, 2u);
      world.host().power_off();
      play_again(world, [&](Env&, AppendLog& log) -> Task<> {
        CHECK_EQ(log.entries(), found);
        CHECK_EQ(log.sealed(), sealed);
        co_return;
      });
    }
  }
}

Task<> fill_disk(Env& env, AppendLog& log, StoreWorld& world) {
  const Entries entries = draw_entries(kOrigin, 12, 12);
  auto& image = world.host().disk_image();
  for (size_t i = 0; i < 3; ++i) REQUIRE(co_await append(log, entries[i].entry));
  const uint64_t used = image.space().total_bytes - image.space().free_bytes;
  image.set_capacity(used + 100);
  const auto results = co_await append_together(env, log, entries, 3, 9);
  for (const Result<void>& result : results)
    CHECK((code_of(result) == Code::kNoSpace || code_of(result) == Code::kPrecondition));
  CHECK_FALSE(log.has_failed());
  CHECK_EQ(log.length(), length_of(entries, 3));
  CHECK((co_await log.read(0, log.length())).value().text() == text_of(entries, 3));
  co_await env.sleep(10ms);
  image.set_capacity(uint64_t{1} << 30);
  for (size_t i = 3; i < 9; ++i) REQUIRE(co_await append(log, entries[i].entry));
  image.set_capacity(0);
  CHECK_EQ((co_await log.seal(Epoch(5))).value(), length_of(entries, 9));
  CHECK_EQ(code_of(co_await log.catch_up({entries[9].entry})), Code::kNoSpace);
}

TEST_CASE("a full disk refuses what waits; with space again the log goes on") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    StoreWorld world(seed);
    play(world, [&](Env& env, AppendLog& log) { return fill_disk(env, log, world); });
    world.host().power_off();
    world.host().disk_image().set_capacity(uint64_t{1} << 30);
    play_again(world, [](Env&, AppendLog& log) -> Task<> {
      const Entries entries = draw_entries(kOrigin, 12, 12);
      REQUIRE_GE(log.entries(), 9u);
      CHECK((co_await log.read(0, length_of(entries, 9))).value().text() == text_of(entries, 9));
      CHECK_EQ(log.sealed(), Epoch(5));
    });
  }
}

Task<> batch_many(Env& env, AppendLog& log, StoreWorld& world) {
  const Entries entries = draw_entries(kOrigin, 200, 13, 300);
  const uint64_t before = world.host().disk_model().operations();
  for (const auto& result : co_await append_together(env, log, entries, 0, 200)) CHECK(result);
  // The first may go alone, all others together; a write and a sync each.
  CHECK_LE(world.host().disk_model().operations() - before, 6u);
}

TEST_CASE("whatever many append is written and synced together") {
  StoreWorld world;
  play(world, [&](Env& env, AppendLog& log) { return batch_many(env, log, world); });
}

Task<> too_much(Env& env, AppendLog& log) {
  Entries entries(12);
  for (size_t i = 0; i < entries.size(); ++i) {
    const uint64_t offset = i * limits::kAppendRecordBytesMax;
    const AppendedRecord record{.writer = 1,
                                .request = i + 1,
                                .length = static_cast<uint32_t>(limits::kAppendRecordBytesMax)};
    entries[i].entry = encode_records(kOrigin.block(), Epoch(2), offset, {record},
                                      {Buffer::take(std::string(record.length, 'x'))});
  }
  size_t taken = 0;
  for (const auto& result : co_await append_together(env, log, entries, 0, entries.size())) {
    CHECK((result || result.error().is(Code::kUnavailable) ||
           result.error().is(Code::kPrecondition)));
    taken += result.has_value();
  }
  CHECK_LT(taken, entries.size());
  CHECK_LE(taken * limits::kAppendRecordBytesMax, limits::kAppendQueueBytesMax);
  for (const DrawnEntry& entry : entries) CHECK(co_await append(log, entry.entry));
  CHECK_EQ(log.length(), entries.size() * limits::kAppendRecordBytesMax);
}

TEST_CASE("entries of the largest size pass, and only so many wait") {
  StoreWorld world;
  play(world, too_much);
  world.host().power_off();
  play_again(world, [](Env&, AppendLog& log) -> Task<> {
    CHECK_EQ(log.entries(), 12u);
    co_return;
  });
}

Task<> leave(Env& env, std::vector<Result<void>>& results) {
  DirectorySync names(env, "");
  auto log = (co_await AppendLog::create(env, names, "", kOrigin)).value();
  const Entries entries = draw_entries(kOrigin, 1, 1);
  co_await nursery(env, [&](Nursery& outer) -> Task<> {
    return [](Env& e, Nursery& tasks, std::shared_ptr<AppendLog> left, Buffer entry,
              std::vector<Result<void>>& out) -> Task<> {
      co_await nursery(e, [&](Nursery& writer) -> Task<> {
        return [](Env& inside, Nursery& run, Nursery& beside_it, std::shared_ptr<AppendLog> shared,
                  Buffer bytes, std::vector<Result<void>>& into) -> Task<> {
          run.spawn(AppendLog::run(shared));
          beside_it.spawn(note(append(*shared, bytes), into));
          co_await inside.sleep(std::chrono::microseconds(5));
        }(e, writer, tasks, left, entry, out);
      });
      co_await tasks.join();
    }(env, outer, log, entries[0].entry, results);
  });
  CHECK_EQ(code_of(co_await append(*log, entries[0].entry)), Code::kUnavailable);
}

TEST_CASE("when a log's task is cancelled, those who wait are told") {
  StoreWorld world;
  std::vector<Result<void>> results;
  world.run([&](Env& env) { return leave(env, results); });
  REQUIRE_EQ(results.size(), 1u);
  CHECK_EQ(code_of(results[0]), Code::kUnavailable);
}

}  // namespace
}  // namespace dogfs::chunk
