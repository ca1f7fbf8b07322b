#include "core/ec/stripe.h"

#include <set>
#include <string>

#include <rapidcheck.h>

#include "core/base/limits.h"

#include "tests/core/ec/model.h"

#include "tests/doctest.h"

namespace dogfs::ec {
namespace {

constexpr StripeShape kShapes[] = {{1, 2, 7}, {2, 1, 1}, {2, 1, 16},
                                   {3, 2, 5}, {4, 2, 8}, {6, 3, 3}};

// Every promise of the layout, checked for each byte.
void check_against_model(StripeShape shape, uint64_t size) {
  Random random(size);
  const std::string block = random_text(random, size);
  const auto shards = model_data_shards(shape, block);
  const auto layout = StripeLayout::create(shape, size).value();
  REQUIRE_EQ(layout.shard_length(), shards[0].size());
  std::set<std::pair<uint32_t, uint64_t>> content;
  for (uint64_t at = 0; at < size; ++at) {
    const auto place = layout.locate(at);
    REQUIRE_LT(place.shard, shape.k);
    REQUIRE_EQ(shards[place.shard][place.shard_offset], block[at]);
    REQUIRE(layout.block_offset(place.shard, place.shard_offset) == at);
    const auto stripe = layout.block_range(place.stripe);
    REQUIRE(stripe.contains({at, 1}));
    REQUIRE(content.emplace(place.shard, place.shard_offset).second);
  }
  for (uint32_t shard = 0; shard < shape.k; ++shard) {
    for (uint64_t at = 0; at < shards[shard].size(); ++at) {
      if (content.contains({shard, at})) continue;
      REQUIRE_FALSE(layout.block_offset(shard, at));
      REQUIRE_EQ(shards[shard][at], '\0');
    }
    CHECK_FALSE(layout.block_offset(shard, layout.shard_length()));
  }
}

void check_ranges_against_model(StripeShape shape, uint64_t size, ByteRange range) {
  Random random(size);
  const std::string block = random_text(random, size);
  const auto shards = model_data_shards(shape, block);
  const auto layout = StripeLayout::create(shape, size).value();
  std::string joined;
  std::vector<ByteRange> touched(shape.k);
  for (const CellPiece& piece : layout.pieces(range)) {
    REQUIRE_EQ(piece.block_offset, range.offset + joined.size());
    joined += shards[piece.shard].substr(piece.shard_offset, piece.length);
    ByteRange& before = touched[piece.shard];
    if (!before.empty()) REQUIRE_EQ(before.end(), piece.shard_offset);  // consecutive
    before = hull(before, {piece.shard_offset, piece.length});
  }
  REQUIRE_EQ(joined, block.substr(range.offset, range.length));
  for (uint32_t shard = 0; shard < shape.k; ++shard) {
    const ByteRange found = layout.shard_range(shard, range);
    REQUIRE_EQ(found.length, touched[shard].length);
    if (!found.empty()) REQUIRE((found == touched[shard]));
  }
}

TEST_CASE("every byte of a block has one place, and what is left of the shards is zero padding") {
  for (const StripeShape shape : kShapes)
    for (const uint64_t size : boundary_sizes(shape, 3)) check_against_model(shape, size);
}

TEST_CASE("every range of a small block is the joined pieces of its cells") {
  const StripeShape shape{3, 2, 4};
  for (const uint64_t size : {0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15, 23, 24, 25, 29})
    for (uint64_t offset = 0; offset <= size; ++offset)
      for (uint64_t length = 0; offset + length <= size; ++length)
        check_ranges_against_model(shape, size, {offset, length});
}

TEST_CASE("any shape, size and range agrees with the byte loop") {
  const bool passed = rc::check([] {
    const auto k = *rc::gen::inRange<uint32_t>(1, 12);
    const StripeShape shape{k, 2, *rc::gen::inRange<uint32_t>(1, 40)};
    const auto size = *rc::gen::inRange<uint64_t>(0, 4 * shape.stripe_bytes());
    const auto offset = *rc::gen::inRange<uint64_t>(0, size + 1);
    const auto length = *rc::gen::inRange<uint64_t>(0, size - offset + 1);
    check_against_model(shape, size);
    check_ranges_against_model(shape, size, {offset, length});
  });
  CHECK(passed);
}

TEST_CASE("a small block costs its bytes divided by k in each shard, not a cell") {
  const StripeShape shape{4, 2, limits::kCellBytesDefault};
  CHECK_EQ(StripeLayout::create(shape, 0).value().shard_length(), 0u);
  CHECK_EQ(StripeLayout::create(shape, 0).value().stripe_count(), 0u);
  CHECK_EQ(StripeLayout::create(shape, 1).value().shard_length(), 1u);
  CHECK_EQ(StripeLayout::create(shape, 10'000).value().shard_length(), 2500u);
  CHECK_EQ(StripeLayout::create(shape, 10'001).value().shard_length(), 2501u);
  const auto stripe = shape.stripe_bytes();
  CHECK_EQ(StripeLayout::create(shape, stripe).value().shard_length(), shape.cell_bytes);
  CHECK_EQ(StripeLayout::create(shape, stripe + 1).value().shard_length(), shape.cell_bytes + 1);
}

TEST_CASE("an impossible layout is refused") {
  const auto refused = [](StripeShape shape, uint64_t length) {
    const auto layout = StripeLayout::create(shape, length);
    return !layout && layout.error().is(Code::kInvalid);
  };
  CHECK(refused({0, 2, 8}, 1));
  CHECK(refused({31, 2, 8}, 1));
  CHECK(refused({33, 0, 8}, 1));
  CHECK(refused({1, UINT32_MAX, 8}, 1));
  CHECK(refused({4, 2, 0}, 1));
  CHECK(refused({4, 2, limits::kCellBytesMax + 1}, 1));
  CHECK(refused({4, 2, limits::kCellBytesMax}, limits::kBlockBytesMax + 1));
  CHECK(refused({4, 2, 1}, limits::kBlockBytesMax));
  CHECK_FALSE(refused({4, 2, limits::kCellBytesMax}, limits::kBlockBytesMax));
  CHECK_FALSE(refused({32, 0, 8}, 1));
}

TEST_CASE("the hull of ranges ignores empty ones") {
  CHECK((hull({5, 2}, {}) == ByteRange{5, 2}));
  CHECK((hull({}, {5, 2}) == ByteRange{5, 2}));
  CHECK((hull({10, 1}, {5, 2}) == ByteRange{5, 6}));
}

}  // namespace
}  // namespace dogfs::ec
