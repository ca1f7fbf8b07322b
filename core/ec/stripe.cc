#include "core/ec/stripe.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs::ec {

ByteRange hull(ByteRange a, ByteRange b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  const uint64_t begin = std::min(a.offset, b.offset);
  return {begin, std::max(a.end(), b.end()) - begin};
}

Result<StripeLayout> StripeLayout::create(StripeShape shape, uint64_t block_length) {
  if (shape.k < 1 || shape.k > limits::kShardsMax || shape.m > limits::kShardsMax - shape.k)
    return fail(Code::kInvalid, "{} data and {} parity shards: need k >= 1 and k + m <= {}",
                shape.k, shape.m, limits::kShardsMax);
  if (shape.cell_bytes < 1 || shape.cell_bytes > limits::kCellBytesMax)
    return fail(Code::kInvalid, "cells of {} bytes: need 1 to {}", shape.cell_bytes,
                limits::kCellBytesMax);
  if (block_length > limits::kBlockBytesMax)
    return fail(Code::kInvalid, "a block of {} bytes: at most {}", block_length,
                limits::kBlockBytesMax);
  const StripeLayout layout(shape, block_length);
  if (layout.stripe_count() > limits::kCellsPerShardMax)
    return fail(Code::kInvalid, "{} cells of {} bytes in a shard: at most {}",
                layout.stripe_count(), shape.cell_bytes, limits::kCellsPerShardMax);
  return layout;
}

StripeLayout::StripeLayout(StripeShape shape, uint64_t block_length)
    : shape_(shape),
      block_length_(block_length),
      full_stripes_(block_length / shape.stripe_bytes()),
      tail_cell_bytes_(shape.cell_bytes_for(block_length % shape.stripe_bytes())) {}

ByteRange StripeLayout::block_range(uint64_t stripe) const {
  const uint64_t begin = stripe * shape_.stripe_bytes();
  return {begin, std::min(shape_.stripe_bytes(), block_length_ - begin)};
}

StripeLayout::Place StripeLayout::locate(uint64_t block_offset) const {
  CHECK(block_offset < block_length_, "byte {} of {}", block_offset, block_length_);
  const uint64_t stripe = block_offset / shape_.stripe_bytes();
  const uint64_t within = block_offset % shape_.stripe_bytes();
  const uint32_t cell = cell_bytes(stripe);
  return {stripe, static_cast<uint32_t>(within / cell), cell_offset(stripe) + within % cell};
}

std::optional<uint64_t> StripeLayout::block_offset(uint32_t shard, uint64_t shard_offset) const {
  CHECK(shard < shape_.k, "shard {} is no data shard of {}", shard, shape_.k);
  if (shard_offset >= shard_length()) return std::nullopt;
  const uint64_t stripe = shard_offset / shape_.cell_bytes;
  const uint64_t within = shard_offset % shape_.cell_bytes;
  const uint64_t offset =
      stripe * shape_.stripe_bytes() + uint64_t{shard} * cell_bytes(stripe) + within;
  return offset < block_length_ ? std::optional(offset) : std::nullopt;
}

ByteRange StripeLayout::clamp(ByteRange range) const {
  const uint64_t begin = std::min(range.offset, block_length_);
  return {begin, std::min(range.length, block_length_ - begin)};
}

std::vector<CellPiece> StripeLayout::pieces(ByteRange range) const {
  CHECK(clamp(range) == range, "{}+{} of a block of {}", range.offset, range.length, block_length_);
  std::vector<CellPiece> out;
  for (uint64_t at = range.offset; at < range.end();) {
    const Place place = locate(at);
    const uint64_t cell_end = cell_offset(place.stripe) + cell_bytes(place.stripe);
    const uint64_t length = std::min(cell_end - place.shard_offset, range.end() - at);
    out.push_back({at, place.shard, place.shard_offset, static_cast<uint32_t>(length)});
    at += length;
  }
  return out;
}

// How many bytes of the shard lie before byte `block_end` of the block, in the block's order.
uint64_t StripeLayout::touched_before(uint32_t shard, uint64_t block_end) const {
  const uint64_t stripe = block_end / shape_.stripe_bytes();
  if (stripe >= stripe_count()) return cell_offset(stripe);  // an exact end: whole cells only
  const uint64_t within = block_end % shape_.stripe_bytes();
  const uint64_t cell = cell_bytes(stripe);
  const uint64_t cell_begin = shard * cell;
  return cell_offset(stripe) + std::min(cell, within - std::min(within, cell_begin));
}

ByteRange StripeLayout::shard_range(uint32_t shard, ByteRange range) const {
  CHECK(shard < shape_.k, "shard {} is no data shard of {}", shard, shape_.k);
  CHECK(clamp(range) == range, "{}+{} of a block of {}", range.offset, range.length, block_length_);
  const uint64_t begin = touched_before(shard, range.offset);
  return {begin, touched_before(shard, range.end()) - begin};
}

}  // namespace dogfs::ec
