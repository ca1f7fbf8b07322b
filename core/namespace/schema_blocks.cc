// Rows of blocks, and what those of appends carry beside.
#include <algorithm>

#include "core/base/check.h"
#include "core/namespace/row_coding.h"
#include "core/namespace/schema.h"

namespace dogfs::metadata {
namespace {

constexpr uint8_t kDurableBit = 1;
// Beside a block's state.
constexpr uint8_t kSharedBit = 8;
constexpr uint8_t kAppendBit = 16;
constexpr uint8_t kCellBit = 32;
constexpr uint8_t kLostBit = 64;
constexpr uint8_t kPackBit = 128;
constexpr uint8_t kBlockStateBits = 7;
// Instead of a state, which then follows in a byte of its own, with what is said of the content.
constexpr uint8_t kContentState = 7;
constexpr uint8_t kKnownBit = 8;
constexpr uint8_t kDisownedBit = 16;
constexpr uint8_t kContentBits = 31;

void put_shard(Encoder& out, const ShardRow& shard) {
  put_number(out, uint64_t{shard.node.value} << 1 | (shard.durable ? kDurableBit : 0));
  if (shard.durable) out.u32(shard.checksum);
}

ShardRow read_shard(Reader& in) {
  ShardRow shard;
  const uint64_t head = in.number_up_to(uint64_t{UINT32_MAX} << 1 | kDurableBit);
  shard.node = NodeId(static_cast<uint32_t>(head >> 1));
  shard.durable = (head & kDurableBit) != 0;
  if (shard.durable) shard.checksum = in.plain().u32();
  return shard;
}

// Behind the shards of a block that lost some: which, and what they must be.
void put_lost(Encoder& out, const std::vector<ShardRow>& shards) {
  uint64_t mask = 0;
  for (size_t i = 0; i < shards.size(); ++i) mask |= uint64_t{shards[i].lost} << i;
  put_number(out, mask);
  for (const ShardRow& shard : shards)
    if (shard.lost) out.u32(shard.checksum);
}

void read_lost(Reader& in, std::vector<ShardRow>& shards) {
  const uint64_t mask = in.number();
  if (mask == 0 || mask >> shards.size() != 0) in.refuse();
  for (size_t i = 0; i < shards.size() && in.good(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    if (shards[i].durable || !shards[i].node) in.refuse();
    shards[i].lost = true;
    shards[i].checksum = in.plain().u32();
  }
}

uint32_t read_small(Reader& in, uint32_t most = UINT32_MAX) {
  return static_cast<uint32_t>(in.number_up_to(most));
}

// --- What blocks of appends carry ---

void put_append(Encoder& out, const AppendRow& append) {
  put_id(out, append.file.home);
  put_id(out, append.file.file);
  put_number(out, append.ordinal);
  put_id(out, append.previous);
  put_number(out, append.capacity);
  out.u16(append.target.code());
  put_number(out, append.target_cell_bytes);
  put_number(out, append.epoch.value);
  out.u64(append.activation);
  out.u8(append.begun ? 1 : 0);
  put_number(out, append.claimed);
  out.u8(append.next ? 1 : 0);
  if (append.next) {
    CHECK(append.next->nodes.size() == append.target.width());
    put_number(out, append.next->generation.value);
    out.u64(append.next->attempt);
    for (const NodeId node : append.next->nodes) put_number(out, node.value);
  }
  put_number(out, append.former.size());
  for (const FormerRow& former : append.former) {
    put_number(out, former.generation.value);
    out.u8(former.ordered ? 1 : 0);
    put_number(out, former.shards.size());
    for (const ShardRow& shard : former.shards) put_shard(out, shard);
  }
}

bool read_flag(Reader& in) {
  const uint8_t flag = in.plain().u8();
  if (flag > 1) in.refuse();
  return flag == 1;
}

FormerRow read_former(Reader& in) {
  FormerRow former;
  former.generation = Generation(in.number());
  former.ordered = read_flag(in);
  const uint32_t count = read_small(in, limits::kShardsMax);
  for (uint32_t i = 0; i < count && in.good(); ++i) former.shards.push_back(read_shard(in));
  return former;
}

AppendRow read_append(Reader& in) {
  AppendRow append;
  append.file.home = in.id<InodeId>();
  append.file.file = in.id<InodeId>();
  append.ordinal = read_small(in);
  append.previous = in.id<BlockId>();
  append.capacity = in.number_up_to(limits::kBlockBytesMax);
  append.target = in.policy();
  append.target_cell_bytes = read_small(in, limits::kCellBytesMax);
  append.epoch = Epoch(in.number());
  append.activation = in.plain().u64();
  append.begun = read_flag(in);
  append.claimed = in.number_up_to(limits::kBlockBytesMax);
  if (read_flag(in)) {
    NextRow& next = append.next.emplace();
    next.generation = Generation(in.number());
    next.attempt = in.plain().u64();
    for (uint32_t i = 0; i < append.target.width() && in.good(); ++i) {
      next.nodes.emplace_back(read_small(in));
    }
  }
  const uint32_t formers = read_small(in, limits::kFormerGenerationsMax + 1);
  for (uint32_t i = 0; i < formers && in.good(); ++i) append.former.push_back(read_former(in));
  return append;
}

// Shards of that policy that are placed, as far as is known: each holds a k-th of the bytes.
template <class Shards>
uint64_t bytes_placed(const Shards& shards, uint64_t length, uint64_t k) {
  const auto unplaced = std::ranges::count(shards, NodeId(0), &ShardRow::node);
  return (length + k - 1) / k * (shards.size() - static_cast<uint64_t>(unplaced));
}

}  // namespace

uint32_t BlockRow::durable_shards() const {
  return static_cast<uint32_t>(std::ranges::count(shards, true, &ShardRow::durable));
}

uint32_t BlockRow::lost_shards() const {
  return static_cast<uint32_t>(std::ranges::count(shards, true, &ShardRow::lost));
}

uint64_t BlockRow::placed_bytes() const {
  return bytes_placed(shards, length, policy.data_shards());
}

uint64_t BlockRow::former_bytes() const {
  if (!append) return 0;
  uint64_t bytes = 0;
  for (const FormerRow& former : append->former) {
    const bool log = former.generation == kLogGeneration;
    bytes += bytes_placed(former.shards, length, log ? 1 : append->target.data_shards());
  }
  return bytes;
}

std::string encode(const BlockRow& block) {
  CHECK(block.shards.size() == block.policy.width());
  CHECK(block.digest || !(block.known_in || block.disowned));
  Encoder out = begin_row();
  const auto state = static_cast<uint8_t>(block.state);
  out.u8(static_cast<uint8_t>(
      (block.digest ? kContentState : state) | (block.shared ? kSharedBit : 0) |
      (block.append ? kAppendBit : 0) | (block.pack ? kPackBit : 0) |
      (block.lost_shards() > 0 ? kLostBit : 0) | (block.cell_bytes == 0 ? 0 : kCellBit)));
  if (block.digest) {
    out.u8(static_cast<uint8_t>(state | (block.known_in ? kKnownBit : 0) |
                                (block.disowned ? kDisownedBit : 0)));
  }
  out.u16(block.policy.code());
  put_number(out, block.generation.value);
  put_number(out, block.placement_version.value);
  put_number(out, block.length);
  if (block.cell_bytes != 0) put_number(out, block.cell_bytes);
  for (const ShardRow& shard : block.shards) put_shard(out, shard);
  if (block.lost_shards() > 0) put_lost(out, block.shards);
  if (block.append) put_append(out, *block.append);
  if (block.digest) out.raw(block.digest->view());
  if (block.known_in) put_id(out, block.known_in);
  return std::move(out).take();
}

template <>
Result<BlockRow> decode(std::string_view bytes) {
  Reader in(bytes);
  BlockRow row;
  const uint8_t first = in.plain().u8();
  row.shared = (first & kSharedBit) != 0;
  row.pack = (first & kPackBit) != 0;
  const bool content = (first & kBlockStateBits) == kContentState;
  const uint8_t second = content ? in.plain().u8() : first & kBlockStateBits;
  if (content && second > kContentBits) in.refuse();
  const auto state = static_cast<BlockState>(second & kBlockStateBits);
  if (state < BlockState::kOpen || state > BlockState::kSealing) {
    in.refuse();
  } else {
    row.state = state;
  }
  row.policy = in.policy();
  row.generation = Generation(in.number());
  row.placement_version = PlacementVersion(in.number());
  row.length = in.number_up_to(limits::kBlockBytesMax);
  if ((first & kCellBit) != 0) {
    row.cell_bytes = read_small(in, limits::kCellBytesMax);
    if (row.cell_bytes == 0) in.refuse();
  }
  row.shards.resize(row.policy.width());
  for (ShardRow& shard : row.shards) shard = read_shard(in);
  if ((first & kLostBit) != 0) read_lost(in, row.shards);
  if ((first & kAppendBit) != 0) row.append = read_append(in);
  if (content) row.digest = Sha256Digest::from_bytes(in.plain().raw(Sha256Digest::kBytes));
  if ((second & kKnownBit) != 0) row.known_in = in.id<InodeId>();
  if ((second & kKnownBit) != 0 && !row.known_in) in.refuse();
  row.disowned = content && (second & kDisownedBit) != 0;
  return in.finish(std::move(row), "block");
}

bool peek_append(std::string_view bytes) { return (bytes[1] & kAppendBit) != 0; }
bool peek_pack_block(std::string_view bytes) { return (bytes[1] & kPackBit) != 0; }

}  // namespace dogfs::metadata
