#include "core/chunk/directory_sync.h"

#include <string>
#include <vector>

#include "core/env/nursery.h"

#include "tests/core/chunk/store_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

Task<> sync_one(DirectorySync& syncs, DirectorySync::Mark before, std::string& outcome) {
  outcome = co_await syncs.sync(before) ? "durable" : "lost";
}

// A and B change the directory before a sync of A fails, B asks only afterwards, C changes it
// during that sync, D after it.
Task<> four_changes(Nursery& children, Env& env, DiskWatch& watch) {
  DirectorySync syncs(env, "");
  Event go(env);
  std::string a, b, c, d;
  const auto before_a = syncs.mark(), before_b = syncs.mark();
  watch.hold_next(Act::kSyncNames, go);
  children.spawn(sync_one(syncs, before_a, a));
  co_await env.sleep(1ms);
  const auto before_c = syncs.mark();
  children.spawn(sync_one(syncs, before_c, c));
  co_await env.sleep(1ms);
  go.set();
  co_await children.join();
  const auto before_d = syncs.mark();
  co_await sync_one(syncs, before_d, d);
  co_await sync_one(syncs, before_b, b);
  CHECK_EQ(a, "lost");
  CHECK_EQ(b, "lost");
  CHECK_EQ(c, "lost");
  CHECK_EQ(d, "durable");
}

TEST_CASE("a failed sync spoils all changes begun before its end, a later one makes none good") {
  StoreWorld world;
  DiskWatch watch;
  watch.decide = [failed = false](uint64_t, Act act) mutable -> std::optional<DiskWatch::Fault> {
    if (act != Act::kSyncNames || std::exchange(failed, true)) return std::nullopt;
    return DiskWatch::Fault{{Code::kIo, "planted"}};
  };
  world.run([&](Env& plain) -> Task<> {
    WatchedEnv watched(plain, watch);
    co_await nursery(watched.env(), [&](Nursery& children) {
      return four_changes(children, watched.env(), watch);
    });
  });
}

struct Syncs {
  std::vector<std::string> outcomes;
  uint64_t count = 0;
};

// One who asks while a sync runs is not served by that one, which began before the change.
Task<> late_comers(Nursery& children, Env& env, DiskWatch& watch, Syncs& seen) {
  DirectorySync syncs(env, "");
  Event go(env);
  seen.outcomes.resize(10);
  watch.hold_next(Act::kSyncNames, go);
  for (size_t i = 0; i < seen.outcomes.size(); ++i) {
    children.spawn(sync_one(syncs, syncs.mark(), seen.outcomes[i]));
    co_await env.sleep(1ms);
  }
  go.set();
  co_await children.join();
}

TEST_CASE("who asks while a sync runs waits for the next, and shares it") {
  StoreWorld world;
  DiskWatch watch;
  Syncs seen;
  watch.decide = [&](uint64_t, Act act) -> std::optional<DiskWatch::Fault> {
    if (act == Act::kSyncNames) ++seen.count;
    return std::nullopt;
  };
  world.run([&](Env& plain) -> Task<> {
    WatchedEnv watched(plain, watch);
    co_await nursery(watched.env(), [&](Nursery& children) {
      return late_comers(children, watched.env(), watch, seen);
    });
  });
  CHECK((seen.outcomes == std::vector<std::string>(10, "durable")));
  CHECK_EQ(seen.count, 2u);
}

}  // namespace
}  // namespace dogfs::chunk
