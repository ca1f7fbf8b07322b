#include <map>
#include <set>
#include <string>

#include "core/base/mutation.h"
#include "core/chunk/store.h"
#include "sim/world/disk_image.h"

#include "tests/core/chunk/store_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

constexpr StripeShape kShape{2, 1, 300};  // cells that are no multiple of a sector

// What a client of the store may rely on.
struct Ledger {
  std::map<ShardName, std::string> acknowledged;  // block bytes
  std::set<ShardName> removed;                    // acknowledged
  std::set<ShardName> uncertain;                  // removed in vain
  bool formatted = false;
  bool check_in_life = true;
  DiskWatch watch;
};

std::string block_of(const ShardName& name) {
  return block_text(200 + 977 * name.block.value % 1400, name.generation.value);
}

Task<> try_put(Store& store, ShardName name, Ledger& ledger) {
  if (co_await put(store, name, kShape, block_of(name))) ledger.acknowledged[name] = block_of(name);
}

Task<> try_remove(Store& store, ShardName name, Ledger& ledger) {
  if (ledger.acknowledged.erase(name) == 0) co_return;
  if (co_await store.remove(name)) {
    ledger.removed.insert(name);
    co_return;
  }
  ledger.uncertain.insert(name);
}

// Whatever failed before: what was acknowledged is right, and all that is visible is whole.
Task<> check_store(Store& store, Ledger& ledger) {
  ledger.watch.pause(true);
  for (const auto& [name, block] : ledger.acknowledged) {
    const auto bytes = co_await get(store, name);
    CHECK_MESSAGE(bytes, describe(name));
    if (bytes) CHECK((*bytes == shard_bytes(kShape, block, name.shard)));
  }
  for (const auto& [name, facts] : co_await store.list({}, 100)) {
    if (!facts && ledger.uncertain.contains(name)) continue;
    CHECK_MESSAGE(facts, describe(name));
    const auto bytes = co_await get(store, name);
    CHECK_MESSAGE(bytes, describe(name));
    if (bytes) CHECK((*bytes == shard_bytes(kShape, block_of(name), name.shard)));
    CHECK_FALSE(ledger.removed.contains(name));
  }
  ledger.watch.pause(false);
}

Task<Result<std::unique_ptr<Store>>> ensure_open(Env& env, Ledger& ledger) {
  auto store = co_await Store::open(env, "store", kCluster, kNode);
  if (store || !store.error().is(Code::kNotFound)) co_return store;
  CHECK_FALSE(ledger.formatted);
  CO_TRY_VOID(co_await Store::format(env, "store", kIdentity));
  ledger.formatted = true;
  co_return co_await Store::open(env, "store", kCluster, kNode);
}

// Two lives of a store: new shards, a second generation, a repeated one, a removal.
Task<> work(Env& plain, Ledger& ledger) {
  WatchedEnv watched(plain, ledger.watch);
  for (uint64_t life = 0; life < 2; ++life) {
    const auto opened = co_await ensure_open(watched.env(), ledger);
    if (!opened) continue;
    Store& store = **opened;
    const ShardName old{BlockId(1), 0, Generation(1 + life)};
    const ShardName fresh{BlockId(1), 0, Generation(2 + life)};
    co_await try_put(store, old, ledger);
    co_await try_put(store, {BlockId(2 + life), 1, Generation(1)}, ledger);
    co_await try_put(store, fresh, ledger);
    co_await try_put(store, fresh, ledger);
    co_await try_remove(store, old, ledger);
    co_await try_put(store, {BlockId(5), 2, Generation(1)}, ledger);
    if (ledger.check_in_life) co_await check_store(store, ledger);
  }
}

Task<> look(Env& env, Ledger& ledger) {
  const auto store = co_await Store::open(env, "store", kCluster, kNode);
  CHECK((store || (!ledger.formatted && store.error().is(Code::kNotFound))));
  if (!store) co_return;
  co_await check_store(**store, ledger);
  for (const DirectoryEntry& file : (co_await env.disk().list("store/shards")).value())
    CHECK_FALSE(parse_temporary_name(file.name));
}

uint64_t operations_of_work() {
  StoreWorld world;
  Ledger ledger;
  world.run([&](Env& env) { return work(env, ledger); });
  CHECK_EQ(ledger.acknowledged.size(), 4u);
  CHECK_EQ(ledger.removed.size(), 2u);
  REQUIRE_GT(ledger.watch.operations(), 80u);
  return ledger.watch.operations();
}

struct FaultShape {
  Code code;
  bool happens;   // the operation is done, and fails all the same
  bool for_good;  // and so do all later ones
};

void fail_each_operation(FaultShape shape) {
  const uint64_t operations = operations_of_work();
  for (uint64_t nth = 1; nth <= operations; ++nth) {
    CAPTURE(nth);
    StoreWorld world(nth);
    Ledger ledger;
    ledger.check_in_life = !shape.for_good;
    ledger.watch.decide = [&](uint64_t number, Act) -> std::optional<DiskWatch::Fault> {
      if (number < nth || (number > nth && !shape.for_good)) return std::nullopt;
      return DiskWatch::Fault{{shape.code, "planted"}, shape.happens};
    };
    world.run([&](Env& env) { return work(env, ledger); });
    world.run([&](Env& env) { return look(env, ledger); });
    world.host().power_off();
    world.run([&](Env& env) { return look(env, ledger); });
  }
}

TEST_CASE("whichever disk operation fails, what was acknowledged stays and the rest is invisible") {
  SUBCASE("an I/O error") { fail_each_operation({Code::kIo, false, false}); }
  SUBCASE("an I/O error of what happened all the same") {
    fail_each_operation({Code::kIo, true, false});
  }
  SUBCASE("a full disk") { fail_each_operation({Code::kNoSpace, false, false}); }
  SUBCASE("a disk that is dead from then on") { fail_each_operation({Code::kIo, false, true}); }
  SUBCASE("a disk that lies from then on") { fail_each_operation({Code::kIo, true, true}); }
}

// Ends the process or the machine in or after each disk operation, and looks at what is left.
void end_at_each_operation(bool power_loss, uint64_t events_later) {
  const uint64_t operations = operations_of_work();
  for (uint64_t nth = 1; nth <= operations; ++nth) {
    CAPTURE(nth);
    StoreWorld world(1000 * events_later + nth);
    Ledger ledger;
    uint64_t later = 0;
    world.run_until([&](Env& env) { return work(env, ledger); },
                    [&] { return ledger.watch.operations() >= nth && later++ == events_later; });
    if (power_loss)
      world.host().power_off();
    else
      world.host().crash();
    world.run([&](Env& env) { return look(env, ledger); });
    world.host().power_off();
    world.run([&](Env& env) { return look(env, ledger); });
  }
}

TEST_CASE("whenever the process is killed, what was acknowledged stays and the rest is whole") {
  for (const uint64_t later : {0, 1, 2}) end_at_each_operation(false, later);
}

TEST_CASE("whenever power is lost, what was acknowledged stays and the rest is whole") {
  for (const uint64_t later : {0, 1, 2}) end_at_each_operation(true, later);
}

// A disk that fails often and at random: some part of a failed write happens, a failed sync drops
// what it should have written, and a later one succeeds without it.
Task<> work_twice(Env& env, Ledger& ledger) {
  co_await work(env, ledger);
  co_await work(env, ledger);
}

TEST_CASE("on a disk that fails at random, what was acknowledged survives power loss") {
  size_t acknowledged = 0;
  sim::DiskFaultCounts counts;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    CAPTURE(seed);
    StoreWorld world(seed);
    Ledger ledger;
    ledger.check_in_life = false;
    world.host().disk_model().set_rates({.write_error = 10'000,
                                         .sync_error = seed % 2 == 0 ? 100'000u : 20'000u,
                                         .metadata_error = 10'000});
    const uint64_t end = 20 + 3 * seed;
    world.run_until([&](Env& env) { return work_twice(env, ledger); },
                    [&] { return ledger.watch.operations() >= end; });
    if (seed % 3 == 0) world.host().crash();
    world.host().power_off();
    world.host().disk_model().set_rates({});
    world.run([&](Env& env) { return look(env, ledger); });
    acknowledged += ledger.acknowledged.size();
    counts.add(world.host().disk_image().counts());
  }
  CHECK_GT(acknowledged, 150u);
  for (const auto fault :
       {sim::DiskFault::kSyncError, sim::DiskFault::kWriteError, sim::DiskFault::kMetadataError,
        sim::DiskFault::kLostWrite, sim::DiskFault::kLostEntry})
    CHECK_GT(counts[fault].took_effect, 0u);
}

#ifdef DOGFS_MUTANTS

Task<> count_lost(Env& env, Ledger& ledger, size_t& lost) {
  const auto store = co_await reopen(env);
  for (const auto& [name, block] : ledger.acknowledged) {
    const auto bytes = co_await get(*store, name);
    if (!bytes || *bytes != shard_bytes(kShape, block, name.shard)) ++lost;
  }
}

// Power loss at each operation of a mutant: how many acknowledged shards are not there afterwards.
size_t lost_after_power_loss(std::string_view mutant) {
  const uint64_t operations = operations_of_work();
  size_t lost = 0;
  for (uint64_t nth = 1; nth <= operations; ++nth) {
    StoreWorld world(nth);
    Ledger ledger;
    mutation::plant(mutant);
    world.run_until([&](Env& env) { return work(env, ledger); },
                    [&] { return ledger.watch.operations() >= nth; });
    mutation::plant("");
    world.host().power_off();
    if (ledger.formatted) world.run([&](Env& env) { return count_lost(env, ledger, lost); });
  }
  return lost;
}

TEST_CASE("without the sync of the file or of its name, acknowledged shards are lost") {
  CHECK_EQ(lost_after_power_loss(""), 0u);
  CHECK_GT(lost_after_power_loss("M17"), 0u);
  CHECK_GT(lost_after_power_loss("M28"), 0u);
}

#endif

}  // namespace
}  // namespace dogfs::chunk
