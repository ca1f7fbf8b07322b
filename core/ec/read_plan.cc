#include "core/ec/read_plan.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs::ec {
namespace {

// A set of shards; kShardsMax of them fit a word.
Result<uint32_t> shard_set(std::span<const uint32_t> shards, uint32_t count) {
  static_assert(limits::kShardsMax <= 32);
  uint32_t set = 0;
  for (const uint32_t shard : shards) {
    if (shard >= count || (set >> shard & 1))
      return fail(Code::kInvalid, "shard {} is named twice or is not one of {}", shard, count);
    set |= uint32_t{1} << shard;
  }
  return set;
}

bool has(uint32_t set, uint32_t shard) { return set >> shard & 1; }

const ShardRead& read_of(const std::vector<ShardRead>& reads, uint32_t shard) {
  const auto it = std::ranges::find(reads, shard, &ShardRead::shard);
  CHECK(it != reads.end(), "shard {} is in no read", shard);
  return *it;
}

}  // namespace

Result<ReadPlan> ReadPlan::create(const StripeLayout& layout, ByteRange range,
                                  std::span<const uint32_t> available) {
  const StripeShape& shape = layout.shape();
  TRY(set, shard_set(available, shape.shard_count()));
  if (layout.clamp(range) != range)
    return fail(Code::kInvalid, "{} bytes at {} of a block of {}", range.length, range.offset,
                layout.block_length());
  ReadPlan plan;
  plan.range_ = range;
  plan.pieces_ = layout.pieces(range);
  if (range.empty()) return plan;
  if (shape.k == 1 && !available.empty()) {
    plan.read_replica(available.front());
    return plan;
  }
  plan.add_plain_reads(layout, set);
  if (!plan.missing_.empty() && !plan.add_sources(shape.k, available))
    return fail(Code::kUnavailable, "{} of {} shards can be read, {} are needed", available.size(),
                shape.shard_count(), shape.k);
  return plan;
}

// All shards are alike, whatever the layout calls the first.
void ReadPlan::read_replica(uint32_t shard) {
  reads_.push_back({shard, range_});
  for (CellPiece& piece : pieces_) piece.shard = shard;
}

void ReadPlan::add_plain_reads(const StripeLayout& layout, uint32_t available) {
  for (uint32_t shard = 0; shard < layout.shape().k; ++shard) {
    const ByteRange touched = layout.shard_range(shard, range_);
    if (touched.empty()) continue;
    if (has(available, shard)) {
      reads_.push_back({shard, touched});
    } else {
      missing_.push_back(shard);
      rebuilt_ = hull(rebuilt_, touched);
    }
  }
}

// Makes k of the shards cover the range that is rebuilt: those read anyway, then others. A read is
// widened rather than doubled; the gap in between is less than a cell.
bool ReadPlan::add_sources(uint32_t k, std::span<const uint32_t> available) {
  for (ShardRead& read : reads_) {
    read.range = hull(read.range, rebuilt_);
    sources_.push_back(read.shard);
  }
  for (const uint32_t shard : available) {
    if (sources_.size() == k) break;
    if (std::ranges::find(sources_, shard) != sources_.end()) continue;
    reads_.push_back({shard, rebuilt_});
    sources_.push_back(shard);
  }
  return sources_.size() == k;
}

Result<std::vector<Buffer>> ReadPlan::rebuild(const Codec& codec,
                                              std::span<const Buffer> fetched) const {
  std::vector<Buffer> out;
  if (missing_.empty()) return out;
  TRY(decoder, codec.plan_decode(sources_, missing_));
  std::vector<ByteView> inputs;
  for (const uint32_t shard : sources_) {
    const ShardRead& read = read_of(reads_, shard);
    const Buffer& bytes = fetched[static_cast<size_t>(&read - reads_.data())];
    inputs.push_back(bytes.view().subspan(rebuilt_.offset - read.range.offset, rebuilt_.length));
  }
  std::vector<MutableBuffer> rebuilt;
  std::vector<MutableBytes> outputs;
  for (size_t i = 0; i < missing_.size(); ++i)
    outputs.push_back(rebuilt.emplace_back(rebuilt_.length).span());
  decoder.decode(inputs, outputs);
  for (MutableBuffer& buffer : rebuilt) out.push_back(std::move(buffer).freeze());
  return out;
}

Result<std::vector<Buffer>> ReadPlan::assemble(const Codec& codec,
                                               std::span<const Buffer> fetched) const {
  CHECK(fetched.size() == reads_.size(), "{} buffers for {} reads", fetched.size(), reads_.size());
  for (size_t i = 0; i < reads_.size(); ++i) {
    if (fetched[i].size() != reads_[i].range.length)
      return fail(Code::kCorrupt, "shard {} gave {} bytes for {}", reads_[i].shard,
                  fetched[i].size(), reads_[i].range.length);
  }
  TRY(rebuilt, rebuild(codec, fetched));
  std::vector<Buffer> out;
  for (const CellPiece& piece : pieces_) {
    const auto lost = std::ranges::find(missing_, piece.shard);
    const bool plain = lost == missing_.end();
    const ShardRead* read = plain ? &read_of(reads_, piece.shard) : nullptr;
    const Buffer& from = plain ? fetched[static_cast<size_t>(read - reads_.data())]
                               : rebuilt[static_cast<size_t>(lost - missing_.begin())];
    const uint64_t from_offset = plain ? read->range.offset : rebuilt_.offset;
    out.push_back(from.slice(piece.shard_offset - from_offset, piece.length));
  }
  return out;
}

}  // namespace dogfs::ec
