#include "core/wal/snapshot_file.h"

#include <optional>

#include "core/base/limits.h"
#include "sim/world/disk_image.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/doctest.h"

namespace dogfs::wal {
namespace {

constexpr size_t kChunk = limits::kSnapshotChunkBytes;

SnapshotPlace place(uint32_t group = 1) {
  return {"meta", ClusterId(1), StoreId(2), GroupId(group)};
}

std::string state_of(size_t size, uint64_t seed = 1) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.next());
  return bytes;
}

struct Rig {
  explicit Rig(uint64_t seed = 1) : world(seed) {}
  void live(sim::Host::Main main) {
    host.set_main(std::move(main));
    host.boot();
    world.run();
    host.crash();
  }
  sim::World world;
  sim::Host& host = world.add_host("host", {});
};

Task<Result<void>> save(Env& env, LogIndex index, std::string state, size_t piece,
                        SnapshotPlace where = place()) {
  CO_TRY(writer, co_await SnapshotWriter::begin(env, where, index, fmt::format("head {}", index)));
  for (size_t at = 0; at < state.size(); at += piece) {
    if (writer->size() != at) co_return fail(Code::kInvalid, "resume at {}", writer->size());
    CO_TRY_VOID(co_await writer->append(Buffer::copy(std::string_view(state).substr(at, piece))));
  }
  co_return co_await writer->publish();
}

Task<Result<std::string>> load(SnapshotFile& snapshot, size_t piece) {
  std::string state;
  while (state.size() < snapshot.size()) {
    CO_TRY(part, co_await snapshot.read(state.size(), piece));
    state += part.text();
  }
  co_return state;
}

Task<> round_trip(Env& env, int& done) {
  for (const size_t size : {size_t{0}, size_t{1}, kChunk - 1, kChunk, kChunk + 1, 3 * kChunk + 5}) {
    const auto state = state_of(size);
    REQUIRE(co_await save(env, LogIndex(size + 1), state, 100'000));
    auto snapshot = co_await SnapshotFile::open(env, place(), LogIndex(size + 1));
    REQUIRE(snapshot);
    CHECK_EQ((*snapshot)->size(), size);
    CHECK_EQ((*snapshot)->head(), fmt::format("head {}", size + 1));
    CHECK((co_await load(**snapshot, 77'777) == state));
    CHECK((co_await load(**snapshot, 1 << 30) == state));
    CHECK_EQ((co_await (*snapshot)->read(size, 10))->size(), 0);
    const auto tail = co_await (*snapshot)->read(size / 3 * 2, 50);
    CHECK_EQ(tail->text(), std::string_view(state).substr(size / 3 * 2, 50));
    ++done;
  }
}

TEST_CASE("a snapshot of any size is read back, from any offset") {
  Rig rig;
  int done = 0;
  rig.live([&](Env& env) { return round_trip(env, done); });
  CHECK_EQ(done, 6);
}

struct Outcome {
  std::optional<LogIndex> newest;
  std::optional<Error> error;
  std::string state;
};

Task<> find(Env& env, Outcome& outcome, SnapshotPlace where = place()) {
  auto snapshot = co_await open_newest_snapshot(env, where);
  if (!snapshot) co_return void(outcome.error = snapshot.error());
  outcome.newest = (*snapshot)->index();
  outcome.state = (co_await load(**snapshot, 1 << 20)).value();
}

Outcome find(Rig& rig, const SnapshotPlace& where = place()) {
  Outcome outcome;
  rig.live([&](Env& env) { return find(env, outcome, where); });
  return outcome;
}

Task<> save_and_remove(Env& env, LogIndex index, std::string state, bool& published) {
  const auto saved = co_await save(env, index, std::move(state), 200'000);
  published = saved.has_value();
  if (saved) co_await remove_snapshots_below(env, place(), index);
}

void save_and_remove(Rig& rig, LogIndex index, const std::string& state, bool& published) {
  rig.live([&](Env& env) { return save_and_remove(env, index, state, published); });
}

enum class Ending { kCrash, kPowerLoss, kError, kFull };

void set_trap(Rig& rig, uint64_t n, Ending ending) {
  rig.host.disk_model().set_trap(n, [&rig, ending] {
    if (ending == Ending::kCrash) rig.host.crash();
    if (ending == Ending::kPowerLoss) rig.host.power_off();
    if (ending == Ending::kFull) rig.host.disk_image().set_capacity(0);
    return ending != Ending::kError;
  });
}

TEST_CASE("a snapshot broken off at the N-th disk operation, for every N, leaves an earlier one") {
  const auto old_state = state_of(kChunk + 100, 1);
  const auto new_state = state_of(2 * kChunk + 100, 2);
  int published_count = 0;
  for (const auto ending : {Ending::kCrash, Ending::kPowerLoss, Ending::kError, Ending::kFull}) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      bool broke_off = true;
      for (uint64_t n = 1; broke_off; ++n) {
        Rig rig(seed);
        bool published = false;
        save_and_remove(rig, LogIndex(5), old_state, published);
        REQUIRE(published);
        set_trap(rig, n, ending);
        published = false;
        save_and_remove(rig, LogIndex(9), new_state, published);
        broke_off = !rig.host.disk_model().trap_is_set();
        rig.host.disk_model().clear_trap();
        rig.host.disk_image().set_capacity(1 << 30);
        rig.host.power_off();
        published_count += published;
        const Outcome found = find(rig);
        REQUIRE(found.newest);
        if (published) CHECK_EQ(*found.newest, LogIndex(9));
        CHECK((found.state == (*found.newest == LogIndex(9) ? new_state : old_state)));
        // And the next one can be made.
        save_and_remove(rig, LogIndex(12), old_state, published);
        CHECK(published);
        CHECK_EQ(find(rig).newest.value(), LogIndex(12));
        CHECK_EQ(rig.host.disk_image().files().size(), 1);
      }
    }
  }
  CHECK(published_count > 0);
}

TEST_CASE("no wrong byte is ever read: a damaged snapshot is refused, an older good one found") {
  const auto old_state = state_of(3000, 1);
  const auto new_state = state_of(3000, 2);
  const std::string path = "meta/snapshot-00000001-0000000000000009";
  Rig probe;
  bool published = false;
  save_and_remove(probe, LogIndex(9), new_state, published);
  probe.host.power_off();
  const size_t size = probe.host.disk_image().durable_bytes(path)->size();
  for (size_t at = 0; at < size; at += (at < 100 || at + 60 > size) ? 1 : 61) {
    Rig rig;
    save_and_remove(rig, LogIndex(5), old_state, published);
    rig.live([&](Env& env) -> Task<> {
      return [](Env& e, std::string state) -> Task<> {
        REQUIRE(co_await save(e, LogIndex(9), std::move(state), 1000));
      }(env, new_state);
    });
    REQUIRE(rig.host.disk_image().rot(path, at, at % 8));
    const Outcome found = find(rig);
    CHECK_EQ(found.newest.value(), LogIndex(5));
    CHECK((found.state == old_state));
  }
}

TEST_CASE("no snapshot, a damaged one, one of another store: three different answers") {
  Rig rig;
  CHECK_EQ(find(rig).error->code, Code::kNotFound);
  bool published = false;
  save_and_remove(rig, LogIndex(5), state_of(100), published);
  CHECK_EQ(find(rig, place(2)).error->code, Code::kNotFound);
  SnapshotPlace other = place();
  other.store = StoreId(9);
  CHECK_EQ(find(rig, other).error->code, Code::kPrecondition);
  REQUIRE(rig.host.disk_image().rot("meta/snapshot-00000001-0000000000000005", 80, 1));
  CHECK_EQ(find(rig).error->code, Code::kCorrupt);
}

Task<> unfinished(Env& env) {
  auto writer = co_await SnapshotWriter::begin(env, place(), LogIndex(3), "");
  REQUIRE(writer);
  REQUIRE(co_await (*writer)->append(Buffer::copy("bytes")));
  CHECK((co_await list_snapshots(env, place()))->empty());
  REQUIRE(co_await (*writer)->discard());
  CHECK((co_await env.disk().list("meta"))->empty());
  const auto head = std::string(limits::kSnapshotHeadBytesMax + 1, 'x');
  CHECK_EQ((co_await SnapshotWriter::begin(env, place(), LogIndex(3), head)).error().code,
           Code::kTooLarge);
}

TEST_CASE("a snapshot that is not published is not one, and can be discarded") {
  Rig rig;
  rig.live([](Env& env) { return unfinished(env); });
}

}  // namespace
}  // namespace dogfs::wal
