#include "sim/world/sim_disk.h"

#include <set>

#include "core/env/disk.h"
#include "core/env/nursery.h"
#include "sim/world/disk_image.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

using Body = std::function<Task<>(Env&)>;

// A world of one host that runs `body` once.
struct Machine {
  explicit Machine(uint64_t seed, Body body = {}) : world(seed) {
    if (!body) return;
    run(std::move(body));
  }
  void start(Body body) {
    host.set_main(std::move(body));
    host.boot();
  }
  void run(Body body) {
    start(std::move(body));
    world.run();
  }
  World world;
  Host& host = world.add_host("host", {});
};

Task<> write_durably(Env& env, std::string path, std::string bytes) {
  auto file = co_await env.disk().open(path, OpenMode::kAlways);
  REQUIRE(file);
  REQUIRE(co_await (*file)->write(0, Buffer::take(bytes)));
  REQUIRE(co_await (*file)->sync());
  REQUIRE(co_await env.disk().sync_directory(""));
}

TEST_CASE("what is written, synced and named durably is there after power loss") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Machine machine(seed, [](Env& env) { return write_durably(env, "f", "bytes"); });
    CHECK(machine.world.now() > Instant(500us));  // it took time
    machine.host.power_off();
    CHECK((machine.host.disk_image().files() == std::vector<std::string>{"f"}));
    CHECK_EQ(*machine.host.disk_image().durable_bytes("f"), "bytes");
  }
}

Task<> every_call(Env& env, int& done) {
  Disk& disk = env.disk();
  REQUIRE(co_await disk.make_directory("d"));
  CHECK_EQ((co_await disk.make_directory("d")).error().code, Code::kExists);
  CHECK_EQ((co_await disk.open("d/f", OpenMode::kRead)).error().code, Code::kNotFound);
  auto file = co_await disk.open("d/f", OpenMode::kCreate);
  REQUIRE(file);
  REQUIRE(co_await (*file)->write(2, Buffer::copy("abc")));
  CHECK_EQ((co_await (*file)->read(0, 100))->text(), std::string_view("\0\0abc", 5));
  CHECK_EQ((co_await (*file)->read(9, 100))->size(), 0);
  REQUIRE(co_await (*file)->truncate(3));
  CHECK_EQ((co_await (*file)->size()).value(), 3);
  REQUIRE(co_await disk.rename("d/f", "g"));
  CHECK((*co_await disk.list("") == std::vector<DirectoryEntry>{{"d", true}, {"g", false}}));
  CHECK_EQ((co_await disk.space())->free_bytes, (co_await disk.space())->total_bytes - 3);
  REQUIRE(co_await disk.remove("g"));
  REQUIRE(co_await disk.remove("d"));
  CHECK_EQ((co_await (*file)->read(0, 100))->size(), 3);  // open files outlive their names
  ++done;
}

TEST_CASE("each call does what the seam says") {
  int done = 0;
  Machine machine(1, [&](Env& env) { return every_call(env, done); });
  CHECK_EQ(done, 1);
}

Task<> write_in_order(File& file, int i, std::vector<int>& order) {
  REQUIRE(co_await file.write(static_cast<uint64_t>(i) * 10, Buffer::copy("x")));
  order.push_back(i);
}

Task<> overwrite(File& file, int i, std::vector<int>& order) {
  const std::string bytes(1 + 5000 * static_cast<size_t>(i % 3), static_cast<char>('0' + i));
  order.push_back(i);  // as begun
  REQUIRE(co_await file.write(0, Buffer::copy(bytes)));
}

using Step = Task<> (*)(File&, int, std::vector<int>&);

Task<> spawn_all(Nursery& children, File& file, Step step, std::vector<int>& order) {
  for (int i = 0; i < 8; ++i) children.spawn(step(file, i, order));
  co_await children.join();
}

Task<> run_all(Env& env, Step step, std::vector<int>& order) {
  auto file = co_await env.disk().open("f", OpenMode::kAlways);
  REQUIRE(file);
  co_await nursery(env,
                   [&](Nursery& children) { return spawn_all(children, **file, step, order); });
}

TEST_CASE("independent writes overtake each other, overlapping ones do not") {
  std::set<std::vector<int>> orders;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    std::vector<int> order;
    Machine independent(seed, [&](Env& env) { return run_all(env, write_in_order, order); });
    orders.insert(order);
  }
  CHECK(orders.size() > 5);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    std::vector<int> begun;
    Machine dependent(seed, [&](Env& env) { return run_all(env, overwrite, begun); });
    auto file = dependent.host.disk_image().open("f", OpenMode::kRead);
    REQUIRE(file);
    CHECK_EQ((*file)->read(0, 1, dependent.host.disk_image().counts())->text()[0],
             '0' + begun.back());
  }
}

struct Progress {
  int writes = 0;
  int synced = 0;
};

// Appends numbered sectors, syncing after every third.
Task<> append_for_ever(Env& env, Progress& progress) {
  auto file = co_await env.disk().open("log", OpenMode::kAlways);
  if (!file || !co_await env.disk().sync_directory("")) co_return;
  for (int i = 0; i < 12; ++i) {
    const std::string sector(512, static_cast<char>('a' + i));
    if (!co_await (*file)->write(static_cast<uint64_t>(i) * 512, Buffer::copy(sector))) co_return;
    progress.writes = i + 1;
    if (i % 3 != 2) continue;
    if (!co_await (*file)->sync()) co_return;
    progress.synced = i + 1;
  }
}

std::string durable_log(Machine& machine) {
  const std::string* bytes = machine.host.disk_image().durable_bytes("log");
  return bytes ? *bytes : std::string();
}

TEST_CASE("crashing at every operation loses no synced byte and invents none") {
  for (uint64_t at = 1; at < 22; ++at) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      Machine machine(seed);
      Progress progress;
      const bool power = seed % 2 == 0;
      machine.host.disk_model().set_trap(at, [&machine, power] {
        power ? machine.host.power_off() : machine.host.crash();
        return true;
      });
      machine.run([&](Env& env) { return append_for_ever(env, progress); });
      machine.host.power_off();
      const auto bytes = durable_log(machine);
      REQUIRE(bytes.size() >= static_cast<size_t>(progress.synced) * 512);
      for (size_t i = 0; i < bytes.size(); ++i) {
        const char expected = static_cast<char>('a' + i / 512);
        if (i / 512 < static_cast<size_t>(progress.synced))
          REQUIRE_EQ(bytes[i], expected);
        else
          REQUIRE((bytes[i] == expected || bytes[i] == '\0'));
      }
    }
  }
}

TEST_CASE("what was under way at a kill has happened, or not, and nothing happens afterwards") {
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Machine machine(seed);
    Progress progress;
    machine.start([&](Env& env) { return append_for_ever(env, progress); });
    while (progress.writes < 2 && machine.world.step()) {
    }
    machine.world.run_for(1us);  // the third write is under way
    machine.host.crash();
    auto file = machine.host.disk_image().open("log", OpenMode::kRead);
    REQUIRE(file);
    const size_t size = (*file)->size();
    sizes.insert(size);
    machine.world.run_for(1s);
    CHECK_EQ((*file)->size(), size);
  }
  CHECK(sizes.contains(1024));
  CHECK(sizes.contains(1536));
  CHECK(sizes.size() > 2);  // or a part of it
}

TEST_CASE("the operation that is told to fail fails, and no other") {
  Machine machine(1);
  for (uint64_t nth = 1; nth <= 4; ++nth) {
    int failed_at = 0;
    machine.host.disk_model().fail_nth(nth);
    machine.run([&](Env& env) -> Task<> {
      return [](Env& e, int& at) -> Task<> {
        auto file = co_await e.disk().open("f", OpenMode::kAlways);
        if (!file) co_return void(at = 1);
        if (!co_await (*file)->write(0, Buffer::copy("x"))) co_return void(at = 2);
        if (!co_await (*file)->sync()) co_return void(at = 3);
        if (!co_await (*file)->read(0, 1)) co_return void(at = 4);
      }(env, failed_at);
    });
    CHECK_EQ(failed_at, nth);
    CHECK_FALSE(machine.host.disk_model().trap_is_set());
    machine.host.crash();
  }
  const auto& counts = machine.host.disk_image().counts();
  CHECK_EQ(counts[DiskFault::kMetadataError].took_effect, 1);
  CHECK_EQ(counts[DiskFault::kWriteError].took_effect, 1);
  CHECK_EQ(counts[DiskFault::kSyncError].took_effect, 1);
  CHECK_EQ(counts[DiskFault::kReadError].took_effect, 1);
}

TEST_CASE("a stalled disk answers nothing until it recovers, a slow one takes its time") {
  Machine machine(1);
  Progress progress;
  machine.start([&](Env& env) { return append_for_ever(env, progress); });
  while (progress.writes < 4 && machine.world.step()) {
  }
  machine.host.disk_model().stall_until(kNever);
  machine.world.run_for(100s);
  CHECK_EQ(progress.writes, 4);
  machine.host.disk_model().stall_until(Instant{});
  machine.world.run_for(1s);
  CHECK_EQ(progress.writes, 12);
  CHECK(machine.host.disk_image().counts()[DiskFault::kStall].took_effect > 0);

  Machine slow(1);
  slow.host.disk_model().set_slow_factor(100);
  slow.run([&](Env& env) { return append_for_ever(env, progress); });
  CHECK(slow.world.now() > Instant(200ms));
}

TEST_CASE("errors come at the rates that were set") {
  Machine machine(1);
  machine.host.disk_model().set_rates({.write_error = 500'000, .sync_error = 500'000});
  for (int i = 0; i < 40; ++i) {
    Progress progress;
    machine.run([&](Env& env) { return append_for_ever(env, progress); });
    machine.host.crash();
  }
  const auto& counts = machine.host.disk_image().counts();
  CHECK(counts[DiskFault::kWriteError].took_effect > 20);
  CHECK(counts[DiskFault::kSyncError].took_effect > 0);
  CHECK_EQ(counts[DiskFault::kReadError].took_effect, 0);
}

TEST_CASE("one seed gives one outcome, another seed another") {
  const auto outcome = [](uint64_t seed) {
    Machine machine(seed);
    Progress progress;
    machine.host.disk_model().set_rates({.write_error = 20'000});
    machine.host.disk_model().set_trap(9, [&machine] {
      machine.host.power_off();
      return true;
    });
    machine.run([&](Env& env) { return append_for_ever(env, progress); });
    return std::tuple(machine.world.trace_hash(), durable_log(machine), progress.synced);
  };
  std::set<std::string> logs;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CHECK((outcome(seed) == outcome(seed)));
    logs.insert(std::get<1>(outcome(seed)));
  }
  CHECK(logs.size() > 3);
}

}  // namespace
}  // namespace dogfs::sim
