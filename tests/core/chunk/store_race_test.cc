#include <string>

#include "core/chunk/store.h"
#include "core/env/nursery.h"

#include "tests/core/chunk/store_world.h"

#include "tests/doctest.h"

// What two tasks do to one shard at the same time, in an order that the test chooses.

namespace dogfs::chunk {
namespace {

constexpr StripeShape kReplicas{1, 2, 64};
const ShardName kName{BlockId(1), 0, Generation(1)};

std::string code_of(const auto& result) {
  return std::string(result ? "ok" : code_name(result.error().code));
}

template <class T>
Task<> note(Task<Result<T>> task, std::string& code) {
  code = code_of(co_await std::move(task));
}

Task<> remove_what_is_written(Env& env) {
  const auto store = co_await format_and_open(env);
  auto writer = (co_await store->begin(kName, kReplicas, 0)).value();
  CHECK(co_await writer->append(Buffer::copy("bytes")));
  CHECK_EQ(code_of(co_await store->remove(kName)), "not_found");
  CHECK_EQ(code_of(co_await writer->finish({5, {}})), "precondition");
  writer.reset();
  CHECK_EQ(store->shard_count(), 0u);
  CHECK_EQ(code_of(co_await put(*store, kName, kReplicas, "again")), "ok");
}

TEST_CASE("a shard that is removed while it is written does not appear") {
  StoreWorld world;
  world.run(remove_what_is_written);
}

Task<> remove_in_finish(Nursery& children, Env& env, DiskWatch& watch, Store& store, Act act) {
  auto writer = (co_await store.begin(kName, kReplicas, 0)).value();
  CHECK(co_await writer->append(Buffer::copy("bytes")));
  Event go(env);
  std::string finished, removed;
  watch.hold_next(act, go);
  children.spawn(note(writer->finish({5, {}}), finished));
  co_await env.sleep(10ms);
  children.spawn(note(store.remove(kName), removed));
  co_await env.sleep(10ms);
  CHECK_EQ(finished, "");
  go.set();
  co_await children.join();
  // In time to stop it, or afterwards; gone it is in any case.
  CHECK_EQ(finished == "ok", removed == "ok");
  CHECK((finished == "ok" || finished == "precondition"));
  CHECK_EQ(store.shard_count(), 0u);
}

Task<> remove_in_finish_at(Env& plain, Act act) {
  DiskWatch watch;
  WatchedEnv watched(plain, watch);
  Env& env = watched.env();
  const auto store = co_await format_and_open(env);
  co_await nursery(
      env, [&](Nursery& children) { return remove_in_finish(children, env, watch, *store, act); });
  CHECK_EQ((co_await env.disk().list("store/shards")).value().size(), 0u);
}

TEST_CASE("a shard that is removed while it is made durable is gone in the end") {
  for (const Act act : {Act::kWrite, Act::kSync, Act::kRename, Act::kSyncNames}) {
    CAPTURE(static_cast<int>(act));
    StoreWorld world;
    world.run([act](Env& env) { return remove_in_finish_at(env, act); });
  }
}

// Damages the first byte of the shard's file.
Task<> damage(Env& env) {
  const std::string path = "store/shards/" + file_name(kName);
  auto file = (co_await env.disk().open(path, OpenMode::kWrite)).value();
  (co_await file->write(0, Buffer::copy("#"))).value();
}

Task<> mend_while_opening(Nursery& children, Env& env, DiskWatch& watch, Store& store) {
  Event go(env);
  std::string first;
  watch.hold_next(Act::kSize, go);
  children.spawn(note(store.read(kName, 0, 5), first));
  co_await env.sleep(10ms);
  CHECK_EQ(first, "");
  CHECK_EQ(code_of(co_await put(store, kName, kReplicas, "bytes")), "ok");
  go.set();
  co_await children.join();
  CHECK_EQ(first, "corrupt");  // of the file that it had opened
  CHECK_EQ(code_of(co_await store.read(kName, 0, 5)), "ok");
}

Task<> rewrite_while_listing(Nursery& children, Env& env, DiskWatch& watch, Store& store) {
  Event go(env);
  std::string first;
  watch.hold_next(Act::kSize, go);
  children.spawn(note(store.stat(kName), first));
  co_await env.sleep(10ms);
  CHECK_EQ(code_of(co_await store.remove(kName)), "ok");
  const auto facts = (co_await put(store, kName, kReplicas, "other bytes")).value();
  go.set();
  co_await children.join();
  CHECK_EQ(first, "ok");
  CHECK((co_await store.stat(kName) == facts));
}

using Race = Task<> (*)(Nursery&, Env&, DiskWatch&, Store&);

// On a store that was opened anew, and knows of the shard no more than its name.
Task<> race(Env& plain, bool damaged, Race tasks) {
  (co_await put(*co_await format_and_open(plain), kName, kReplicas, "bytes")).value();
  if (damaged) co_await damage(plain);
  DiskWatch watch;
  WatchedEnv watched(plain, watch);
  const auto store = co_await reopen(watched.env());
  co_await nursery(watched.env(), [&](Nursery& children) {
    return tasks(children, watched.env(), watch, *store);
  });
}

TEST_CASE("a damaged shard that is written again while it is opened reads right from then on") {
  StoreWorld world;
  world.run([](Env& env) { return race(env, true, mend_while_opening); });
}

TEST_CASE("the facts of a shard are those of its last writing, whoever looks meanwhile") {
  StoreWorld world;
  world.run([](Env& env) { return race(env, false, rewrite_while_listing); });
}

// Removing, with a sync of the directory that fails.

Task<> remove_in_vain_once(Env& plain) {
  DiskWatch watch;
  WatchedEnv watched(plain, watch);
  const auto store = co_await format_and_open(watched.env());
  CHECK(co_await put(*store, kName, kReplicas, "bytes"));
  watch.decide = [](uint64_t, Act act) -> std::optional<DiskWatch::Fault> {
    if (act != Act::kSyncNames) return std::nullopt;
    return DiskWatch::Fault{{Code::kIo, "planted"}};
  };
  CHECK_EQ(code_of(co_await store->remove(kName)), "io");
  CHECK_EQ(code_of(co_await store->remove(kName)), "io");
  watch.decide = nullptr;
  CHECK_EQ(code_of(co_await store->remove(kName)), "ok");
  CHECK_EQ(code_of(co_await store->remove(kName)), "not_found");
}

Task<> find_nothing(Env& env) {
  const auto store = co_await reopen(env);
  CHECK_EQ(store->shard_count(), 0u);
}

TEST_CASE("what was removed again after a failure is gone for good") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    StoreWorld world(seed);
    world.run(remove_in_vain_once);
    world.host().power_off();
    world.run(find_nothing);
  }
}

}  // namespace
}  // namespace dogfs::chunk
