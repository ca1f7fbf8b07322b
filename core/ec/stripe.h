#pragma once
// StripeLayout: where the bytes of a block lie in its shards (drawn in README.md). It turns a byte
// range of the block into ranges of shards and back. A plain value; it decides nothing and holds
// no bytes.
//
// All shards of a block have the same length. Every stripe but the last has cells of cell_bytes;
// the last divides its bytes evenly: its cells have ceil(bytes / k), and what the data cells have
// beyond the block's end is zero padding, encoded and stored like any byte.
//
// A replicated block (rep-N) is k = 1, m = N - 1: each shard is the block itself.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/error.h"

namespace dogfs::ec {

struct ByteRange {
  uint64_t offset = 0;
  uint64_t length = 0;

  uint64_t end() const { return offset + length; }
  bool empty() const { return length == 0; }
  bool contains(ByteRange other) const { return other.offset >= offset && other.end() <= end(); }
  bool operator==(const ByteRange&) const = default;
};

// The smallest range that holds both; an empty range adds nothing.
ByteRange hull(ByteRange a, ByteRange b);

// How a policy cuts a block, before its length is known.
struct StripeShape {
  uint32_t k = 1;
  uint32_t m = 0;
  uint32_t cell_bytes = 0;

  uint32_t shard_count() const { return k + m; }
  uint64_t stripe_bytes() const { return uint64_t{k} * cell_bytes; }
  // Of the cells of a stripe that holds `bytes` of the block, at most stripe_bytes().
  uint32_t cell_bytes_for(uint64_t bytes) const {
    return static_cast<uint32_t>((bytes + k - 1) / k);
  }
  bool operator==(const StripeShape&) const = default;
};

// Consecutive bytes of the block within one cell.
struct CellPiece {
  uint64_t block_offset = 0;
  uint32_t shard = 0;
  uint64_t shard_offset = 0;
  uint32_t length = 0;
  bool operator==(const CellPiece&) const = default;
};

class StripeLayout {
 public:
  // kInvalid unless k >= 1, k + m <= kShardsMax, 1 <= cell_bytes <= kCellBytesMax, block_length <=
  // kBlockBytesMax and a shard has at most kCellsPerShardMax cells.
  static Result<StripeLayout> create(StripeShape shape, uint64_t block_length);

  const StripeShape& shape() const { return shape_; }
  uint64_t block_length() const { return block_length_; }
  uint64_t shard_length() const { return full_stripes_ * shape_.cell_bytes + tail_cell_bytes_; }
  // Also the number of cells of each shard. An empty block has none.
  uint64_t stripe_count() const { return full_stripes_ + (tail_cell_bytes_ > 0 ? 1 : 0); }

  // Of stripe `stripe` < stripe_count(): its cells' size, their offset in each shard, and the bytes
  // of the block that it holds.
  uint32_t cell_bytes(uint64_t stripe) const {
    return stripe < full_stripes_ ? shape_.cell_bytes : tail_cell_bytes_;
  }
  uint64_t cell_offset(uint64_t stripe) const { return stripe * shape_.cell_bytes; }
  ByteRange block_range(uint64_t stripe) const;

  // Where byte `block_offset` < block_length() is.
  struct Place {
    uint64_t stripe = 0;
    uint32_t shard = 0;  // a data shard, < k
    uint64_t shard_offset = 0;
  };
  Place locate(uint64_t block_offset) const;
  // Which byte of the block a data shard (< k) has there; none for padding and past the end.
  std::optional<uint64_t> block_offset(uint32_t shard, uint64_t shard_offset) const;

  // The part of `range` that lies in the block.
  ByteRange clamp(ByteRange range) const;
  // The cells' pieces that make up `range`, in the order of the block. range lies in the block.
  std::vector<CellPiece> pieces(ByteRange range) const;
  // What `range` touches in one data shard: always consecutive bytes of the shard, perhaps none.
  ByteRange shard_range(uint32_t shard, ByteRange range) const;

 private:
  StripeLayout(StripeShape shape, uint64_t block_length);
  uint64_t touched_before(uint32_t shard, uint64_t block_end) const;

  StripeShape shape_;
  uint64_t block_length_ = 0;
  uint64_t full_stripes_ = 0;
  uint32_t tail_cell_bytes_ = 0;
};

}  // namespace dogfs::ec
