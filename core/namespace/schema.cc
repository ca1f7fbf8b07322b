#include "core/namespace/schema.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::metadata {
namespace {

constexpr uint8_t kRowFormat = 1;
constexpr uint8_t kDurableBit = 1;
constexpr size_t kIdBytes = 8;

// --- Keys ---

Encoder key_of(uint64_t id, Tag tag) {
  Encoder out;
  out.key(InodeId(id)).u8(static_cast<uint8_t>(tag));
  return out;
}

// The id that stands for a slot itself: counters of inodes and blocks start above 0.
uint64_t slot_id(Slot slot) { return compose_id<InodeId>(slot, Incarnation(0), 0).value; }

uint64_t number_at(std::string_view tail, size_t offset) {
  return Decoder(tail.substr(std::min(offset, tail.size()))).key<InodeId>().value;
}

bool valid_tail(Tag tag, std::string_view tail) {
  switch (tag) {
    case Tag::kDirectory:
    case Tag::kBlock:
    case Tag::kSlot:
    case Tag::kSettings: return tail.empty();
    case Tag::kDentry: return !tail.empty() && tail.size() <= limits::kNameBytesMax;
    case Tag::kFile: return tail.size() == kIdBytes;
    case Tag::kNode: return tail.size() == sizeof(NodeId::rep);
    case Tag::kOutbox: return tail.size() == 1 + kIdBytes && tail[0] >= 1 && tail[0] <= 3;
    case Tag::kSession: return tail.size() == kIdBytes || tail.size() == 2 * kIdBytes;
  }
  return false;
}

// --- Rows ---

// LEB128, the shortest form only: small numbers are what most rows hold.
void put_number(Encoder& out, uint64_t x) {
  for (; x >= 0x80; x >>= 7) out.u8(static_cast<uint8_t>(x | 0x80));
  out.u8(static_cast<uint8_t>(x));
}

// Reads fields of one row; bad() once anything was out of place.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : in_(bytes), size_(bytes.size()) { format_ = in_.u8(); }

  uint64_t number() {
    uint64_t x = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = in_.u8();
      if (shift == 63 && byte > 1) break;
      x |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) break;  // not the shortest form
        return x;
      }
    }
    bad_ = true;
    return 0;
  }
  uint64_t number_up_to(uint64_t most) {
    const uint64_t x = number();
    if (x > most) bad_ = true;
    return bad_ ? 0 : x;
  }
  template <class Enum>
  Enum choice(Enum first, Enum last) {
    const uint8_t x = in_.u8();
    if (x < static_cast<uint8_t>(first) || x > static_cast<uint8_t>(last)) bad_ = true;
    return bad_ ? first : static_cast<Enum>(x);
  }
  placement::Policy policy() {
    const auto policy = placement::Policy::from_code(in_.u16());
    if (!policy) bad_ = true;
    return policy.value_or(placement::Policy());
  }
  Decoder& plain() { return in_; }
  bool good() const { return !bad_ && in_.ok(); }
  void refuse() { bad_ = true; }

  template <class Row>
  Result<Row> finish(Row row, std::string_view kind) const {
    if (size_ > 0 && format_ != kRowFormat) {
      return fail(Code::kUnsupported, "{} row has format {}, this build knows {}", kind, format_,
                  kRowFormat);
    }
    if (bad_ || !in_.at_end()) {
      return fail(Code::kCorrupt, "{} row of {} bytes is damaged", kind, size_);
    }
    return row;
  }

 private:
  Decoder in_;
  size_t size_;
  uint8_t format_ = 0;
  bool bad_ = false;
};

Encoder row() {
  Encoder out;
  out.u8(kRowFormat);
  return out;
}

}  // namespace

namespace key {

std::string directory(InodeId directory) {
  return std::move(key_of(directory.value, Tag::kDirectory)).take();
}
std::string dentry(InodeId directory, std::string_view name) {
  return std::move(key_of(directory.value, Tag::kDentry).raw(name)).take();
}
std::string file(FileHandle file) {
  return std::move(key_of(file.home.value, Tag::kFile).key(file.file)).take();
}
std::string block(BlockId block) { return key_of(block.value, Tag::kBlock).take(); }
std::string slot(Slot slot) { return key_of(slot_id(slot), Tag::kSlot).take(); }

Slot session_slot(ClientId client) { return Slot(static_cast<uint16_t>(client.value)); }

std::string session(ClientId client) {
  return std::move(key_of(slot_id(session_slot(client)), Tag::kSession).key(client)).take();
}
std::string result(ClientId client, RequestId request) {
  return session(client) + Encoder().key(request).bytes();
}
std::string outbox(Slot slot, OutboxKind kind, uint64_t id) {
  Encoder out = key_of(slot_id(slot), Tag::kOutbox);
  out.u8(static_cast<uint8_t>(kind)).key(InodeId(id));
  return std::move(out).take();
}
std::string settings() { return key_of(slot_id(Slot(0)), Tag::kSettings).take(); }
std::string node(NodeId node) {
  return std::move(key_of(slot_id(Slot(0)), Tag::kNode).key(node)).take();
}

std::optional<Parsed> parse(std::string_view key) {
  if (key.size() <= kIdBytes) return std::nullopt;
  Decoder in(key);
  Parsed parsed;
  parsed.id = in.key<InodeId>().value;
  parsed.tag = static_cast<Tag>(in.u8());
  parsed.tail = key.substr(kIdBytes + 1);
  if (!valid_tail(parsed.tag, parsed.tail)) return std::nullopt;
  return parsed;
}

InodeId file_of(std::string_view tail) { return InodeId(number_at(tail, 0)); }
OutboxKind outbox_kind_of(std::string_view tail) { return static_cast<OutboxKind>(tail[0]); }
uint64_t outbox_id_of(std::string_view tail) { return number_at(tail, 1); }
ClientId client_of(std::string_view tail) { return ClientId(number_at(tail, 0)); }
RequestId request_of(std::string_view tail) {
  return RequestId(tail.size() == kIdBytes ? 0 : number_at(tail, kIdBytes));
}

}  // namespace key

uint32_t BlockRow::durable_shards() const {
  return static_cast<uint32_t>(std::ranges::count(shards, true, &ShardRow::durable));
}

uint64_t BlockRow::placed_bytes() const {
  const uint64_t k = policy.data_shards();
  const auto unplaced = std::ranges::count(shards, NodeId(0), &ShardRow::node);
  return (length + k - 1) / k * (shards.size() - static_cast<uint64_t>(unplaced));
}

std::string encode(const DirectoryRow& directory) {
  Encoder out = row();
  out.id(directory.parent).u16(directory.policy ? directory.policy->code() : 0);
  out.i64(directory.modified.nanoseconds);
  return std::move(out).take();
}

template <>
Result<DirectoryRow> decode(std::string_view bytes) {
  Reader in(bytes);
  DirectoryRow row;
  row.parent = in.plain().id<InodeId>();
  if (const uint16_t code = in.plain().u16(); code != 0) {
    const auto policy = placement::Policy::from_code(code);
    if (policy) row.policy = *policy;
    if (!policy) in.refuse();
  }
  row.modified.nanoseconds = in.plain().i64();
  return in.finish(row, "directory");
}

std::string encode(const DentryRow& dentry) {
  Encoder out = row();
  out.u8(static_cast<uint8_t>(dentry.kind)).id(dentry.id);
  if (dentry.kind == EntryKind::kFile) out.id(dentry.home);
  return std::move(out).take();
}

template <>
Result<DentryRow> decode(std::string_view bytes) {
  Reader in(bytes);
  DentryRow row;
  row.kind = in.choice(EntryKind::kDirectory, EntryKind::kFile);
  row.id = in.plain().id<InodeId>();
  if (row.kind == EntryKind::kFile) row.home = in.plain().id<InodeId>();
  return in.finish(row, "dentry");
}

// The state comes first: peek_file_state() relies on it.
std::string encode(const FileRow& file) {
  Encoder out = row();
  out.u8(static_cast<uint8_t>(file.state)).u16(file.policy.code());
  out.i64(file.modified.nanoseconds);
  put_number(out, file.length);
  put_number(out, file.client.value);
  put_number(out, file.epoch.value);
  put_number(out, file.extents.size());
  for (const Extent& extent : file.extents) {
    put_number(out, extent.length);
    out.id(extent.block);
    put_number(out, extent.block_offset);
  }
  return std::move(out).take();
}

template <>
Result<FileRow> decode(std::string_view bytes) {
  Reader in(bytes);
  FileRow row;
  row.state = in.choice(FileState::kUpload, FileState::kDropped);
  row.policy = in.policy();
  row.modified.nanoseconds = in.plain().i64();
  row.length = in.number();
  row.client = ClientId(in.number());
  row.epoch = Epoch(in.number());
  const uint64_t count = in.number_up_to(limits::kFileBlocksMax);
  // Offsets are not stored: extents follow each other from 0.
  uint64_t offset = 0;
  for (uint64_t i = 0; i < count && in.good(); ++i) {
    Extent extent;
    extent.file_offset = offset;
    extent.length = in.number_up_to(limits::kBlockBytesMax);
    extent.block = in.plain().id<BlockId>();
    extent.block_offset = in.number_up_to(limits::kBlockBytesMax);
    offset += extent.length;
    row.extents.push_back(extent);
  }
  return in.finish(std::move(row), "file");
}

FileState peek_file_state(std::string_view bytes) { return static_cast<FileState>(bytes[1]); }

std::string encode(const BlockRow& block) {
  CHECK(block.shards.size() == block.policy.width());
  Encoder out = row();
  out.u8(static_cast<uint8_t>(block.state)).u16(block.policy.code());
  put_number(out, block.generation.value);
  put_number(out, block.placement_version.value);
  put_number(out, block.length);
  for (const ShardRow& shard : block.shards) {
    put_number(out, uint64_t{shard.node.value} << 1 | (shard.durable ? kDurableBit : 0));
    if (shard.durable) out.u32(shard.checksum);
  }
  return std::move(out).take();
}

template <>
Result<BlockRow> decode(std::string_view bytes) {
  Reader in(bytes);
  BlockRow row;
  row.state = in.choice(BlockState::kOpen, BlockState::kOrdered);
  row.policy = in.policy();
  row.generation = Generation(in.number());
  row.placement_version = PlacementVersion(in.number());
  row.length = in.number_up_to(limits::kBlockBytesMax);
  row.shards.resize(row.policy.width());
  for (ShardRow& shard : row.shards) {
    const uint64_t head = in.number_up_to(uint64_t{UINT32_MAX} << 1 | kDurableBit);
    shard.node = NodeId(static_cast<uint32_t>(head >> 1));
    shard.durable = (head & kDurableBit) != 0;
    if (shard.durable) shard.checksum = in.plain().u32();
  }
  return in.finish(std::move(row), "block");
}

std::string encode(const SessionRow& session) {
  Encoder out = row();
  out.id(session.epoch).id(session.acknowledged_below).u32(session.results);
  return std::move(out).take();
}

template <>
Result<SessionRow> decode(std::string_view bytes) {
  Reader in(bytes);
  SessionRow row;
  row.epoch = in.plain().id<Epoch>();
  row.acknowledged_below = in.plain().id<RequestId>();
  row.results = in.plain().u32();
  return in.finish(row, "session");
}

std::string encode(const OutboxRow& outbox) {
  Encoder out = row();
  put_number(out, outbox.since.value);
  put_number(out, outbox.home.value);
  return std::move(out).take();
}

template <>
Result<OutboxRow> decode(std::string_view bytes) {
  Reader in(bytes);
  OutboxRow row;
  row.since = LogIndex(in.number());
  row.home = InodeId(in.number());
  return in.finish(row, "outbox");
}

std::string encode(const SlotRow& slot) {
  Encoder out = row();
  put_number(out, slot.next_inode);
  put_number(out, slot.next_block);
  put_number(out, slot.directories_made);
  return std::move(out).take();
}

template <>
Result<SlotRow> decode(std::string_view bytes) {
  Reader in(bytes);
  SlotRow row;
  row.next_inode = in.number();
  row.next_block = in.number();
  row.directories_made = in.number();
  return in.finish(row, "slot");
}

std::string encode(const SettingsRow& row_of_cluster) {
  const ClusterSettings& settings = row_of_cluster.settings;
  Encoder out = row();
  out.id(settings.cluster).id(settings.incarnation).u32(settings.cluster_version);
  out.u16(settings.policy.code()).u64(settings.block_bytes).u32(settings.cell_bytes);
  out.u64(row_of_cluster.next_client).u32(row_of_cluster.next_node);
  return std::move(out).take();
}

template <>
Result<SettingsRow> decode(std::string_view bytes) {
  Reader in(bytes);
  SettingsRow row;
  row.settings.cluster = in.plain().id<ClusterId>();
  row.settings.incarnation = in.plain().id<Incarnation>();
  row.settings.cluster_version = in.plain().u32();
  row.settings.policy = in.policy();
  row.settings.block_bytes = in.plain().u64();
  row.settings.cell_bytes = in.plain().u32();
  row.next_client = in.plain().u64();
  row.next_node = in.plain().u32();
  return in.finish(row, "settings");
}

}  // namespace dogfs::metadata
