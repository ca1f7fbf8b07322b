#include "core/chunk/store.h"

#include <set>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/env/nursery.h"

#include "tests/core/chunk/store_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

constexpr StripeShape kShape{4, 2, 64};
constexpr StripeShape kReplicas{1, 2, 64};

ShardName shard_name(uint64_t block, uint32_t shard = 0, uint64_t generation = 1) {
  return {BlockId(block), shard, Generation(generation)};
}

Code code_of(const auto& result) { return result.error().code; }

Task<std::vector<DirectoryEntry>> shard_files(Env& env) {
  co_return (co_await env.disk().list("store/shards")).value();
}

// Flips one bit of a file of the data directory.
Task<> flip(Env& env, std::string path, uint64_t bit) {
  auto file = (co_await env.disk().open("store/" + path, OpenMode::kWrite)).value();
  std::string byte((co_await file->read(bit / 8, 1)).value().text());
  byte[0] = static_cast<char>(byte[0] ^ (1 << bit % 8));
  (co_await file->write(bit / 8, Buffer::take(byte))).value();
}

std::vector<size_t> block_sizes() {
  std::vector<size_t> sizes{0, 1, 3, 4, 5};
  for (const size_t size : {64, 128, 256, 512, 1000, 1024})
    for (const size_t s : {size - 1, size, size + 1}) sizes.push_back(s);
  return sizes;
}

Task<> write_all_sizes(Env& env) {
  const auto store = co_await format_and_open(env);
  for (const size_t size : block_sizes())
    for (const uint32_t shard : {0u, 3u, 5u})
      CHECK(co_await put(*store, shard_name(size + 1, shard), kShape, block_text(size, size)));
}

Task<> read_all_sizes(Env& env) {
  const auto store = co_await reopen(env);
  CHECK_EQ(store->shard_count(), 3 * block_sizes().size());
  for (const size_t size : block_sizes()) {
    for (const uint32_t shard : {0u, 3u, 5u}) {
      const ShardName name = shard_name(size + 1, shard);
      const std::string bytes = shard_bytes(kShape, block_text(size, size), shard);
      CHECK_EQ((co_await get(*store, name)).value(), bytes);
      CHECK(co_await store->verify(name));
      const auto facts = (co_await store->stat(name)).value();
      CHECK_EQ(facts.block_length, size);
      CHECK((facts.shape == kShape));
    }
  }
}

TEST_CASE("shards of all sizes come back after a restart and after power loss") {
  StoreWorld world;
  world.run(write_all_sizes);
  world.run(read_all_sizes);
  world.host().power_off();
  world.run(read_all_sizes);
}

Task<> read_ranges(Env& env) {
  const auto store = co_await format_and_open(env);
  const ShardName name = shard_name(1);
  const std::string block = block_text(200, 1);
  CHECK(co_await put(*store, name, kReplicas, block));
  for (uint64_t offset = 0; offset <= block.size(); offset += 9)
    for (size_t length = 0; offset + length <= block.size(); length += 7)
      CHECK_EQ((co_await store->read(name, offset, length)).value().text(),
               block.substr(offset, length));
  CHECK_EQ(code_of(co_await store->read(name, 0, 201)), Code::kInvalid);
  CHECK_EQ(code_of(co_await store->read(name, 201, 0)), Code::kInvalid);
  CHECK_EQ(code_of(co_await store->read(name, UINT64_MAX, 2)), Code::kInvalid);
  CHECK_EQ(code_of(co_await store->read(name, 0, limits::kShardReadBytesMax + 1)), Code::kTooLarge);
  CHECK_EQ(code_of(co_await store->read(shard_name(2), 0, 1)), Code::kNotFound);
  CHECK_EQ(code_of(co_await store->stat(shard_name(2))), Code::kNotFound);
}

TEST_CASE("any range of a shard reads right, and nothing beyond its end") {
  StoreWorld world;
  world.run(read_ranges);
}

Task<> read_with_checksums(Env& env) {
  const auto store = co_await format_and_open(env);
  constexpr uint32_t kCell = 16 * limits::kKiB;
  const std::string block = block_text(2 * kCell + 100, 1);
  CHECK(co_await put(*store, shard_name(1), {1, 2, kCell}, block));
  for (const auto [offset, length, known] :
       {std::tuple(0u, kCell, true), std::tuple(0u, 2 * kCell, true),
        std::tuple(kCell, kCell + 100, true), std::tuple(0u, kCell - 1, false),
        std::tuple(1u, kCell, false), std::tuple(2 * kCell, 99u, false)}) {
    const auto read = (co_await store->read_checked(shard_name(1), offset, length, {})).value();
    CHECK_EQ(read.bytes.text(), block.substr(offset, length));
    CHECK_EQ(read.crc.has_value(), known);
    if (read.crc) CHECK_EQ(*read.crc, crc32c(read.bytes.view()));
  }
}

TEST_CASE("whole cells are read with the checksum of their bytes") {
  StoreWorld world;
  world.run(read_with_checksums);
}

Task<> append_with_checksums(Env& env) {
  const auto store = co_await format_and_open(env);
  constexpr uint32_t kCell = 16 * limits::kKiB;
  const Buffer cell = Buffer::copy(block_text(kCell, 1));
  for (const uint32_t damage : {0u, 1u}) {
    const ShardName name = shard_name(1 + damage);
    auto writer = (co_await store->begin(name, {1, 2, kCell}, kCell)).value();
    CHECK(co_await writer->append(cell, crc32c(cell.view()) ^ damage));
    ShardChecksum expected({store->identity().cluster, name});
    expected.add_cell(cell.view());
    const auto finished = co_await writer->finish({kCell, expected.value()});
    CHECK_EQ(finished.has_value(), damage == 0);
    if (!finished) CHECK_EQ(code_of(finished), Code::kCorrupt);
  }
  CHECK(co_await store->verify(shard_name(1)));
}

TEST_CASE("a cell that comes with its checksum is stored by it, and not when it is a wrong one") {
  StoreWorld world;
  world.run(append_with_checksums);
}

Task<> flip_every_bit(Env& env) {
  const auto writing = co_await format_and_open(env);
  const ShardName name = shard_name(1, 2);
  constexpr StripeShape kSmall{4, 2, 8};
  const auto facts = (co_await put(*writing, name, kSmall, block_text(80, 1))).value();
  const std::string path = "shards/" + file_name(name);
  for (uint64_t bit = 0; bit < 8 * facts.file_bytes(); ++bit) {
    co_await flip(env, path, bit);
    const auto store = co_await reopen(env);
    const auto verified = co_await store->verify(name);
    const auto whole = co_await store->read(name, 0, facts.shard_length);
    CHECK_FALSE(verified);
    CHECK_FALSE(whole);
    if (!verified) CHECK_EQ(code_of(verified), Code::kCorrupt);
    co_await flip(env, path, bit);
  }
  CHECK(co_await (co_await reopen(env))->verify(name));
}

TEST_CASE("a flipped bit anywhere in the file is found") {
  StoreWorld world;
  world.run(flip_every_bit);
}

Task<> read_stale(Env& env) {
  const auto store = co_await format_and_open(env);
  const auto facts = (co_await put(*store, shard_name(1), kReplicas, "the bytes")).value();
  CHECK_EQ((co_await store->read(shard_name(1), 0, 3, facts.checksum)).value().text(), "the");
  CHECK_EQ(code_of(co_await store->read(shard_name(1), 0, 3, facts.checksum ^ 1)), Code::kCorrupt);
}

TEST_CASE("a shard that is not the one which its reader knows is not read") {
  StoreWorld world;
  world.run(read_stale);
}

Task<> damage_one_cell(Env& env) {
  const auto writing = co_await format_and_open(env);
  const ShardName name = shard_name(1);
  const std::string block = block_text(200, 1);
  CHECK(co_await put(*writing, name, kReplicas, block));
  co_await flip(env, "shards/" + file_name(name), 8 * 70);
  const auto store = co_await reopen(env);
  CHECK_EQ((co_await store->read(name, 0, 64)).value().text(), block.substr(0, 64));
  CHECK_EQ((co_await store->read(name, 128, 72)).value().text(), block.substr(128));
  const auto damaged = co_await store->read(name, 127, 1);
  CHECK_EQ(code_of(damaged), Code::kCorrupt);
  CHECK(damaged.error().message.contains("cell 1"));
}

TEST_CASE("a damaged cell is named, and the others still read") {
  StoreWorld world;
  world.run(damage_one_cell);
}

Task<> misdirect(Env& env) {
  const auto writing = co_await format_and_open(env);
  const ShardName one = shard_name(1), other = shard_name(2);
  const std::string block = block_text(128, 1);  // two cells, the same bytes in both shards
  CHECK(co_await put(*writing, one, kReplicas, block));
  CHECK(co_await put(*writing, other, kReplicas, block));
  const std::string path = "store/shards/" + file_name(one);
  auto file = (co_await env.disk().open(path, OpenMode::kWrite)).value();
  const Buffer first = (co_await file->read(0, 64)).value();
  const Buffer second = (co_await file->read(64, 64)).value();
  (co_await file->write(0, second)).value();
  (co_await file->write(64, first)).value();
  const auto store = co_await reopen(env);
  CHECK_EQ(code_of(co_await store->read(one, 0, 64)), Code::kCorrupt);
  CHECK_EQ(code_of(co_await store->read(one, 64, 64)), Code::kCorrupt);
  (co_await env.disk().rename("store/shards/" + file_name(other), path)).value();
  const auto renamed = co_await reopen(env);
  CHECK_EQ(code_of(co_await renamed->read(one, 0, 64)), Code::kCorrupt);
}

TEST_CASE("cells and shards that are in each other's place are corrupt, whatever their bytes") {
  StoreWorld world;
  world.run(misdirect);
}

Task<> change_length(Env& env) {
  const auto writing = co_await format_and_open(env);
  const ShardName name = shard_name(1);
  const auto facts = (co_await put(*writing, name, kReplicas, block_text(100, 1))).value();
  auto file =
      (co_await env.disk().open("store/shards/" + file_name(name), OpenMode::kWrite)).value();
  (co_await file->write(facts.file_bytes(), Buffer::copy("more"))).value();
  CHECK_EQ(code_of(co_await (co_await reopen(env))->verify(name)), Code::kCorrupt);
  for (uint64_t size = facts.file_bytes(); size-- > 0;) {
    (co_await file->truncate(size)).value();
    CHECK_EQ(code_of(co_await (co_await reopen(env))->verify(name)), Code::kCorrupt);
  }
}

TEST_CASE("a file that is too short or too long is corrupt") {
  StoreWorld world;
  world.run(change_length);
}

Task<> fence_generations(Env& env) {
  const auto store = co_await format_and_open(env);
  auto late = (co_await store->begin(shard_name(1, 0, 1), kReplicas, 0)).value();
  (co_await late->append(Buffer::copy("old"))).value();
  CHECK(co_await put(*store, shard_name(1, 0, 2), kReplicas, "new"));
  CHECK_EQ(code_of(co_await late->finish({3, {}})), Code::kPrecondition);
  CHECK_EQ(code_of(co_await store->begin(shard_name(1, 0, 1), kReplicas, 0)), Code::kPrecondition);
  CHECK(co_await put(*store, shard_name(1, 0, 3), kReplicas, "newest"));
  CHECK(co_await put(*store, shard_name(1, 1, 1), kReplicas, "another shard"));
  CHECK_EQ((co_await get(*store, shard_name(1, 0, 2))).value(), "new");
  CHECK_EQ((co_await get(*store, shard_name(1, 0, 3))).value(), "newest");
  CHECK(co_await store->remove(shard_name(1, 0, 2)));
  CHECK_EQ(code_of(co_await get(*store, shard_name(1, 0, 2))), Code::kNotFound);
  CHECK_EQ(store->shard_count(), 2u);
  CHECK_EQ((co_await shard_files(env)).size(), 2u);
}

TEST_CASE("a lower generation never replaces a higher one, nor a higher one the lower") {
  StoreWorld world;
  world.run(fence_generations);
}

Task<> finish_twice(Env& env) {
  const auto store = co_await format_and_open(env);
  const ShardName name = shard_name(1);
  const auto facts = (co_await put(*store, name, kReplicas, "the bytes")).value();
  CHECK(((co_await put(*store, name, kReplicas, "the bytes")).value() == facts));
  CHECK_EQ(code_of(co_await put(*store, name, kReplicas, "other bytes")), Code::kExists);
  CHECK_EQ((co_await get(*store, name)).value(), "the bytes");
  co_await flip(env, "shards/" + file_name(name), 3);
  CHECK_EQ(code_of(co_await get(*store, name)), Code::kCorrupt);
  CHECK(co_await put(*store, name, kReplicas, "the bytes"));
  CHECK_EQ((co_await get(*store, name)).value(), "the bytes");
  CHECK_EQ((co_await shard_files(env)).size(), 1u);
}

TEST_CASE("finishing the same shard again is harmless and mends it; other bytes are refused") {
  StoreWorld world;
  world.run(finish_twice);
}

Task<> write_wrongly(Env& env) {
  const auto store = co_await format_and_open(env);
  const auto refused = [](const auto& result) {
    return !result && result.error().is(Code::kInvalid);
  };
  CHECK(refused(co_await store->begin(shard_name(1), {0, 2, 64}, 0)));
  CHECK(refused(co_await store->begin(shard_name(1, 6), kShape, 0)));
  CHECK(refused(co_await store->begin(shard_name(0), kShape, 0)));
  CHECK(refused(co_await store->begin(shard_name(1, 0, 0), kShape, 0)));

  auto too_long = (co_await store->begin(shard_name(1), kShape, 0)).value();
  CHECK(refused(co_await too_long->append(Buffer::copy(std::string(65, 'x')))));
  CHECK_EQ(code_of(co_await too_long->append(Buffer::copy("x"))), Code::kClosed);
  CHECK_EQ(code_of(co_await too_long->finish({4, {}})), Code::kClosed);

  auto after_last = (co_await store->begin(shard_name(1), kShape, 0)).value();
  CHECK(co_await after_last->append(Buffer::copy("short")));
  CHECK(refused(co_await after_last->append(Buffer::copy("more"))));

  auto other_length = (co_await store->begin(shard_name(1), kShape, 0)).value();
  CHECK(co_await other_length->append(Buffer::copy("abc")));
  CHECK(refused(co_await other_length->finish({13, {}})));

  auto other_bytes = (co_await store->begin(shard_name(1), kShape, 0)).value();
  CHECK(co_await other_bytes->append(Buffer::copy("abc")));
  CHECK_EQ(code_of(co_await other_bytes->finish({12, 1u})), Code::kCorrupt);
  too_long.reset();
  after_last.reset();
  CHECK_EQ(store->shard_count(), 0u);
  CHECK_EQ(store->writer_count(), 2u);
}

TEST_CASE("cells, lengths and checksums that do not fit are refused, and nothing is kept") {
  StoreWorld world;
  world.run(write_wrongly);
}

Task<> drop_writers(Env& env) {
  const auto store = co_await format_and_open(env);
  for (uint64_t block = 1; block <= 3; ++block) {
    auto writer = (co_await store->begin(shard_name(block), kShape, 0)).value();
    CHECK(co_await writer->append(Buffer::copy("x")));
    if (block == 2) co_await writer->abort();
  }
  CHECK_EQ((co_await shard_files(env)).size(), 1u);  // of the last, dropped after the last begin
  auto writer = (co_await store->begin(shard_name(9), kShape, 0)).value();
  CHECK_EQ((co_await shard_files(env)).size(), 1u);  // its own
  const auto again = co_await reopen(env);
  CHECK_EQ((co_await shard_files(env)).size(), 0u);
  CHECK_EQ(again->shard_count(), 0u);
}

TEST_CASE("what an aborted or dropped writer leaves is removed") {
  StoreWorld world;
  world.run(drop_writers);
}

Task<> fill_writers(Env& env) {
  const auto store = co_await format_and_open(env);
  std::vector<std::unique_ptr<ShardWriter>> writers;
  for (uint64_t block = 1; block <= limits::kShardWritersMax; ++block)
    writers.push_back((co_await store->begin(shard_name(block), kShape, 0)).value());
  CHECK_EQ(code_of(co_await store->begin(shard_name(999), kShape, 0)), Code::kUnavailable);
  writers.pop_back();
  CHECK(co_await store->begin(shard_name(999), kShape, 0));
}

TEST_CASE("the number of shards being written is bounded") {
  StoreWorld world;
  world.run(fill_writers);
}

Task<> reserve_space(Env& env) {
  const auto store = co_await format_and_open(env);
  const uint64_t free = (co_await store->space()).value().free_bytes;
  std::vector<std::unique_ptr<ShardWriter>> writers;
  Result<std::unique_ptr<ShardWriter>> next;
  for (uint64_t block = 1; writers.size() < 100; ++block) {
    next = co_await store->begin(shard_name(block), kShape, limits::kBlockBytesMax);
    if (!next) break;
    writers.push_back(std::move(*next));
  }
  CHECK_EQ(writers.size(), free / limits::kBlockBytesMax);
  CHECK_EQ(code_of(next), Code::kNoSpace);
  CHECK_LT((co_await store->space()).value().free_bytes, limits::kBlockBytesMax);
  writers.clear();
  CHECK_GT((co_await store->space()).value().free_bytes, free - limits::kMiB);
}

TEST_CASE("what is being written reserves its space") {
  StoreWorld world;
  world.run(reserve_space);
}

Task<> list_pages(Env& env) {
  const auto writing = co_await format_and_open(env);
  for (const uint64_t block : {30, 10, 20})
    for (const uint32_t shard : {1u, 0u})
      CHECK(co_await put(*writing, shard_name(block, shard), kShape, block_text(block, 1)));
  co_await flip(env, "shards/" + file_name(shard_name(20, 0)), 8 * (5 + 4) + 1);
  const auto store = co_await reopen(env);
  std::vector<ShardName> names;
  ShardName after;
  for (;;) {
    const auto page = co_await store->list(after, 4);
    if (page.empty()) break;
    CHECK_LE(page.size(), 4u);
    for (const auto& [name, facts] : page) {
      names.push_back(name);
      CHECK_EQ(facts.has_value(), name != shard_name(20, 0));
      if (facts) CHECK_EQ(facts->block_length, name.block.value);
    }
    after = page.back().name;
  }
  CHECK((names == std::vector<ShardName>{shard_name(10, 0), shard_name(10, 1), shard_name(20, 0),
                                         shard_name(20, 1), shard_name(30, 0), shard_name(30, 1)}));
}

TEST_CASE("a listing names every shard once, in order, page by page, the damaged ones too") {
  StoreWorld world;
  world.run(list_pages);
}

Task<> open_wrongly(Env& env) {
  CHECK_EQ(code_of(co_await Store::open(env, "store", kCluster, kNode)), Code::kNotFound);
  CHECK(co_await Store::format(env, "store", kIdentity));
  CHECK_EQ(code_of(co_await Store::format(env, "store", kIdentity)), Code::kExists);
  CHECK_EQ(code_of(co_await Store::open(env, "store", ClusterId(8), kNode)), Code::kPrecondition);
  CHECK_EQ(code_of(co_await Store::open(env, "store", kCluster, NodeId(4))), Code::kPrecondition);
  const auto store = (co_await Store::open(env, "store", kCluster, kNode)).value();
  CHECK((store->identity() == kIdentity));
  CHECK(co_await put(*store, shard_name(1), kShape, "bytes"));
  co_await flip(env, "identity", 100);
  co_await flip(env, "identity.copy", 100);
  CHECK_EQ(code_of(co_await Store::open(env, "store", kCluster, kNode)), Code::kCorrupt);
  (co_await env.disk().remove("store/identity")).value();
  CHECK_EQ(code_of(co_await Store::format(env, "store", kIdentity)), Code::kPrecondition);
}

Task<> damage_one_copy(Env& env) {
  CHECK(co_await Store::format(env, "store", kIdentity));
  // Each in turn, so that what one start mends is what the next one reads.
  for (const char* damaged : {"identity", "identity.copy", "identity"}) {
    co_await flip(env, damaged, 100);
    CHECK((co_await Store::identify(env, "store") == kIdentity));
    CHECK_EQ(code_of(co_await Store::open(env, "store", ClusterId(8), kNode)), Code::kPrecondition);
    CHECK(co_await Store::open(env, "store", kCluster, kNode));
  }
}

TEST_CASE("one damaged copy of the identity is read past and mended") {
  StoreWorld world;
  world.run(damage_one_copy);
}

TEST_CASE("a directory of others, a damaged one and one without identity are not touched") {
  StoreWorld world;
  world.run(open_wrongly);
}

Task<> leave_strangers(Env& env) {
  co_await format_and_open(env);
  (co_await env.disk().open("store/shards/notes.txt", OpenMode::kCreate)).value();
  const auto store = co_await reopen(env);
  CHECK_EQ(store->shard_count(), 0u);
  CHECK_EQ((co_await shard_files(env)).size(), 1u);
}

TEST_CASE("files that are not the store's are left alone") {
  StoreWorld world;
  world.run(leave_strangers);
}

// Many at once.

struct Concurrent {
  size_t done = 0;
  size_t failed = 0;
  DiskWatch watch;
  uint64_t name_syncs = 0;
};

Task<> put_one(Store& store, ShardName name, Concurrent& seen) {
  const auto facts = co_await put(store, name, kShape, block_text(700, name.block.value));
  ++(facts ? seen.done : seen.failed);
}

Task<> put_many(Env& plain, Concurrent& seen) {
  WatchedEnv watched(plain, seen.watch);
  Env& env = watched.env();
  const auto store = co_await format_and_open(env);
  co_await nursery(env, [&](Nursery& children) {
    for (uint64_t i = 0; i < 40; ++i) children.spawn(put_one(*store, shard_name(1 + i / 2), seen));
    return children.join();
  });
  CHECK_EQ(store->writer_count(), 0u);
  for (uint64_t block = 1; block <= 20; ++block) {
    const auto bytes = co_await get(*store, shard_name(block));
    if (bytes) CHECK_EQ(*bytes, shard_bytes(kShape, block_text(700, block), 0));
  }
  CHECK_EQ((co_await shard_files(env)).size(), store->shard_count());
}

TEST_CASE("many writers, two of each shard, all succeed and share the directory's syncs") {
  StoreWorld world;
  Concurrent seen;
  seen.watch.decide = [&](uint64_t, Act act) -> std::optional<DiskWatch::Fault> {
    if (act == Act::kSyncNames) ++seen.name_syncs;
    return std::nullopt;
  };
  world.run([&](Env& env) { return put_many(env, seen); });
  CHECK_EQ(seen.done, 40u);
  CHECK_LT(seen.name_syncs, 40u);
}

TEST_CASE("a failed sync of the directory fails all who had changed it, and only those") {
  StoreWorld world;
  Concurrent seen;
  seen.watch.decide = [&](uint64_t, Act act) -> std::optional<DiskWatch::Fault> {
    if (act != Act::kSyncNames || ++seen.name_syncs != 7) return std::nullopt;
    return DiskWatch::Fault{{Code::kIo, "planted"}};
  };
  world.run([&](Env& env) { return put_many(env, seen); });
  CHECK_GE(seen.failed, 1u);
  CHECK_GE(seen.done, 1u);
  CHECK_EQ(seen.done + seen.failed, 40u);
}

Task<> put_twelve(Env& env, Store& store, Nursery& children, Duration patience, Concurrent& seen) {
  for (uint64_t i = 0; i < 12; ++i) children.spawn(put_one(store, shard_name(1 + i / 2), seen));
  if (patience == Duration::max()) co_return co_await children.join();
  co_await env.sleep(patience);
}

// Cancels the writers after `patience`, which becomes the time that they had.
Task<> put_after_cancelled_puts(Env& env, Concurrent& seen, Duration& patience) {
  const auto store = co_await format_and_open(env);
  const Instant begin = env.now();
  co_await nursery(
      env, [&](Nursery& children) { return put_twelve(env, *store, children, patience, seen); });
  patience = env.now() - begin;
  CHECK_EQ(store->writer_count(), 0u);
  const size_t done = seen.done;
  for (uint64_t block = 1; block <= 6; ++block) co_await put_one(*store, shard_name(block), seen);
  CHECK_EQ(seen.done, done + 6);
  CHECK_EQ(store->shard_count(), 6u);
  CHECK_EQ((co_await shard_files(env)).size(), 6u);
  for (const auto& [name, facts] : co_await store->list({}, 10))
    CHECK(co_await store->verify(name));
}

TEST_CASE("writers cancelled at any moment leave nothing in the way of the next ones") {
  const auto run = [](uint64_t seed, Duration patience) {
    StoreWorld world(seed);
    Concurrent seen;
    world.run([&](Env& env) { return put_after_cancelled_puts(env, seen, patience); });
    return std::pair(patience, seen.done - 6);
  };
  const auto [whole, all] = run(0, Duration::max());
  CHECK_EQ(all, 12u);
  std::set<size_t> finished;  // how many, over the runs
  for (int step = 0; step < 60; ++step) {
    CAPTURE(step);
    finished.insert(run(static_cast<uint64_t>(step), step * whole / 60).second);
  }
  CHECK_GT(finished.size(), 4u);
}

}  // namespace
}  // namespace dogfs::chunk
