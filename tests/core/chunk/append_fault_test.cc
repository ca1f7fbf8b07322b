#include "core/chunk/append_log.h"
#include "sim/world/disk_image.h"

#include "tests/core/chunk/append_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

constexpr size_t kEntries = 14;  // of a life

// What was promised of a log, over all its lives.
struct Ledger {
  explicit Ledger(uint64_t seed) : entries(draw_entries(kOrigin, 200, seed, 600)) {}

  const std::vector<DrawnEntry> entries;
  size_t acknowledged = 0;
  Epoch sealed;
  bool seals = false;  // this life seals
  bool created = false;
  int failures = 0;
  int refusals = 0;
  std::string complaint;  // the first broken promise
  std::optional<Error> open_error;

  void complain(std::string text) {
    if (complaint.empty()) complaint = std::move(text);
  }
};

Task<> check_found(AppendLog& log, Ledger& ledger) {
  if (log.entries() < ledger.acknowledged)
    ledger.complain(fmt::format("{} of {} entries are left", log.entries(), ledger.acknowledged));
  if (log.length() != length_of(ledger.entries, log.entries())) ledger.complain("a wrong length");
  if (log.sealed() < ledger.sealed)
    ledger.complain(fmt::format("sealed at {}, promised was {}", log.sealed(), ledger.sealed));
  std::string expected;
  for (size_t i = 0; i < log.entries(); ++i) expected += ledger.entries[i].data;
  const auto bytes = co_await log.read(0, log.length());
  // Disks that fail at random may fail here.
  if (!bytes && bytes.error().is(Code::kIo)) co_return;
  if (!bytes || bytes->text() != expected) ledger.complain("wrong bytes");
  // What was found and made durable is promised.
  ledger.acknowledged = std::max(ledger.acknowledged, log.entries());
  ledger.sealed = std::max(ledger.sealed, log.sealed());
}

Task<> append_one(Env& env, AppendLog& log, Ledger& ledger, size_t number, Duration delay,
                  bool& failed) {
  co_await env.sleep(delay);
  const Buffer& entry = ledger.entries[number].entry;
  const auto done =
      log.sealed() > Epoch(0) ? co_await log.catch_up({entry}) : co_await append(log, entry);
  if (done) {
    ledger.acknowledged = std::max(ledger.acknowledged, number + 1);
    if (log.length() < length_of(ledger.entries, number + 1)) ledger.complain("not counted");
  } else if (done.error().is(Code::kIo)) {
    failed = true;
  } else if (done.error().is(Code::kNoSpace)) {
    ++ledger.refusals;
  }
}

Task<> seal_one(AppendLog& log, Ledger& ledger, Epoch epoch, bool& failed) {
  const auto length = co_await log.seal(epoch);
  if (length) {
    ledger.sealed = std::max(ledger.sealed, epoch);
    if (*length < length_of(ledger.entries, ledger.acknowledged))
      ledger.complain("a sealer was told less than was acknowledged");
  } else {
    failed |= length.error().is(Code::kIo);
  }
}

Task<> round_of(Env& env, Nursery& children, AppendLog& log, Ledger& ledger, bool& failed) {
  const size_t begin = log.entries();
  for (size_t i = begin; i < begin + 1 + begin % 3; ++i)
    children.spawn(append_one(env, log, ledger, i, Duration(i), failed));
  if (ledger.seals && begin % 4 == 3) {
    children.spawn(seal_one(log, ledger, Epoch(begin + 6), failed));
    children.spawn(seal_one(log, ledger, Epoch(begin + 5), failed));
  }
  co_await children.join();
  if (begin % 5 == 0) co_await env.sleep(5ms);
}

// Appends some entries at a time, and seals now and then.
Task<> work(Env& env, AppendLog& log, Ledger& ledger) {
  bool failed = false;
  const size_t until = log.entries() + kEntries;
  for (int round = 0; round < 60 && log.entries() < until && !failed; ++round) {
    const size_t before = log.entries();
    co_await nursery(
        env, [&](Nursery& children) { return round_of(env, children, log, ledger, failed); });
    if (log.entries() == before) co_await env.sleep(2ms);
  }
  ledger.failures += failed;
  co_await env.sleep(5ms);
}

Task<Result<std::shared_ptr<AppendLog>>> open_or_create(Env& env, Ledger& ledger) {
  auto log = co_await AppendLog::open(env, "", kOrigin.identity);
  if (log || !log.error().is(Code::kNotFound)) co_return log;
  if (ledger.created) ledger.complain("the log is gone");
  DirectorySync names(env, "");
  log = co_await AppendLog::create(env, names, "", kOrigin);
  ledger.created |= log.has_value();
  co_return log;
}

// A life makes sure of the names that it finds, and opens the log up to three times, as a chunk
// server does after a failure.
Task<> life(Env& env, Ledger& ledger) {
  if (const auto synced = co_await env.disk().sync_directory(""); !synced) {
    ledger.open_error = synced.error();
    co_return;
  }
  for (int again = 0; again < 3; ++again) {
    auto log = co_await open_or_create(env, ledger);
    ledger.open_error = log ? std::nullopt : std::optional(log.error());
    if (!log) continue;
    ledger.created = true;
    co_await check_found(**log, ledger);
    const int failures = ledger.failures;
    co_await with_log(env, *log,
                      [&](Env& e, AppendLog& opened) { return work(e, opened, ledger); });
    if (ledger.failures == failures) co_return;
  }
}

struct Rig {
  explicit Rig(uint64_t seed) : world(seed), ledger(seed), random(seed) {}

  void live() {
    world.host().set_main([this](Env& env) { return life(env, ledger); });
    world.host().boot();
    world.world().run();
  }
  void end_life(bool power) { power ? world.host().power_off() : world.host().crash(); }
  // On a disk that is sound from here on.
  void check_sound() {
    world.host().disk_model().clear_trap();
    world.host().disk_model().set_rates({});
    for (int again = 0; again < 2; ++again) {
      live();
      REQUIRE_EQ(ledger.complaint, "");
      REQUIRE_MESSAGE(!ledger.open_error, ledger.open_error->message);
      end_life(true);
    }
  }
  sim::DiskModel& disk() { return world.host().disk_model(); }

  StoreWorld world;
  Ledger ledger;
  Random random;
};

uint64_t operations_of_a_life(uint64_t seed, bool seals) {
  Rig rig(seed);
  rig.ledger.seals = seals;
  rig.live();
  REQUIRE_EQ(rig.ledger.complaint, "");
  REQUIRE_GE(rig.ledger.acknowledged, kEntries);
  REQUIRE_EQ(rig.ledger.sealed > Epoch(0), seals);
  return rig.disk().operations();
}

TEST_CASE("a crash at each disk operation, also in the middle of a seal, breaks no promise") {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    const bool seals = seed % 2 == 0;
    const uint64_t count = operations_of_a_life(seed, seals);
    for (uint64_t n = 1; n <= count; ++n) {
      CAPTURE(seed);
      CAPTURE(n);
      Rig rig(seed);
      rig.ledger.seals = seals;
      rig.disk().set_trap(n, [&] {
        rig.end_life(seed % 3 != 0);
        return true;
      });
      rig.live();
      rig.check_sound();
    }
  }
}

Task<> append_witness_append(Env& env, StoreWorld& world, size_t bytes) {
  const AppendedRecord first{.writer = 1, .request = 1, .length = static_cast<uint32_t>(bytes)};
  const AppendedRecord second{.writer = 1, .request = 2, .length = 700};
  const Buffer entries[] = {
      encode_records(kOrigin.block(), Epoch(2), 0, {first}, {Buffer::copy(block_text(bytes, 1))}),
      encode_records(kOrigin.block(), Epoch(2), bytes, {second},
                     {Buffer::copy(block_text(700, 2))})};
  co_await make_log(env, kOrigin, [&](Env& e, AppendLog& log) -> Task<> {
    return [](Env& inner, AppendLog& to, StoreWorld& w, const Buffer(&both)[2]) -> Task<> {
      (co_await append(to, both[0])).value();
      co_await inner.sleep(10ms);
      // Between the write and the sync.
      w.host().disk_model().set_trap(2, [&w] {
        w.host().power_off();
        return true;
      });
      (void)co_await append(to, both[1]);
    }(e, log, world, entries);
  });
}

TEST_CASE("power lost while the batch behind a witness is written leaves what was durable") {
  size_t without_second = 0;
  for (uint64_t seed = 0; seed < 1200; ++seed) {
    // The witness lies at the end of a sector, what follows it in the next.
    const size_t bytes = 410 + seed % 30;
    CAPTURE(seed);
    StoreWorld world(seed);
    world.host().set_main([&](Env& env) { return append_witness_append(env, world, bytes); });
    world.host().boot();
    world.world().run();
    REQUIRE_FALSE(world.host().powered());
    size_t found = 0;
    world.run([&](Env& env) -> Task<> {
      return [](Env& e, size_t& entries) -> Task<> {
        auto log = co_await AppendLog::open(e, "", kOrigin.identity);
        entries = log ? (*log)->entries() : 0;
      }(env, found);
    });
    REQUIRE_GE(found, 1u);
    without_second += found == 1;
  }
  CHECK_GT(without_second, 100u);
}

TEST_CASE("an error at each disk operation of a log breaks no promise") {
  int failures = 0;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const bool seals = seed % 2 == 0;
    const uint64_t count = operations_of_a_life(seed, seals);
    for (uint64_t n = 1; n <= count; ++n) {
      CAPTURE(seed);
      CAPTURE(n);
      Rig rig(seed);
      rig.ledger.seals = seals;
      rig.disk().fail_nth(n);
      rig.live();
      failures += rig.ledger.failures;
      rig.end_life(n % 2 == 0);
      rig.check_sound();
    }
  }
  CHECK_GT(failures, 20);
}

TEST_CASE("crashes while a log recovers from a crash break no promise") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Rig rig(seed);
    for (int crash = 0; crash < 6; ++crash) {
      rig.ledger.seals = rig.random.chance(1, 3);
      rig.disk().set_trap(rig.random.between(1, crash % 2 == 0 ? 50 : 9), [&] {
        rig.end_life(rig.random.chance(1, 2));
        return true;
      });
      rig.live();
      REQUIRE_EQ(rig.ledger.complaint, "");
      rig.end_life(rig.random.chance(1, 2));
    }
    rig.check_sound();
  }
}

TEST_CASE("failed writes and syncs and crashes over many lives of a log break no promise") {
  sim::DiskFaultCounts counts;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Rig rig(seed);
    rig.disk().set_rates({.write_error = 10'000, .sync_error = 60'000, .metadata_error = 5'000});
    for (int round = 0; round < 5; ++round) {
      rig.ledger.seals = rig.random.chance(1, 2);
      if (rig.random.chance(1, 2))
        rig.disk().set_trap(rig.random.between(1, 80), [&] {
          rig.end_life(rig.random.chance(1, 2));
          return true;
        });
      rig.live();
      REQUIRE_EQ(rig.ledger.complaint, "");
      rig.end_life(rig.random.chance(1, 2));
    }
    rig.check_sound();
    counts.add(rig.world.host().disk_image().counts());
  }
  CHECK_GT(counts[sim::DiskFault::kSyncError].took_effect, 20u);
  CHECK_GT(counts[sim::DiskFault::kDroppedPages].took_effect, 20u);
}

TEST_CASE("a disk that is full from each operation on breaks no promise, and serves with space") {
  int refusals = 0;
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const uint64_t count = operations_of_a_life(seed, true);
    for (uint64_t n = 1; n <= count; ++n) {
      CAPTURE(seed);
      CAPTURE(n);
      Rig rig(seed);
      rig.ledger.seals = true;
      auto& image = rig.world.host().disk_image();
      rig.disk().set_trap(n, [&] {
        image.set_capacity(rig.random.below(12'000));
        rig.world.world().after(20ms, [&] { image.set_capacity(1 << 30); });
        return true;
      });
      rig.live();
      REQUIRE_EQ(rig.ledger.failures, 0);
      refusals += rig.ledger.refusals;
      rig.end_life(n % 2 == 0);
      rig.check_sound();
    }
  }
  CHECK_GT(refusals, 20);
}

}  // namespace
}  // namespace dogfs::chunk
