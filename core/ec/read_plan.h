#pragma once
// ReadPlan: which ranges of which shards to fetch for a byte range of a block, and how the answer
// is put together from them. Pure; whoever fetches owns the buffers.
//
// It asks for the fewest reads: at most one consecutive range per shard, only data shards that the
// range touches as long as those are available, and k shards in all when one of them is not. When
// a read fails, plan again without that shard.

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/ec/codec.h"
#include "core/ec/stripe.h"

namespace dogfs::ec {

struct ShardRead {
  uint32_t shard = 0;
  ByteRange range;  // of the shard's bytes
  bool operator==(const ShardRead&) const = default;
};

class ReadPlan {
 public:
  // `available` names the shards that can be read, the preferred first; of a replicated block the
  // first is read. Errors: kInvalid if `range` is not within the block or a shard number is wrong;
  // kUnavailable if a shard that is touched is missing and fewer than k are there.
  static Result<ReadPlan> create(const StripeLayout& layout, ByteRange range,
                                 std::span<const uint32_t> available);

  const std::vector<ShardRead>& reads() const { return reads_; }
  // Touched shards that are rebuilt from the others; empty for a plain read.
  const std::vector<uint32_t>& missing() const { return missing_; }
  ByteRange range() const { return range_; }

  // The bytes of range() in pieces, from what reads() fetched, in the same order; only what was
  // rebuilt is new memory. `codec` has the layout's k and m. kCorrupt if a fetched buffer does not
  // have the length that was asked for.
  Result<std::vector<Buffer>> assemble(const Codec& codec, std::span<const Buffer> fetched) const;

 private:
  ReadPlan() = default;
  void read_replica(uint32_t shard);
  void add_plain_reads(const StripeLayout& layout, uint32_t available);
  bool add_sources(uint32_t k, std::span<const uint32_t> available);
  Result<std::vector<Buffer>> rebuild(const Codec& codec, std::span<const Buffer> fetched) const;

  ByteRange range_;
  std::vector<CellPiece> pieces_;
  std::vector<ShardRead> reads_;
  std::vector<uint32_t> missing_;
  std::vector<uint32_t> sources_;  // k shards that `missing_` is decoded from; all are in reads_
  ByteRange rebuilt_;              // of the shards in missing_
};

}  // namespace dogfs::ec
