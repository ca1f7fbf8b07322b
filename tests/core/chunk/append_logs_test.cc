#include "core/chunk/append_logs.h"

#include <map>

#include "core/base/limits.h"
#include "sim/world/disk_image.h"

#include "tests/core/chunk/append_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

using Logs = AppendLogs;
using Log = Result<std::shared_ptr<AppendLog>>;
using LogsScript = std::function<Task<>(Env& env, Logs& logs)>;

Code code_of(const auto& result) { return result ? Code{} : result.error().code; }

ShardName name_of(uint64_t block) { return origin_of(block).identity.name; }

// The n-th entry of a log of these tests: ten bytes.
Buffer entry_of(uint64_t block, uint64_t number) {
  return encode_records(origin_of(block).block(), Epoch(2), 10 * number,
                        {{.writer = 1, .request = number + 1, .length = 10}},
                        {Buffer::copy(block_text(10, 1000 * block + number))});
}

Task<> beside_logs(Env& env, Nursery& children, Logs& logs, LogsScript script) {
  children.spawn(logs.run());
  co_await env.sleep(Duration(1));
  co_await script(env, logs);
}

Task<> with_logs(Env& env, LogsScript script) {
  auto logs = co_await Logs::open(env, "data", kCluster);
  if (!logs) check_failed("the logs open", __FILE__, __LINE__, logs.error().message);
  co_await nursery(env,
                   [&](Nursery& children) { return beside_logs(env, children, **logs, script); });
}

Task<> make_data_directory(Env& env) {
  (void)co_await env.disk().make_directory("data");
  (void)co_await env.disk().sync_directory("");
}

Task<> live(Env& env, LogsScript script) {
  co_await make_data_directory(env);
  co_await with_logs(env, std::move(script));
}

void play(StoreWorld& world, const LogsScript& script) {
  world.run([&](Env& env) { return live(env, script); });
}

constexpr uint64_t kCount = 3 * limits::kAppendLogsKeptOpenMax;

TEST_CASE("many logs are kept, few of them open, and all are found by the next life") {
  StoreWorld world;
  play(world, [](Env& env, Logs& logs) -> Task<> {
    std::vector<std::weak_ptr<AppendLog>> made;
    for (uint64_t block = 1; block <= kCount; ++block) {
      auto log = co_await logs.find_or_create(origin_of(block));
      REQUIRE(log);
      REQUIRE(co_await append(**log, entry_of(block, 0)));
      made.push_back(*log);
    }
    co_await env.sleep(10ms);
    for (uint64_t block = 1; block <= kCount; ++block) {
      auto log = co_await logs.find(name_of(block));
      REQUIRE(log);
      REQUIRE(co_await append(**log, entry_of(block, 1)));
      co_await env.sleep(10ms);
    }
    const auto open = std::ranges::count_if(made, [](const auto& log) { return !log.expired(); });
    CHECK_LE(open, limits::kAppendLogsKeptOpenMax);
  });
  world.host().power_off();
  play(world, [](Env&, Logs& logs) -> Task<> {
    CHECK_EQ(logs.names().size(), kCount);
    for (uint64_t block = 1; block <= kCount; ++block) {
      CHECK(logs.contains(name_of(block)));
      auto log = co_await logs.find(name_of(block));
      REQUIRE(log);
      CHECK_EQ((*log)->entries(), 2u);
    }
  });
}

TEST_CASE("so many logs may be in use at a time, and no more") {
  StoreWorld world;
  play(world, [](Env&, Logs& logs) -> Task<> {
    std::vector<std::shared_ptr<AppendLog>> used;
    for (uint64_t block = 1; block <= limits::kAppendLogsMax; ++block)
      used.push_back((co_await logs.find_or_create(origin_of(block))).value());
    CHECK_EQ(code_of(co_await logs.find_or_create(origin_of(5000))), Code::kUnavailable);
    CHECK(co_await logs.find(name_of(1)));
    used.pop_back();
    CHECK(co_await logs.find_or_create(origin_of(5000)));
  });
}

TEST_CASE("a log that was never made, or was removed, is not found") {
  StoreWorld world;
  play(world, [](Env&, Logs& logs) -> Task<> {
    CHECK_EQ(code_of(co_await logs.find(name_of(1))), Code::kNotFound);
    CHECK_EQ(code_of(co_await logs.remove(name_of(1))), Code::kNotFound);
    const auto log = (co_await logs.find_or_create(origin_of(1))).value();
    REQUIRE(co_await append(*log, entry_of(1, 0)));
    REQUIRE(co_await logs.remove(name_of(1)));
    CHECK_EQ(code_of(co_await append(*log, entry_of(1, 1))), Code::kUnavailable);
    CHECK_EQ(code_of(co_await logs.find(name_of(1))), Code::kNotFound);
    CHECK_FALSE(logs.contains(name_of(1)));
    // One of the same name is another.
    REQUIRE(co_await logs.find_or_create(origin_of(1)));
    CHECK_EQ((co_await logs.find(name_of(1))).value()->entries(), 0u);
    REQUIRE(co_await logs.remove(name_of(1)));
  });
  world.host().power_off();
  play(world, [](Env&, Logs& logs) -> Task<> {
    CHECK(logs.names().empty());
    co_return;
  });
}

Task<> leave_files(Env& env) {
  for (const std::string& name : {append_file_name(name_of(3)) + ".new", std::string("notes")}) {
    auto file = (co_await env.disk().open("data/appends/" + name, OpenMode::kAlways)).value();
    (co_await file->write(0, Buffer::copy("something"))).value();
  }
}

TEST_CASE("a start removes what was being made, and leaves alone what is no log") {
  StoreWorld world;
  play(world, [](Env& env, Logs& logs) -> Task<> {
    REQUIRE(co_await logs.find_or_create(origin_of(1)));
    co_await leave_files(env);
  });
  play(world, [](Env& env, Logs& logs) -> Task<> {
    CHECK_EQ(logs.names().size(), 1u);
    const auto files = (co_await env.disk().list("data/appends")).value();
    REQUIRE_EQ(files.size(), 2u);
    CHECK_EQ(files[0].name, append_file_name(name_of(1)));
    CHECK_EQ(files[1].name, "notes");
  });
}

TEST_CASE("whichever operation fails while a log is made, it can be made afterwards") {
  size_t failed = 0;
  for (uint64_t n = 1; n <= 8; ++n) {
    CAPTURE(n);
    StoreWorld world(n);
    play(world, [&](Env&, Logs& logs) -> Task<> {
      return [](Logs& all, sim::DiskModel& disk, uint64_t nth, size_t& failures) -> Task<> {
        disk.fail_nth(nth);
        failures += !(co_await all.find_or_create(origin_of(1)));
        disk.clear_trap();
        auto log = co_await all.find_or_create(origin_of(1));
        REQUIRE(log);
        REQUIRE(co_await append(**log, entry_of(1, 0)));
      }(logs, world.host().disk_model(), n, failed);
    });
    world.host().power_off();
    play(world, [](Env&, Logs& logs) -> Task<> {
      auto log = co_await logs.find(name_of(1));
      REQUIRE(log);
      CHECK_EQ((*log)->entries(), 1u);
    });
  }
  CHECK_GE(failed, 4u);
}

TEST_CASE("whichever operation fails while a log is removed, it is there or can be made anew") {
  for (uint64_t n = 1; n <= 3; ++n) {
    CAPTURE(n);
    StoreWorld world(n);
    play(world, [&](Env&, Logs& logs) -> Task<> {
      return [](Logs& all, sim::DiskModel& disk, uint64_t nth) -> Task<> {
        auto log = (co_await all.find_or_create(origin_of(1))).value();
        REQUIRE(co_await append(*log, entry_of(1, 0)));
        disk.fail_nth(nth);
        const auto removed = co_await all.remove(name_of(1));
        disk.clear_trap();
        if (!removed) CHECK_EQ(removed.error().code, Code::kIo);
        log = (co_await all.find_or_create(origin_of(1))).value();
        CHECK_LE(log->entries(), removed ? 0u : 1u);
        REQUIRE(co_await append(*log, entry_of(1, 0)));
        REQUIRE(co_await all.remove(name_of(1)));
        CHECK_EQ(code_of(co_await all.find(name_of(1))), Code::kNotFound);
      }(logs, world.host().disk_model(), n);
    });
  }
}

Task<> doubt_and_condemn(Env& env, Logs& logs, sim::DiskImage& image) {
  std::vector<ShardName> doubts;
  logs.when_in_doubt([&doubts](const ShardName& name) { doubts.push_back(name); });
  for (uint64_t block = 1; block <= 2; ++block) {
    const auto log = (co_await logs.find_or_create(origin_of(block))).value();
    for (uint64_t number = 0; number < 3; ++number)
      REQUIRE(co_await append(*log, entry_of(block, number)));
  }
  co_await env.sleep(10ms);
  CHECK(co_await logs.verify(name_of(1)));
  REQUIRE(image.rot("data/appends/" + append_file_name(name_of(1)), kAppendHeaderBytes + 20, 3));
  const auto found = co_await logs.verify(name_of(1));
  REQUIRE_EQ(code_of(found), Code::kCorrupt);
  CHECK(co_await logs.verify(name_of(2)));
  CHECK_EQ(code_of(co_await logs.verify(name_of(3))), Code::kNotFound);
  // Whoever reads it makes it doubtful, and nothing else.
  CHECK(doubts.empty());
  const auto log = (co_await logs.find(name_of(1))).value();
  CHECK(co_await log->read(20, 10));
  CHECK(doubts.empty());
  CHECK_EQ(code_of(co_await log->read(0, 10)), Code::kCorrupt);
  CHECK((doubts == std::vector{name_of(1)}));
  logs.condemn(name_of(1), found.error());
  CHECK_EQ(code_of(co_await append(*log, entry_of(1, 3))), Code::kCorrupt);
  logs.condemn(name_of(3), found.error());
  logs.when_in_doubt({});
}

TEST_CASE("a log is verified as it lies on the disk, and what reads of it find makes it doubtful") {
  StoreWorld world;
  play(world, [&](Env& env, Logs& logs) {
    return doubt_and_condemn(env, logs, world.host().disk_image());
  });
  // Likewise one that is not open.
  play(world, [](Env&, Logs& logs) -> Task<> {
    CHECK_EQ(code_of(co_await logs.verify(name_of(1))), Code::kCorrupt);
    CHECK(co_await logs.verify(name_of(2)));
  });
}

TEST_CASE("a damaged log is corrupt each time it is asked for, and can be removed") {
  StoreWorld world;
  const std::string path = "data/appends/" + append_file_name(name_of(1));
  play(world, [](Env& env, Logs& logs) -> Task<> {
    const auto log = (co_await logs.find_or_create(origin_of(1))).value();
    for (uint64_t i = 0; i < 5; ++i) REQUIRE(co_await append(*log, entry_of(1, i)));
    co_await env.sleep(10ms);
  });
  REQUIRE(world.host().disk_image().rot(path, kAppendHeaderBytes + 30, 1));
  play(world, [](Env&, Logs& logs) -> Task<> {
    CHECK_EQ(code_of(co_await logs.find(name_of(1))), Code::kCorrupt);
    CHECK_EQ(code_of(co_await logs.find_or_create(origin_of(1))), Code::kCorrupt);
    CHECK(logs.contains(name_of(1)));
    REQUIRE(co_await logs.remove(name_of(1)));
    CHECK_EQ((co_await logs.find_or_create(origin_of(1))).value()->entries(), 0u);
  });
}

TEST_CASE("a log that failed is opened again when it is asked for, with all it promised") {
  StoreWorld world;
  play(world, [&](Env&, Logs& logs) -> Task<> {
    return [](Logs& all, sim::DiskModel& disk) -> Task<> {
      auto log = (co_await all.find_or_create(origin_of(1))).value();
      REQUIRE(co_await append(*log, entry_of(1, 0)));
      disk.set_trap(1, [&disk] {
        disk.fail_nth(1);
        return true;
      });
      CHECK_EQ(code_of(co_await append(*log, entry_of(1, 1))), Code::kIo);
      auto again = (co_await all.find(name_of(1))).value();
      CHECK_NE(again.get(), log.get());
      for (uint64_t i = 0; i < 4; ++i) REQUIRE(co_await append(*again, entry_of(1, i)));
    }(logs, world.host().disk_model());
  });
  world.host().power_off();
  play(world, [](Env&, Logs& logs) -> Task<> {
    CHECK_EQ((co_await logs.find(name_of(1))).value()->entries(), 4u);
  });
}

// What many tasks that use the same few logs may rely on.
struct Ledger {
  struct Block {
    size_t acknowledged = 0;  // entries
    uint64_t removals = 0;    // begun
    bool gone = false;        // surely
  };
  std::map<uint64_t, Block> blocks;
  std::string complaint;
  int appended = 0;
  int removed = 0;
  int cancelled = 0;

  void complain(std::string text) {
    if (complaint.empty()) complaint = std::move(text);
  }
};

Task<> use_log(Logs& logs, Ledger& ledger, uint64_t block, bool create) {
  const Ledger::Block before = ledger.blocks[block];
  if (create) ledger.blocks[block].gone = false;
  const Log log =
      create ? co_await logs.find_or_create(origin_of(block)) : co_await logs.find(name_of(block));
  const bool same = before.removals == ledger.blocks[block].removals;
  if (!log) {
    if (same && before.acknowledged > 0 && !log.error().is(Code::kIo))
      ledger.complain(fmt::format("block {}: {}", block, log.error()));
    co_return;
  }
  if (same && (*log)->entries() < before.acknowledged && !(*log)->has_failed())
    ledger.complain(fmt::format("block {} has {} entries of {}", block, (*log)->entries(),
                                before.acknowledged));
  const size_t number = (*log)->entries();
  const auto done = co_await append(**log, entry_of(block, number));
  Ledger::Block& now = ledger.blocks[block];
  if (!done || now.removals != before.removals) co_return;
  now.acknowledged = std::max(now.acknowledged, number + 1);
  ++ledger.appended;
}

Task<> remove_log(Logs& logs, Ledger& ledger, uint64_t block) {
  Ledger::Block& of = ledger.blocks[block];
  const uint64_t number = ++of.removals;
  of.acknowledged = 0;
  const auto removed = co_await logs.remove(name_of(block));
  if (!removed && removed.error().is(Code::kNotFound)) co_return;
  if (!removed && !removed.error().is(Code::kIo)) ledger.complain(removed.error().message);
  if (!removed || of.removals != number) co_return;
  ++ledger.removed;
}

Task<> use_for_a_while(Env& env, Logs& logs, Ledger& ledger) {
  Random& random = env.random();
  for (int i = 0; i < 12; ++i) {
    const uint64_t block = random.between(1, 4);
    if (random.chance(1, 6))
      co_await remove_log(logs, ledger, block);
    else
      co_await use_log(logs, ledger, block, random.chance(2, 3));
    if (random.chance(1, 3)) co_await env.sleep(Duration(random.below(3'000'000)));
  }
}

// A caller, perhaps one that gives up in the middle.
Task<> call(Env& env, Logs& logs, Ledger& ledger) {
  const bool gives_up = env.random().chance(1, 3);
  co_await nursery(env, [&](Nursery& children) -> Task<> {
    return [](Env& e, Nursery& tasks, Logs& all, Ledger& book, bool stops) -> Task<> {
      tasks.spawn(use_for_a_while(e, all, book));
      if (!stops) co_return co_await tasks.join();
      co_await e.sleep(Duration(e.random().below(4'000'000)));
      book.cancelled += tasks.size() > 0;
    }(env, children, logs, ledger, gives_up);
  });
}

Task<> call_from_many(Env& env, Logs& logs, Ledger& ledger) {
  co_await nursery(env, [&](Nursery& children) -> Task<> {
    return [](Env& e, Nursery& tasks, Logs& all, Ledger& book) -> Task<> {
      for (int i = 0; i < 10; ++i) tasks.spawn(call(e, all, book));
      co_await tasks.join();
    }(env, children, logs, ledger);
  });
}

Task<> check_all(Logs& logs, Ledger& ledger) {
  for (const auto& [block, promised] : ledger.blocks) {
    const auto log = co_await logs.find(name_of(block));
    const size_t found = log ? (*log)->entries() : 0;
    if (found < promised.acknowledged || (!log && !log.error().is(Code::kNotFound)))
      ledger.complain(fmt::format("block {} has {} of {} entries, {}", block, found,
                                  promised.acknowledged, log ? "" : log.error().message));
    for (size_t i = 0; i < found; ++i) {
      const auto bytes = co_await (*log)->read(10 * i, 10);
      if (!bytes || bytes->text() != block_text(10, 1000 * block + i))
        ledger.complain(fmt::format("wrong bytes of block {}", block));
    }
  }
}

// Three lives, of which every second runs to its end, and a look at what is left.
void use_and_check(uint64_t seed, sim::DiskFaultRates rates, Ledger& ledger) {
  StoreWorld world(seed);
  const bool to_the_end = seed % 2 == 0;
  for (int again = 0; again < 3; ++again) {
    world.host().set_main([&](Env& env) {
      return live(env, [&](Env& e, Logs& logs) { return call_from_many(e, logs, ledger); });
    });
    world.host().boot();
    world.world().run_for(4ms);
    world.host().disk_model().set_rates(rates);
    world.world().run_for(to_the_end ? 60s : Duration(2'000'000 + 40'000 * (seed % 80)));
    world.host().disk_model().set_rates({});
    REQUIRE((!to_the_end || world.host().process()->ended()));
    seed % 3 == 0 ? world.host().crash() : world.host().power_off();
  }
  play(world, [&](Env&, Logs& logs) { return check_all(logs, ledger); });
  REQUIRE_EQ(ledger.complaint, "");
}

void use_and_check_many(uint64_t seeds, sim::DiskFaultRates rates) {
  int appended = 0, removed = 0, cancelled = 0;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Ledger ledger;
    use_and_check(seed, rates, ledger);
    appended += ledger.appended;
    removed += ledger.removed;
    cancelled += ledger.cancelled;
  }
  CHECK_GT(appended, 1000);
  CHECK_GT(removed, 100);
  CHECK_GT(cancelled, 50);
}

TEST_CASE("many who find, make and remove the same logs, and some who give up, are all served") {
  use_and_check_many(50, {});
}

TEST_CASE("on a disk that fails now and then, logs that many use keep what they promised") {
  use_and_check_many(50, {.write_error = 5'000, .sync_error = 20'000, .metadata_error = 20'000});
}

}  // namespace
}  // namespace dogfs::chunk
