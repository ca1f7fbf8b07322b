#include "core/wal/wal.h"

#include <rapidcheck.h>

#include "sim/world/disk_content.h"

#include "tests/core/wal/rig.h"

#include "tests/doctest.h"

namespace dogfs::wal {
namespace {

constexpr int kRounds = 8;
constexpr uint64_t kSlotBytes = 4096;  // of the extent
constexpr uint64_t kExtentBytes = 2 * kSlotBytes;

void live(Rig& rig, int rounds = kRounds, uint64_t segment_bytes = 2048) {
  rig.live([&rig, rounds, segment_bytes](Env& env) {
    return life(env, rig.options(segment_bytes), rig.ledger, rounds);
  });
}

// Opens once more on a sound disk, appends, loses power and opens again: all must be there.
void check_sound(Rig& rig) {
  rig.host.disk_model().clear_trap();
  for (int again = 0; again < 2; ++again) {
    live(rig, 2);
    REQUIRE_EQ(rig.ledger.complaint, "");
    REQUIRE_MESSAGE(!rig.ledger.open_error, rig.ledger.open_error->message);
    rig.end_life(true);
  }
}

// Operations on the disk of a life in which nothing fails.
uint64_t operations_of_a_life(uint64_t seed) {
  Rig rig(seed, reserve_of(seed));
  live(rig);
  REQUIRE_EQ(rig.ledger.failures, 0);
  return rig.host.disk_model().operations();
}

TEST_CASE("what was durable is found again in order after power loss") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed, reserve_of(seed));
    live(rig);
    CHECK_EQ(rig.ledger.failures, 0);
    CHECK(rig.ledger.entries.size() >= 3 * kRounds);
    rig.end_life(true);
    check_sound(rig);
  }
}

TEST_CASE("an error at the N-th disk operation, for every N, loses and invents nothing") {
  int failures = 0;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const uint64_t count = operations_of_a_life(seed);
    REQUIRE(count > 50);
    for (uint64_t n = 1; n <= count; ++n) {
      Rig rig(seed, reserve_of(seed));
      rig.host.disk_model().fail_nth(n);
      live(rig);
      failures += rig.ledger.failures;
      rig.end_life(seed % 2 == 0);
      check_sound(rig);
    }
  }
  CHECK(failures > 0);
}

TEST_CASE("a crash at the N-th disk operation, for every N, loses and invents nothing") {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const uint64_t count = operations_of_a_life(seed);
    for (uint64_t n = 1; n <= count; ++n) {
      Rig rig(seed, reserve_of(seed));
      rig.host.disk_model().set_trap(n, [&rig, seed] {
        rig.end_life(seed % 3 != 0);
        return true;
      });
      live(rig);
      check_sound(rig);
    }
  }
}

TEST_CASE("crashes while recovering from a crash lose and invent nothing") {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Rig rig(seed, reserve_of(seed));
    for (int crash = 0; crash < 4; ++crash) {
      rig.host.disk_model().set_trap(rig.random.between(1, crash % 2 == 0 ? 60 : 12), [&rig] {
        rig.end_life(rig.random.chance(1, 2));
        return true;
      });
      live(rig);
      REQUIRE_EQ(rig.ledger.complaint, "");
      rig.end_life(rig.random.chance(1, 2));
    }
    check_sound(rig);
  }
}

TEST_CASE("a disk that is full from the N-th operation on refuses, and serves when it has space") {
  int refusals = 0;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const uint64_t count = operations_of_a_life(seed);
    for (uint64_t n = 1; n <= count; ++n) {
      Rig rig(seed, reserve_of(seed));
      auto& image = rig.host.disk_image();
      rig.host.disk_model().set_trap(n, [&] {
        // A little space is left: writes may be cut short.
        image.set_capacity(rig.random.below(2000));
        rig.world.after(20ms, [&] { image.set_capacity(1 << 30); });
        return true;
      });
      live(rig);
      REQUIRE_EQ(rig.ledger.failures, 0);
      if (rig.ledger.open_error) {
        CHECK_EQ(rig.ledger.open_error->code, Code::kNoSpace);
      }
      refusals += rig.ledger.refusals;
      rig.end_life(n % 2 == 0);
      check_sound(rig);
    }
  }
  CHECK(refusals > 50);
}

TEST_CASE("a write cut short by a full disk leaves a log that goes on") {
  Rig rig(1);
  auto& image = rig.host.disk_image();
  image.set_capacity(kExtentBytes + 1200);
  rig.world.after(50ms, [&] { image.set_capacity(1 << 30); });
  live(rig);
  CHECK_EQ(rig.ledger.failures, 0);
  CHECK(rig.ledger.refusals > 0);
  rig.end_life(true);
  check_sound(rig);
}

TEST_CASE("random errors and crashes over many lives lose and invent nothing") {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Rig rig(seed, reserve_of(seed));
    rig.host.disk_model().set_rates(
        {.write_error = 10'000, .sync_error = 30'000, .metadata_error = 5'000});
    for (int round = 0; round < 6; ++round) {
      if (rig.random.chance(1, 2))
        rig.host.disk_model().set_trap(rig.random.between(1, 100), [&rig] {
          rig.end_life(rig.random.chance(1, 2));
          return true;
        });
      live(rig);
      REQUIRE_EQ(rig.ledger.complaint, "");
      rig.end_life(rig.random.chance(1, 2));
    }
    rig.host.disk_model().set_rates({});
    check_sound(rig);
  }
}

Task<> after_failure(Env& env, Options options, Ledger& ledger, sim::DiskModel& model, int& done) {
  auto wal = co_await open_log(env, options, ledger);
  REQUIRE(wal);
  co_await nursery(env, [&](Nursery& children) -> Task<> {
    children.spawn((*wal)->run());
    return [](Wal& log, sim::DiskModel& disk, int& reached) -> Task<> {
      auto early = log.append(GroupId(1), {"early"});
      REQUIRE(co_await log.durable(*early));
      // The write happens, the sync fails.
      disk.set_trap(1, [&disk] {
        disk.fail_nth(1);
        return true;
      });
      auto ticket = log.append(GroupId(1), {"x"});
      CHECK_EQ((co_await log.durable(*ticket)).error().code, Code::kIo);
      CHECK(log.failure());
      CHECK_EQ(log.append(GroupId(2), {"y"}).error().code, Code::kIo);
      CHECK_EQ((co_await log.room()).error().code, Code::kIo);
      CHECK_EQ(log.last_durable(), Lsn(1));
      ++reached;
    }(**wal, model, done);
  });
}

TEST_CASE("a failed sync is final") {
  Rig rig(1);
  int done = 0;
  rig.live([&](Env& env) {
    return after_failure(env, rig.options(), rig.ledger, rig.host.disk_model(), done);
  });
  CHECK_EQ(done, 1);
}

Task<> append_and_wait(Wal& wal, Ledger& ledger, GroupId group, std::vector<std::string> records,
                       int& durable) {
  const auto ticket = wal.append(group, records);
  REQUIRE(ticket);
  ledger.take(*ticket, group, records);
  REQUIRE(co_await wal.durable(*ticket));
  ledger.promise(*ticket);
  ++durable;
}

using Script = Task<> (*)(Env& env, Nursery& children, Wal& wal, Rig& rig);

Task<> run_script(Env& env, Rig& rig, uint64_t segment_bytes, Script script) {
  auto wal = co_await open_log(env, rig.options(segment_bytes), rig.ledger);
  REQUIRE(wal);
  co_await nursery(env, [&](Nursery& children) {
    children.spawn((*wal)->run());
    return script(env, children, **wal, rig);
  });
}

void play(Rig& rig, uint64_t segment_bytes, Script script) {
  rig.live([&rig, segment_bytes, script](Env& env) {
    return run_script(env, rig, segment_bytes, script);
  });
  CHECK_EQ(rig.ledger.complaint, "");
}

Task<> many_waiters(Env& env, Nursery&, Wal& wal, Rig& rig) {
  int durable = 0;
  const uint64_t before = rig.host.disk_model().operations();
  co_await nursery(env, [&](Nursery& waiters) -> Task<> {
    for (uint32_t i = 0; i < 200; ++i)
      waiters.spawn(
          append_and_wait(wal, rig.ledger, GroupId(i % 5), {std::string(50, 'x')}, durable));
    return waiters.join();
  });
  CHECK_EQ(durable, 200);
  // One segment (4) and its place in the extent (2), the first batch alone at worst (2), all others
  // together (2), a marker.
  CHECK(rig.host.disk_model().operations() - before <= 12);
}

TEST_CASE("whatever many waiters append is written and synced together") {
  Rig rig(1);
  play(rig, limits::kWalSegmentBytes, many_waiters);
}

Task<> big_records(Env&, Nursery&, Wal& wal, Rig& rig) {
  int durable = 0;
  const std::string largest(limits::kWalRecordBytesMax, 'x');
  CHECK_EQ(wal.append(GroupId(1), {largest + 'x'}).error().code, Code::kTooLarge);
  for (int i = 0; i < 6; ++i)
    co_await append_and_wait(wal, rig.ledger, GroupId(1), {largest, "small", largest}, durable);
  CHECK(wal.segments() >= 3);
}

TEST_CASE("records of the largest size pass, larger ones are refused") {
  Rig rig(1);
  play(rig, limits::kWalSegmentBytes, big_records);
  rig.end_life(true);
  live(rig, 1, limits::kWalSegmentBytes);
  CHECK_EQ(rig.ledger.complaint, "");
  CHECK_FALSE(rig.ledger.open_error);
}

Task<> too_many(Env&, Nursery&, Wal& wal, Rig& rig) {
  const std::string piece(limits::kWalRecordBytesMax, 'x');
  std::vector<Wal::Ticket> tickets;
  for (;;) {
    const auto ticket = wal.append(GroupId(1), {piece});
    if (!ticket) {
      CHECK_EQ(ticket.error().code, Code::kUnavailable);
      break;
    }
    rig.ledger.take(*ticket, GroupId(1), {piece});
    tickets.push_back(*ticket);
  }
  CHECK_EQ(tickets.size(), limits::kWalQueueBytesMax / limits::kWalRecordBytesMax);
  REQUIRE(co_await wal.room());
  CHECK(wal.append(GroupId(1), {"more"}));
  for (const auto& ticket : tickets) REQUIRE(co_await wal.durable(ticket));
}

TEST_CASE("a queue that is full pushes back until the disk has caught up") {
  Rig rig(1);
  play(rig, limits::kWalSegmentBytes, too_many);
}

Task<> nothing_to_say(Env& env, Nursery&, Wal& wal, Rig& rig) {
  int durable = 0;
  co_await append_and_wait(wal, rig.ledger, GroupId(1), {"before"}, durable);
  co_await append_and_wait(wal, rig.ledger, GroupId(1), {}, durable);
  co_await env.sleep(1ms);
  CHECK_EQ(wal.last_durable(), Lsn(1));
  co_await append_and_wait(wal, rig.ledger, GroupId(1), {"after"}, durable);
  CHECK_EQ(durable, 3);
}

TEST_CASE("appending no records is durable at once and leaves nothing in the log") {
  Rig rig(1);
  play(rig, 2048, nothing_to_say);
  rig.end_life(true);
  check_sound(rig);
}

Task<> pinned(Env& env, Nursery&, Wal& wal, Rig& rig) {
  int durable = 0;
  co_await append_and_wait(wal, rig.ledger, GroupId(9), {"idle"}, durable);
  for (int i = 0; i < 30; ++i) {
    const std::vector<std::string> records = {std::string(200, 'b')};
    const auto ticket = wal.append(GroupId(1), records);
    rig.ledger.take(*ticket, GroupId(1), records);
    REQUIRE(co_await wal.durable(*ticket));
    rig.ledger.promise(*ticket);
    rig.ledger.released[GroupId(1)] = ticket->first();
    wal.release(GroupId(1), ticket->first());
  }
  co_await env.sleep(10ms);
  CHECK(wal.segments() > 3);
  CHECK((wal.holders_of_oldest() == std::vector{GroupId(9)}));
  // The idle group writes its live records anew and lets go of the old ones.
  const auto again = wal.append(GroupId(9), {"idle"});
  rig.ledger.take(*again, GroupId(9), {"idle"});
  REQUIRE(co_await wal.durable(*again));
  rig.ledger.promise(*again);
  rig.ledger.released[GroupId(9)] = again->first();
  wal.release(GroupId(9), again->first());
  co_await env.sleep(10ms);
  CHECK(wal.segments() <= 2);
  CHECK_EQ(rig.host.disk_image().files().size(), wal.segments() + 1);  // and the extent
}

TEST_CASE("segments go when no group needs them, and an idle group can move its records") {
  Rig rig(1);
  play(rig, 2048, pinned);
  rig.end_life(true);
  check_sound(rig);
}

Task<> refused_group(Env& env, Nursery&, Wal& wal, Rig& rig) {
  int durable = 0;
  co_await append_and_wait(wal, rig.ledger, GroupId(1), {"first"}, durable);
  co_await env.sleep(1ms);
  auto& image = rig.host.disk_image();
  image.set_capacity(0);
  const auto refused = wal.append(GroupId(1), {"second"});
  const auto behind = wal.append(GroupId(2), {"other"});
  co_await env.sleep(5ms);
  image.set_capacity(1 << 30);
  // The group has not heard that its second record is not in the log: a third would leave a gap.
  CHECK_EQ(wal.append(GroupId(1), {"third"}).error().code, Code::kNoSpace);
  CHECK_EQ((co_await wal.durable(*refused)).error().code, Code::kNoSpace);
  CHECK_EQ((co_await wal.durable(*behind)).error().code, Code::kNoSpace);
  co_await append_and_wait(wal, rig.ledger, GroupId(1), {"second", "third"}, durable);
  CHECK_EQ(durable, 2);
}

// The disk is full for a while; then it has space again.
Task<> lives_on_its_reserve(Env& env, Nursery&, Wal& wal, Rig& rig) {
  int durable = 0;
  auto& image = rig.host.disk_image();
  co_await append_and_wait(wal, rig.ledger, GroupId(1), {"first"}, durable);
  co_await env.sleep(1ms);
  CHECK_FALSE(wal.is_short_of_space());
  image.set_capacity(image.capacity() - image.space().free_bytes);
  // Several segments of them.
  for (int i = 0; i < 30; ++i)
    co_await append_and_wait(wal, rig.ledger, GroupId(1), {std::string(100, 'x')}, durable);
  CHECK_EQ(durable, 31);
  CHECK(wal.is_short_of_space());
  co_await env.sleep(2s);
  CHECK(wal.is_short_of_space());
  // The reserve has an end, and then nothing is taken.
  int more = 0;
  for (bool taken = true; taken && more < 200; ++more) {
    const std::vector<std::string> records{std::string(100, 'y')};
    const auto ticket = wal.append(GroupId(1), records);
    REQUIRE(ticket);
    rig.ledger.take(*ticket, GroupId(1), records);
    const auto written = co_await wal.durable(*ticket);
    taken = written.has_value();
    if (taken)
      rig.ledger.promise(*ticket);
    else
      CHECK_EQ(written.error().code, Code::kNoSpace);
  }
  CHECK_GT(more, 20);
  CHECK_LT(more, 150);
  image.set_capacity(1 << 30);
  co_await env.sleep(1s);
  CHECK_FALSE(wal.is_short_of_space());
  const int before = durable;
  co_await append_and_wait(wal, rig.ledger, GroupId(1), {"last"}, durable);
  CHECK_EQ(durable, before + 1);
}

TEST_CASE(
    "a full disk: the log goes on in its reserve, says so, and fills it when there is space") {
  Rig rig(1, 16 * 1024);
  play(rig, 2048, lives_on_its_reserve);
  rig.end_life(true);
  check_sound(rig);
}

TEST_CASE("records refused by a full disk leave no gap within their group") {
  Rig rig(1);
  play(rig, 2048, refused_group);
  rig.end_life(true);
  check_sound(rig);
}

TEST_CASE("damage of a batch is told from a torn tail even when power was cut before its marker") {
  Rig rig(1);
  play(rig, 2048, [](Env&, Nursery&, Wal& wal, Rig& r) -> Task<> {
    int durable = 0;
    co_await append_and_wait(wal, r.ledger, GroupId(1), {"promised"}, durable);
  });
  rig.end_life(true);  // with the marker unwritten, or at least unsynced
  play(rig, 2048, [](Env& env, Nursery&, Wal&, Rig&) { return env.sleep(1ms); });
  rig.end_life(false);
  REQUIRE(rig.host.disk_image().rot("log/" + segment_name(1), kSegmentHeaderBytes + 50, 1));
  live(rig);
  REQUIRE(rig.ledger.open_error);
  CHECK_EQ(rig.ledger.open_error->code, Code::kCorrupt);
}

// A log of a few segments on a durable disk.
void prepare(Rig& rig) {
  live(rig, 4, 16384);
  rig.end_life(true);
  live(rig, 1, 16384);
  rig.end_life(false);
  REQUIRE_EQ(rig.ledger.complaint, "");
  // The last marker, written but not synced, reaches the platter in time.
  auto& image = rig.host.disk_image();
  const auto file = image.open("log/" + segment_name(1), OpenMode::kRead);
  image.sync(*file, image.sync_mark(*file));
}

TEST_CASE("damage anywhere before the end stops the log from opening, and nothing is cut") {
  Rig probe(3);
  prepare(probe);
  const std::string path = "log/" + segment_name(1);
  probe.host.power_off();
  const size_t size = probe.host.disk_image().durable_bytes(path)->size();
  size_t unnoticed = 0;
  for (size_t at = kSegmentHeaderBytes; at < size; at += 7) {
    Rig rig(3);
    prepare(rig);
    rig.host.power_off();
    auto& image = rig.host.disk_image();
    REQUIRE(image.rot(path, at, at % 8));
    const std::string before = *image.durable_bytes(path);
    live(rig, 1, 16384);
    if (!rig.ledger.open_error) {
      ++unnoticed;
      continue;
    }
    CHECK_EQ(rig.ledger.open_error->code, Code::kCorrupt);
    CHECK(rig.ledger.open_error->message.contains(path));
    rig.end_life(true);
    CHECK((*image.durable_bytes(path) == before));
  }
  // Only the last marker can go unnoticed.
  CHECK_LE(unnoticed, kFrameHeaderBytes / 7 + 1);
}

// Several segments; those at the beginning were deleted.
Task<> many_segments(Env& env, Nursery&, Wal& wal, Rig& rig) {
  for (int i = 0; i < 40; ++i) {
    const std::vector<std::string> records = {std::string(300, 'x')};
    const auto ticket = wal.append(GroupId(1), records);
    REQUIRE(ticket);
    rig.ledger.take(*ticket, GroupId(1), records);
    REQUIRE(co_await wal.durable(*ticket));
    rig.ledger.promise(*ticket);
    if (i == 10) wal.release(GroupId(1), rig.ledger.released[GroupId(1)] = ticket->first());
  }
  co_await env.sleep(5ms);
  CHECK(wal.segments() > 4);
}

std::vector<std::string> segment_files(Rig& rig) {
  std::vector<std::string> files = rig.host.disk_image().files();
  std::erase_if(files, [](const std::string& path) { return !path.starts_with("log/wal-"); });
  return files;
}

void must_be_damaged(Rig& rig, const std::string& naming) {
  live(rig);
  REQUIRE(rig.ledger.open_error);
  CHECK_EQ(rig.ledger.open_error->code, Code::kCorrupt);
  CHECK(rig.ledger.open_error->message.contains(naming));
}

TEST_CASE("a missing segment stops the log from opening, at its beginning and its end, too") {
  size_t segments = 1;
  for (size_t i = 0; i < segments; ++i) {
    for (const bool reopened : {false, true}) {
      Rig rig(5);
      play(rig, 2048, many_segments);
      rig.end_life(true);
      if (reopened) live(rig, 1);
      if (reopened) rig.end_life(true);
      const auto files = segment_files(rig);
      segments = std::max(segments, files.size());
      CHECK(files.front() != "log/" + segment_name(1));
      if (i >= files.size()) continue;
      REQUIRE(rig.host.disk_image().remove(files[i]));
      must_be_damaged(rig, files[i]);
    }
  }
  CHECK(segments > 4);
}

TEST_CASE("a log of which only the extent is left is damaged") {
  Rig rig(5);
  live(rig);
  rig.end_life(true);
  for (const auto& file : segment_files(rig)) REQUIRE(rig.host.disk_image().remove(file));
  must_be_damaged(rig, "log/wal-");
}

TEST_CASE("a last segment without a header is damaged, once it was in use") {
  Rig rig(5);
  play(rig, 2048, many_segments);
  rig.end_life(true);
  auto& image = rig.host.disk_image();
  const std::string last = segment_files(rig).back();
  const auto file = image.open(last, OpenMode::kWrite);
  REQUIRE(image.truncate(*file, 0));
  must_be_damaged(rig, last);
}

// What a build wrote that knew of no extent.
void become_old(Rig& rig) {
  auto& image = rig.host.disk_image();
  REQUIRE(image.remove("log/wal.extent"));
  uint64_t sequence = 0;
  for (const std::string& path : segment_files(rig)) {
    const auto file = image.open(path, OpenMode::kWrite);
    REQUIRE(file);
    const auto bytes = image.read(*file, 0, kSegmentHeaderBytes);
    REQUIRE(bytes);
    if (sequence == 0) sequence = *parse_segment_name(path.substr(path.rfind('/') + 1));
    auto header = decode_segment_header(bytes->view(), {ClusterId(1), StoreId(2), sequence++});
    REQUIRE(header);
    header->version = 1;
    REQUIRE(image.write(*file, 0, Buffer::take(encode_segment_header(*header))));
    image.sync(*file, image.sync_mark(*file));
  }
}

TEST_CASE("a log without an extent, as it was written once, opens and gets one") {
  Rig rig(5);
  play(rig, 2048, many_segments);
  rig.end_life(true);
  auto& image = rig.host.disk_image();
  become_old(rig);
  check_sound(rig);
  const std::string first = segment_files(rig).front();
  REQUIRE(image.remove(first));
  must_be_damaged(rig, first);
}

TEST_CASE("a log that lost its extent is damaged: where it ended is not known") {
  Rig rig(5);
  play(rig, 2048, many_segments);
  rig.end_life(true);
  REQUIRE(rig.host.disk_image().remove("log/wal.extent"));
  must_be_damaged(rig, "extent");
}

TEST_CASE("a log without an extent opens on a full disk, and makes one when there is space") {
  Rig rig(5);
  play(rig, 2048, many_segments);
  rig.end_life(true);
  auto& image = rig.host.disk_image();
  become_old(rig);
  image.set_capacity(1);
  rig.world.after(50ms, [&] { image.set_capacity(1 << 30); });
  live(rig, 4);
  CHECK_FALSE(rig.ledger.open_error);
  CHECK(rig.ledger.refusals > 0);
  rig.end_life(true);
  const std::string last = segment_files(rig).back();
  REQUIRE(image.remove(last));
  must_be_damaged(rig, last);
}

TEST_CASE("one slot of the extent may be damaged or unreadable, and is healed; not both") {
  const std::string extent = "log/wal.extent";
  for (const bool unreadable : {false, true}) {
    Rig rig(5);
    play(rig, 2048, many_segments);
    rig.end_life(true);
    auto& image = rig.host.disk_image();
    const auto spoil = [&](uint64_t offset) {
      REQUIRE((unreadable ? image.add_latent_error(extent, offset) : image.rot(extent, offset, 1)));
    };
    for (const uint64_t slot : {0, 1}) {
      live(rig, 1);  // both slots say the same from the opening on, whatever is deleted
      rig.end_life(true);
      play(rig, 2048, [](Env&, Nursery&, Wal&, Rig&) -> Task<> { co_return; });
      rig.end_life(true);
      spoil(slot * kSlotBytes + 20);
      check_sound(rig);
    }
    play(rig, 2048, [](Env&, Nursery&, Wal&, Rig&) -> Task<> { co_return; });
    rig.end_life(true);
    spoil(20);
    spoil(kSlotBytes + 20);
    must_be_damaged(rig, unreadable ? "cannot be read" : extent);
  }
}

TEST_CASE("reading a log to inspect it changes nothing on the disk") {
  Rig rig(5);
  play(rig, 2048, many_segments);
  rig.host.crash();
  auto& image = rig.host.disk_image();
  const std::string last = segment_files(rig).back();
  const auto file = image.open(last, OpenMode::kWrite);
  REQUIRE(image.write(*file, (*file)->size(), Buffer::copy("a torn tail")));
  const uint64_t size = (*file)->size();
  rig.host.disk_model().clear_trap();
  uint64_t records = 0;
  rig.live([&](Env& env) -> Task<> {
    const auto read = co_await inspect(env, rig.options(), [&](const Record&) -> Result<void> {
      ++records;
      return {};
    });
    CHECK(read.has_value());
  });
  CHECK(records > 20);
  CHECK_EQ((*file)->size(), size);
}

TEST_CASE("a segment that lost its end stops the log from opening") {
  Rig rig(5);
  play(rig, 2048, [](Env&, Nursery&, Wal& wal, Rig& r) -> Task<> {
    int durable = 0;
    for (int i = 0; i < 12; ++i)
      co_await append_and_wait(wal, r.ledger, GroupId(1), {std::string(300, 'x')}, durable);
  });
  rig.end_life(true);
  auto& image = rig.host.disk_image();
  const auto file = image.open("log/" + segment_name(1), OpenMode::kWrite);
  REQUIRE(file);
  REQUIRE(image.truncate(*file, 700));
  live(rig);
  REQUIRE(rig.ledger.open_error);
  CHECK_EQ(rig.ledger.open_error->code, Code::kCorrupt);
}

TEST_CASE("a log of another store is refused") {
  Rig rig(1);
  live(rig);
  rig.end_life(false);
  Options other = rig.options();
  other.store = StoreId(99);
  rig.live([&](Env& env) { return life(env, other, rig.ledger, 1); });
  REQUIRE(rig.ledger.open_error);
  CHECK_EQ(rig.ledger.open_error->code, Code::kPrecondition);
}

TEST_CASE("segments that could hold no record, or too many bytes, are refused") {
  for (const uint64_t bytes : {uint64_t{0}, uint64_t{kSegmentHeaderBytes},
                               uint64_t{kSegmentHeaderBytes + kFrameHeaderBytes},
                               limits::kWalSegmentBytes + 1, UINT64_MAX}) {
    Rig rig(1);
    rig.live([&](Env& env) { return life(env, rig.options(bytes), rig.ledger, 1); });
    REQUIRE(rig.ledger.open_error);
    CHECK_EQ(rig.ledger.open_error->code, Code::kInvalid);
  }
}

TEST_CASE("an unreadable sector is damage that names its segment, and nothing is cut") {
  Rig rig(1);
  live(rig, 2, 16384);
  rig.end_life(true);
  auto& image = rig.host.disk_image();
  const std::string path = "log/" + segment_name(1);
  const std::string before = *image.durable_bytes(path);
  REQUIRE(image.add_latent_error(path, 600));
  live(rig, 1, 16384);
  REQUIRE(rig.ledger.open_error);
  CHECK_EQ(rig.ledger.open_error->code, Code::kCorrupt);
  CHECK(rig.ledger.open_error->message.contains(path));
  rig.end_life(true);
  CHECK((*image.durable_bytes(path) == before));
}

}  // namespace
}  // namespace dogfs::wal
