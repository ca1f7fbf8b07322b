#include "core/ec/read_plan.h"

#include <algorithm>
#include <numeric>
#include <string>

#include <rapidcheck.h>

#include "tests/core/ec/model.h"

#include "tests/doctest.h"

namespace dogfs::ec {
namespace {

struct StoredBlock {
  Codec codec;
  StripeLayout layout;
  std::string bytes;
  std::vector<std::string> shards;
};

StoredBlock store(StripeShape shape, uint64_t size) {
  Random random(size + 1);
  StoredBlock block{Codec::create(shape.k, shape.m).value(),
                    StripeLayout::create(shape, size).value(), random_text(random, size),
                    std::vector<std::string>(shape.shard_count())};
  for (uint64_t stripe = 0; stripe < block.layout.stripe_count(); ++stripe) {
    const ByteRange range = block.layout.block_range(stripe);
    const auto cells =
        block.codec.encode_stripe(Buffer::copy(block.bytes.substr(range.offset, range.length)));
    for (size_t i = 0; i < cells.size(); ++i) block.shards[i] += cells[i].text();
  }
  return block;
}

std::vector<Buffer> fetch(const StoredBlock& block, const ReadPlan& plan) {
  std::vector<Buffer> fetched;
  for (const auto& [shard, range] : plan.reads()) {
    REQUIRE_LE(range.end(), block.shards[shard].size());
    fetched.push_back(Buffer::copy(block.shards[shard].substr(range.offset, range.length)));
  }
  return fetched;
}

// The plan gives the right bytes and asks only for what may be read, each shard once and no more of
// them than needed.
void check_read(const StoredBlock& block, ByteRange range, const std::vector<uint32_t>& available) {
  const StripeShape shape = block.layout.shape();
  const auto there = [&](uint32_t shard) {
    return std::ranges::find(available, shard) != available.end();
  };
  size_t touched = 0, lost = 0;
  for (uint32_t shard = 0; shard < shape.k; ++shard) {
    if (block.layout.shard_range(shard, range).empty()) continue;
    ++touched;
    if (!there(shard)) ++lost;
  }
  const auto plan = ReadPlan::create(block.layout, range, available);
  if (lost > 0 && available.size() < shape.k) {
    REQUIRE_FALSE(plan);
    REQUIRE(plan.error().is(Code::kUnavailable));
    return;
  }
  REQUIRE(plan);
  std::vector<uint32_t> read;
  for (const ShardRead& one : plan->reads()) {
    REQUIRE(there(one.shard));
    REQUIRE_FALSE(one.range.empty());
    read.push_back(one.shard);
  }
  std::ranges::sort(read);
  REQUIRE(std::ranges::adjacent_find(read) == read.end());
  REQUIRE_EQ(read.size(), lost > 0 ? shape.k : touched);
  std::string bytes;
  for (const Buffer& piece : plan->assemble(block.codec, fetch(block, *plan)).value())
    bytes += piece.text();
  REQUIRE_EQ(bytes, block.bytes.substr(range.offset, range.length));
}

std::vector<uint32_t> without(uint32_t count, std::vector<uint32_t> gone) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < count; ++i)
    if (std::ranges::find(gone, i) == gone.end()) out.push_back(i);
  return out;
}

TEST_CASE("every range reads right with every single and double loss") {
  for (const StripeShape shape : {StripeShape{3, 2, 4}, {1, 2, 4}}) {
    for (const uint64_t size : {0, 1, 2, 3, 4, 5, 12, 13, 17, 24, 29}) {
      const StoredBlock block = store(shape, size);
      for (uint64_t offset = 0; offset <= size; ++offset)
        for (uint64_t length = 0; offset + length <= size; ++length)
          for (uint32_t a = 0; a < shape.shard_count(); ++a)
            for (uint32_t b = a; b < shape.shard_count(); ++b)
              check_read(block, {offset, length}, without(shape.shard_count(), {a, b}));
    }
  }
}

TEST_CASE("any range of any block reads right from any shards, or says that they are too few") {
  const bool passed = rc::check([] {
    const StripeShape shape{*rc::gen::inRange<uint32_t>(1, 11), *rc::gen::inRange<uint32_t>(0, 5),
                            *rc::gen::inRange<uint32_t>(1, 70)};
    const auto size = *rc::gen::inRange<uint64_t>(0, 3 * shape.stripe_bytes() + 2);
    const auto offset = *rc::gen::inRange<uint64_t>(0, size + 1);
    const auto length = *rc::gen::inRange<uint64_t>(0, size - offset + 1);
    Random random(*rc::gen::arbitrary<uint64_t>());
    std::vector<uint32_t> shards = without(shape.shard_count(), {});
    for (size_t i = shards.size(); i > 1; --i) std::swap(shards[i - 1], shards[random.below(i)]);
    const auto gone = std::min<size_t>(random.below(shape.m + 2), shards.size());
    shards.resize(shards.size() - gone);
    check_read(store(shape, size), {offset, length}, shards);
  });
  CHECK(passed);
}

TEST_CASE("a whole read with nothing lost reads each data shard once and decodes nothing") {
  const StoredBlock block = store({4, 2, 8}, 100);
  const std::vector<uint32_t> all{5, 4, 3, 2, 1, 0};
  const auto plan = ReadPlan::create(block.layout, {0, 100}, all).value();
  CHECK_EQ(plan.reads().size(), 4u);
  CHECK(plan.missing().empty());
}

TEST_CASE("a loss that the range does not touch costs nothing") {
  const StoredBlock block = store({4, 2, 8}, 100);
  const auto plan = ReadPlan::create(block.layout, {9, 3}, without(6, {0, 2, 3, 4, 5})).value();
  CHECK((plan.reads() == std::vector<ShardRead>{{1, {1, 3}}}));
}

TEST_CASE("a degraded read fetches only the columns that are lost") {
  const StoredBlock block = store({4, 2, 8}, 100);
  const auto plan = ReadPlan::create(block.layout, {9, 3}, without(6, {1, 3})).value();
  CHECK(
      (plan.reads() == std::vector<ShardRead>{{0, {1, 3}}, {2, {1, 3}}, {4, {1, 3}}, {5, {1, 3}}}));
  CHECK((plan.missing() == std::vector<uint32_t>{1}));
}

TEST_CASE("the preferred shards are read first, of replicas the first alone") {
  const StoredBlock block = store({2, 3, 8}, 16);
  const auto degraded =
      ReadPlan::create(block.layout, {0, 8}, std::vector<uint32_t>{4, 3, 2, 1}).value();
  CHECK((degraded.reads() == std::vector<ShardRead>{{4, {0, 8}}, {3, {0, 8}}}));
  const StoredBlock replicated = store({1, 2, 8}, 20);
  const auto plan =
      ReadPlan::create(replicated.layout, {3, 14}, std::vector<uint32_t>{2, 0}).value();
  CHECK((plan.reads() == std::vector<ShardRead>{{2, {3, 14}}}));
  CHECK(plan.missing().empty());
}

TEST_CASE("a range outside of the block and wrong shard numbers are refused") {
  const StoredBlock block = store({2, 1, 8}, 20);
  const auto refused = [&](ByteRange range, std::vector<uint32_t> available) {
    const auto plan = ReadPlan::create(block.layout, range, available);
    return !plan && plan.error().is(Code::kInvalid);
  };
  CHECK(refused({0, 21}, {0, 1}));
  CHECK(refused({21, 0}, {0, 1}));
  CHECK(refused({UINT64_MAX, 2}, {0, 1}));
  CHECK(refused({0, 20}, {0, 3}));
  CHECK(refused({0, 20}, {0, 0}));
  CHECK_FALSE(refused({20, 0}, {}));
}

TEST_CASE("a short answer is corrupt, not read past its end") {
  const StoredBlock block = store({2, 1, 8}, 20);
  const auto plan = ReadPlan::create(block.layout, {0, 20}, std::vector<uint32_t>{1, 2}).value();
  auto fetched = fetch(block, plan);
  fetched[1] = fetched[1].slice(0, fetched[1].size() - 1);
  CHECK_EQ(plan.assemble(block.codec, fetched).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace dogfs::ec
