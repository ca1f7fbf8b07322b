#include "core/chunk/disks.h"

#include <set>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/chunk/append_disks.h"
#include "core/env/nursery.h"
#include "sim/world/disk_image.h"

#include "tests/core/chunk/store_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

constexpr StripeShape kShape{2, 1, 300};
const std::string kBlock = block_text(1000, 1);

ShardName shard(uint64_t block) { return {BlockId(block), 1, Generation(1)}; }

std::string code_of(const auto& result) {
  return std::string(result ? "ok" : code_name(result.error().code));
}

// A disk of a size of its own, some of whose operations fail.
class OwnDisk final : public Disk {
 public:
  OwnDisk(Disk& under, uint64_t free_bytes) : free_bytes(free_bytes), watched_(under, watch) {}
  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override {
    return watched_.open(path, mode);
  }
  Task<Result<void>> rename(std::string from, std::string to) override {
    return watched_.rename(from, to);
  }
  Task<Result<void>> remove(std::string path) override { return watched_.remove(path); }
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) override {
    return watched_.list(directory);
  }
  Task<Result<void>> make_directory(std::string path) override {
    return watched_.make_directory(path);
  }
  Task<Result<void>> sync_directory(std::string directory) override {
    return watched_.sync_directory(directory);
  }
  Task<Result<Space>> space() override {
    CO_TRY_VOID(co_await watched_.space());
    co_return Space{free_bytes * 2, free_bytes};
  }
  // Every operation, from now on.
  void fail(Code code) {
    watch.decide = [code](uint64_t, Act) { return DiskWatch::Fault{{code, "it is broken"}}; };
  }

  uint64_t free_bytes;
  DiskWatch watch;

 private:
  WatchedDisk watched_;
};

// So many disks on one host, which keep their bytes from one run of a script to the next.
class DisksWorld {
 public:
  using Script = std::function<Task<>(Env&, Disks&, std::vector<std::unique_ptr<OwnDisk>>&)>;

  // The directories "0", "1", ... are given; those of a new server are formatted.
  void run(std::vector<std::string> directories, Script script, bool replace_lost = false,
           ClusterId cluster = kCluster) {
    world.run([&](Env& env) { return main(env, directories, script, replace_lost, cluster); });
  }
  // The whole directory is gone.
  void lose(const std::string& directory) {
    auto& image = world.host().disk_image();
    for (const auto& file : image.files())
      if (file.starts_with(directory + "/")) CHECK(image.remove(file));
  }
  std::string opened;  // how open() ended

  StoreWorld world;

 private:
  Task<> main(Env& env, std::vector<std::string> names, Script script, bool replace_lost,
              ClusterId cluster) {
    std::vector<std::unique_ptr<OwnDisk>> disks;
    DisksOptions options{.directories = {}, .replace_lost = replace_lost};
    for (const auto& name : names) {
      disks.push_back(std::make_unique<OwnDisk>(env.disk(), limits::kGiB));
      options.directories.push_back({.path = name, .disk = disks.back().get()});
    }
    Disks all(env, std::move(options));
    const auto known = co_await all.identify();
    opened = code_of(known);
    if (!known) co_return;
    const StoreIdentity identity = known->value_or(StoreIdentity{cluster, kNode, StoreId(99)});
    if (!*known) {
      CHECK_EQ(code_of(co_await all.prepare()), "ok");
      CHECK_EQ(code_of(co_await all.format(identity)), "ok");
    }
    opened = code_of(co_await all.open(identity));
    if (opened == "ok") co_await script(env, all, disks);
  }
};

using OwnDisks = std::vector<std::unique_ptr<OwnDisk>>;

Task<> put_blocks(Disks& disks, uint64_t from, uint64_t to) {
  for (uint64_t block = from; block < to; ++block) {
    const auto stored = co_await put(disks, shard(block), kShape, kBlock);
    CHECK_EQ(code_of(stored), "ok");
  }
}

Task<uint64_t> count_right(Disks& disks, uint64_t to) {
  uint64_t right = 0;
  for (uint64_t block = 1; block < to; ++block) {
    const auto bytes = co_await get(disks, shard(block));
    if (bytes && *bytes == shard_bytes(kShape, kBlock, 1)) ++right;
    if (!bytes) CHECK_EQ(code_of(bytes), "not_found");
  }
  co_return right;
}

Task<> put_forty(Env&, Disks& disks, OwnDisks&) {
  CHECK_EQ(disks.failures(), 0u);
  co_await put_blocks(disks, 1, 41);
}

TEST_CASE("shards are spread over the disks, and all of them are found again") {
  DisksWorld world;
  world.run({"0", "1", "2"}, put_forty);
  world.run({"2", "0", "1"}, [](Env&, Disks& disks, OwnDisks&) -> Task<> {
    CHECK_EQ(disks.identity().store.value, 99u);
    CHECK_EQ(disks.shard_count(), 40u);
    for (size_t i = 0; i < 3; ++i) CHECK_GT(disks.store(i)->shard_count(), 4u);
    CHECK_EQ(co_await count_right(disks, 41), 40u);
    // Pages of a listing go through the disks as through one.
    std::vector<ShardName> listed;
    for (ShardName after;;) {
      const auto page = co_await disks.list(after, 7);
      if (page.empty()) break;
      for (const auto& each : page) listed.push_back(each.name);
      after = listed.back();
    }
    CHECK_EQ(listed.size(), 40u);
    CHECK(std::ranges::is_sorted(listed));
  });
}

TEST_CASE("a disk is chosen by the space that it has left") {
  DisksWorld world;
  world.run({"0", "1"}, [](Env&, Disks& disks, OwnDisks& own) -> Task<> {
    own[0]->free_bytes = 100 * limits::kGiB;
    own[1]->free_bytes = 300 * limits::kGiB;
    co_await disks.status();
    size_t second = 0;
    for (int i = 0; i < 4000; ++i) second += disks.choose(1000).value();
    CHECK_GT(second, 2800u);
    CHECK_LT(second, 3200u);
    own[1]->free_bytes = 999;
    co_await disks.status();
    for (int i = 0; i < 100; ++i) CHECK_EQ(disks.choose(1000).value(), 0u);
    own[0]->free_bytes = 10;
    co_await disks.status();
    CHECK_EQ(code_of(disks.choose(1000)), "no_space");
    CHECK_EQ(code_of(co_await put(disks, shard(1), kShape, block_text(5000, 1))), "no_space");
  });
}

TEST_CASE("a server that lost a directory is the same server with what is left") {
  DisksWorld world;
  world.run({"0", "1", "2"}, put_forty);
  size_t left = 0;
  world.run({"0", "1", "2"}, [&](Env&, Disks& disks, OwnDisks&) -> Task<> {
    left = disks.store(0)->shard_count() + disks.store(2)->shard_count();
    co_return;
  });
  for (const char* lost : {"1"}) world.lose(lost);
  const auto look = [&](Env&, Disks& disks, OwnDisks&) -> Task<> {
    CHECK_EQ(disks.identity().store.value, 99u);
    CHECK_EQ(disks.failures(), 1u);
    CHECK(disks.failed(1));
    CHECK_NE(disks.failure(1).find("--replace-lost"), std::string::npos);
    CHECK_EQ(disks.shard_count(), left);
    CHECK_EQ(co_await count_right(disks, 41), left);
    const auto status = co_await disks.status();
    CHECK_EQ(status[1].space.total_bytes, 0u);
    CHECK_EQ(code_of(co_await put(disks, shard(100), kShape, kBlock)), "ok");
    co_await disks.remove(shard(100));
  };
  world.run({"0", "1", "2"}, look);
  world.run({"0", "1", "2"}, look);  // not by itself, however often it starts
  const auto replaced = [&](Env&, Disks& disks, OwnDisks&) -> Task<> {
    CHECK_EQ(disks.failures(), 0u);
    CHECK_EQ(disks.shard_count(), left);
    co_return;
  };
  world.run({"0", "1", "2"}, replaced, true);
  world.run({"0", "1", "2"}, replaced);
}

TEST_CASE("a new directory is taken in while none is missing") {
  DisksWorld world;
  world.run({"0"}, put_forty);
  world.run({"0", "1"}, [](Env&, Disks& disks, OwnDisks&) -> Task<> {
    CHECK_EQ(disks.failures(), 0u);
    CHECK_EQ(disks.store(0)->shard_count(), 40u);
    co_await put_blocks(disks, 41, 81);
    CHECK_GT(disks.store(1)->shard_count(), 5u);
  });
  // The first one, of old, knows of it.
  world.lose("1");
  world.run({"0", "1"}, [](Env&, Disks& disks, OwnDisks&) -> Task<> {
    CHECK(disks.failed(1));
    co_return;
  });
  // Nor is the place of one that is not given taken by another.
  world.run({"0", "2"}, [](Env&, Disks& disks, OwnDisks&) -> Task<> {
    CHECK(disks.failed(1));
    co_return;
  });
}

TEST_CASE("directories of different servers, and copies, are refused") {
  DisksWorld world;
  const auto nothing = [](Env&, Disks&, OwnDisks&) -> Task<> { co_return; };
  world.run({"0", "1"}, nothing);
  world.run({"2"}, nothing, false, ClusterId(8));
  world.run({"0", "1", "2"}, nothing);
  CHECK_EQ(world.opened, "precondition");
  world.run({"2", "1"}, nothing);
  CHECK_EQ(world.opened, "precondition");
  world.run({"1", "0", "1"}, nothing);
  CHECK_EQ(world.opened, "precondition");
  world.run({"1", "0"}, nothing);
  CHECK_EQ(world.opened, "ok");
}

TEST_CASE("a directory whose identity cannot be read has failed; alone it is nobody's") {
  DisksWorld world;
  world.run({"0", "1"}, put_forty);
  auto& image = world.world.host().disk_image();
  for (const char* file : {"1/identity", "1/identity.copy"}) CHECK(image.rot(file, 20, 3));
  world.run({"0", "1"}, [](Env&, Disks& disks, OwnDisks&) -> Task<> {
    CHECK(disks.failed(1));
    CHECK_EQ(co_await count_right(disks, 41), disks.store(0)->shard_count());
  });
  const auto nothing = [](Env&, Disks&, OwnDisks&) -> Task<> { co_return; };
  world.run({"1"}, nothing);
  CHECK_EQ(world.opened, "corrupt");
  // It may be a server that is known: no blank directory beside it makes it a new one.
  world.run({"1", "5"}, nothing);
  CHECK_EQ(world.opened, "corrupt");
}

Task<> end_when_failed(Disks& disks, std::string& ended) { ended = code_of(co_await disks.run()); }

TEST_CASE("a disk that fails in use takes down its shards, and no others") {
  DisksWorld world;
  world.run({"0", "1"}, put_forty);
  std::string ended = "runs";
  world.run({"0", "1"}, [&](Env& env, Disks& disks, OwnDisks& own) -> Task<> {
    const size_t kept = disks.store(0)->shard_count();
    co_await nursery(env, [&](Nursery& children) -> Task<> {
      children.spawn(end_when_failed(disks, ended));
      own[1]->fail(Code::kIo);
      co_await disks.status();  // as a heartbeat asks
      co_await env.sleep(10s);
      CHECK(disks.failed(1));
      CHECK_EQ(disks.failure(1), "it is broken");
      CHECK_EQ(co_await count_right(disks, 41), kept);
      CHECK_EQ((co_await disks.list({}, 100)).size(), kept);
      co_await put_blocks(disks, 100, 120);
      CHECK_EQ(code_of(co_await disks.remove(shard(100))), "ok");
      CHECK_EQ(ended, "runs");
      own[0]->fail(Code::kIo);
      CHECK_EQ(code_of(co_await put(disks, shard(200), kShape, kBlock)), "io");
      co_await env.sleep(10s);
    });
    CHECK_EQ(code_of(disks.choose(1)), "io");
  });
  CHECK_EQ(ended, "io");
}

TEST_CASE("a disk that errs once or is full has not failed") {
  DisksWorld world;
  std::string ended = "runs";
  world.run({"0", "1"}, [&](Env& env, Disks& disks, OwnDisks& own) -> Task<> {
    co_await nursery(env, [&](Nursery& children) -> Task<> {
      children.spawn(end_when_failed(disks, ended));
      own[1]->watch.decide = [](uint64_t number, Act) -> std::optional<DiskWatch::Fault> {
        if (number % 30 == 0) return DiskWatch::Fault{{Code::kIo, "an error"}};
        return std::nullopt;
      };
      for (uint64_t block = 1; block < 60; ++block) {
        co_await put(disks, shard(block), kShape, kBlock);
        co_await env.sleep(200ms);
      }
      own[1]->watch.decide = [](uint64_t, Act act) -> std::optional<DiskWatch::Fault> {
        if (act == Act::kWrite) return DiskWatch::Fault{{Code::kNoSpace, "full"}};
        return std::nullopt;
      };
      for (uint64_t block = 100; block < 120; ++block)
        co_await put(disks, shard(block), kShape, kBlock);
      co_await env.sleep(10s);
    });
    CHECK_EQ(disks.failures(), 0u);
  });
}

TEST_CASE("append logs are found on a disk that errs a few times while they are looked for") {
  const AppendOrigin origin{.identity = {kCluster, {BlockId(0xa3), 1, Generation(1)}},
                            .epoch = Epoch(1),
                            .activation = 1,
                            .ordinal = 0,
                            .file_offset = 0};
  DisksWorld two;
  two.run({"0", "1"}, [&](Env& env, Disks& disks, OwnDisks&) -> Task<> {
    const auto logs = co_await AppendDisks::open(env, disks);
    REQUIRE(logs.has_value());
    co_await nursery(env, [&](Nursery& children) -> Task<> {
      children.spawn((*logs)->run());
      co_await env.sleep(1ms);  // until it does
      CHECK_EQ(code_of(co_await (*logs)->find_or_create(origin, 1)), "ok");
    });
  });
  // One that errs for longer is asked on, and nobody hears meanwhile that it has no such log.
  two.run({"0", "1"}, [&](Env& env, Disks& disks, OwnDisks& own) -> Task<> {
    const ShardName& name = origin.identity.name;
    const auto files = two.world.host().disk_image().files();
    const size_t holder =
        std::ranges::any_of(files, [](auto& file) { return file.starts_with("0/appends/"); }) ? 0
                                                                                              : 1;
    bool errs = true;
    own[holder]->watch.decide = [&errs](uint64_t, Act) -> std::optional<DiskWatch::Fault> {
      if (!errs) return std::nullopt;
      return DiskWatch::Fault{{Code::kIo, "once more"}};
    };
    const auto logs = co_await AppendDisks::open(env, disks);
    REQUIRE(logs.has_value());
    co_await nursery(env, [&](Nursery& children) -> Task<> {
      children.spawn((*logs)->run());
      co_await env.sleep(1ms);
      CHECK_EQ(code_of(co_await (*logs)->find(name)), "io");
      CHECK_EQ(code_of(co_await (*logs)->find_or_create(origin, 1)), "io");
      errs = false;
      co_await env.sleep(1s);
      CHECK_EQ(code_of(co_await (*logs)->find(name)), "ok");
    });
  });
  for (const int errors : {1, 3, 4, 1000}) {
    CAPTURE(errors);
    two.run({"0", "1"}, [&](Env& env, Disks& disks, OwnDisks& own) -> Task<> {
      for (const auto& disk : own)
        disk->watch.decide = [left = errors](uint64_t,
                                             Act) mutable -> std::optional<DiskWatch::Fault> {
          if (left-- <= 0) return std::nullopt;
          return DiskWatch::Fault{{Code::kIo, "once more"}};
        };
      const auto logs = co_await AppendDisks::open(env, disks);
      CHECK_EQ(logs && (*logs)->contains(origin.identity.name), errors < 1000);
    });
  }
}

TEST_CASE("a crash while a new directory is taken in costs nothing") {
  uint64_t total = 0;
  for (uint64_t nth = 1; total == 0 || nth <= total; ++nth) {
    CAPTURE(nth);
    DisksWorld world;
    world.run({"0"}, put_forty);
    auto& model = world.world.host().disk_model();
    const uint64_t before = model.operations();
    const auto start = [](Env& env, uint64_t) -> Task<> {
      Disks all(env, {.directories = {{.path = "0"}, {.path = "1"}, {.path = "2"}}});
      const auto known = co_await all.identify();
      co_await all.open(**known);
    };
    world.world.run_until([&](Env& env) { return start(env, nth); },
                          [&] {
                            const auto* process = world.world.host().process();
                            return model.operations() >= before + nth || process->ended();
                          });
    if (world.world.host().process()->ended()) total = nth;
    world.world.host().power_off();
    world.run({"0", "1", "2"}, [](Env&, Disks& disks, OwnDisks&) -> Task<> {
      CHECK_EQ(disks.failures(), 0u);
      CHECK_EQ(co_await count_right(disks, 41), 40u);
    });
  }
  CHECK_GT(total, 30u);
}

TEST_CASE("a shard that is written again replaces itself, on whichever disk it lies") {
  DisksWorld world;
  world.run({"0", "1"}, [](Env&, Disks& disks, OwnDisks&) -> Task<> {
    co_await put_blocks(disks, 1, 20);
    co_await put_blocks(disks, 1, 20);
    CHECK_EQ(disks.shard_count(), 19u);
    // A generation below one that is here is refused, wherever that is.
    for (uint64_t block = 1; block < 20; ++block) {
      const ShardName second{BlockId(block), 1, Generation(2)};
      CHECK_EQ(code_of(co_await put(disks, second, kShape, kBlock)), "ok");
      CHECK_EQ(code_of(co_await put(disks, {BlockId(block), 1, Generation(1)}, kShape, kBlock)),
               "precondition");
    }
  });
}

}  // namespace
}  // namespace dogfs::chunk
