#include "core/namespace/schema.h"

#include <algorithm>
#include <tuple>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::metadata {
namespace {

constexpr uint8_t kRowFormat = 2;
constexpr uint8_t kDurableBit = 1;
constexpr uint8_t kSharedBit = 8;  // beside a block's state
// What follows in a directory row.
constexpr uint8_t kPolicyBit = 1;
constexpr uint8_t kQuotaBytesBit = 2;
constexpr uint8_t kQuotaEntriesBit = 4;
constexpr uint8_t kAttributesBit = 8;
constexpr uint8_t kDirectoryBits = 15;
// The first byte of a dentry.
enum class Link : uint8_t { kDirectory = 1, kFileAtHome = 2, kFileElsewhere = 3 };
constexpr size_t kIdBytes = 8;

// In the byte of a file row that holds its state.
constexpr uint8_t kFileStateBits = 3;
constexpr uint8_t kFileLeaseBit = 4;    // client and epoch follow
constexpr uint8_t kFileContentBit = 8;  // the bytes themselves stand instead of extents
constexpr uint8_t kFileAttributesBit = 16;
constexpr uint8_t kFileChangesBit = 32;
constexpr uint8_t kFileHeadMax = 63;
// Which attributes follow.
constexpr uint8_t kOwnerBit = 1;
constexpr uint8_t kGroupBit = 2;
constexpr uint8_t kModeBit = 4;
constexpr uint8_t kAccessedBit = 8;
constexpr uint8_t kLabelsBit = 16;
constexpr uint8_t kAttributeBits = 31;
constexpr uint16_t kModeMax = 07777;

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
    case Tag::kFile:
    case Tag::kReferrer: return tail.size() == kIdBytes;
    case Tag::kNode: return tail.size() == sizeof(NodeId::rep);
    case Tag::kOutbox: return tail.size() == 1 + kIdBytes && tail[0] >= 1 && tail[0] <= 3;
    case Tag::kSession: return tail.size() == kIdBytes || tail.size() == 2 * kIdBytes;
  }
  return false;
}

// --- Rows ---

bool label_before(const Label& a, const Label& b) {
  return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
}

// LEB128, the shortest form only: small numbers are what most rows hold.
void put_number(Encoder& out, uint64_t x) {
  for (; x >= 0x80; x >>= 7) out.u8(static_cast<uint8_t>(x | 0x80));
  out.u8(static_cast<uint8_t>(x));
}

// Eight bytes fixed are five or six when slot, incarnation and counter stand apart.
template <class Id>
void put_id(Encoder& out, Id id) {
  out.u16(slot_of(id).value);
  put_number(out, incarnation_of(id).value);
  put_number(out, counter_of(id));
}

void put_text(Encoder& out, std::string_view text) {
  put_number(out, text.size());
  out.raw(text);
}

void put_attributes(Encoder& out, const InodeAttributes& attributes) {
  out.u8(static_cast<uint8_t>(
      (attributes.owner.empty() ? 0 : kOwnerBit) | (attributes.group.empty() ? 0 : kGroupBit) |
      (attributes.mode ? kModeBit : 0) | (attributes.accessed ? kAccessedBit : 0) |
      (attributes.labels.empty() ? 0 : kLabelsBit)));
  if (!attributes.owner.empty()) put_text(out, attributes.owner);
  if (!attributes.group.empty()) put_text(out, attributes.group);
  if (attributes.mode) out.u16(*attributes.mode);
  if (attributes.accessed) out.i64(attributes.accessed->nanoseconds);
  if (attributes.labels.empty()) return;
  put_number(out, attributes.labels.size());
  for (const Label& label : attributes.labels) {
    out.u8(static_cast<uint8_t>(label.kind));
    put_text(out, label.name);
    put_text(out, label.value);
  }
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
  template <class Id>
  Id id() {
    return id_in<Id>(Slot(in_.u16()));
  }
  template <class Id>
  Id id_in(Slot slot) {
    const auto incarnation = number_up_to((1u << kIncarnationBits) - 1);
    const auto counter = number_up_to((uint64_t{1} << kCounterBits) - 1);
    return compose_id<Id>(slot, Incarnation(static_cast<uint16_t>(incarnation)), counter);
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
  std::string text(size_t least, size_t most) {
    const uint64_t size = number_up_to(most);
    if (size < least) bad_ = true;
    return std::string(bad_ ? std::string_view() : in_.raw(size));
  }
  // Those whose bit is set: none of them can be what an absent one stands for.
  InodeAttributes attributes_present() {
    InodeAttributes out;
    const uint8_t bits = in_.u8();
    if (bits == 0 || bits > kAttributeBits) bad_ = true;
    if (bits & kOwnerBit) out.owner = text(1, limits::kUserNameBytesMax);
    if (bits & kGroupBit) out.group = text(1, limits::kUserNameBytesMax);
    if (bits & kModeBit) out.mode = in_.u16();
    if (out.mode.value_or(0) > kModeMax) bad_ = true;
    if (bits & kAccessedBit) out.accessed = WallTime{in_.i64()};
    if (bits & kLabelsBit) read_labels(out);
    return out;
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
  void read_labels(InodeAttributes& into) {
    const uint64_t count = number_up_to(limits::kLabelsMax);
    if (count == 0) bad_ = true;
    for (uint64_t i = 0; i < count && good(); ++i) {
      Label label{.kind = choice(LabelKind::kXattr, LabelKind::kTag), .name = {}, .value = {}};
      label.name = text(1, limits::kLabelNameBytesMax);
      label.value = text(0, limits::kLabelsBytesMax);
      if (i > 0 && !label_before(into.labels.back(), label)) bad_ = true;
      into.labels.push_back(std::move(label));
    }
  }

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
std::string referrer(BlockId block, InodeId file) {
  return std::move(key_of(block.value, Tag::kReferrer).key(file)).take();
}
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

uint64_t FileRow::length() const {
  return extents.empty() ? content.size() : extents.back().file_offset + extents.back().length;
}

uint32_t BlockRow::durable_shards() const {
  return static_cast<uint32_t>(std::ranges::count(shards, true, &ShardRow::durable));
}

uint64_t BlockRow::placed_bytes() const {
  const uint64_t k = policy.data_shards();
  const auto unplaced = std::ranges::count(shards, NodeId(0), &ShardRow::node);
  return (length + k - 1) / k * (shards.size() - static_cast<uint64_t>(unplaced));
}

std::string encode(const DirectoryRow& directory) {
  const bool labelled = directory.attributes != InodeAttributes();
  Encoder out = row();
  out.u8(static_cast<uint8_t>(
      (directory.policy ? kPolicyBit : 0) | (directory.quota.bytes ? kQuotaBytesBit : 0) |
      (directory.quota.entries ? kQuotaEntriesBit : 0) | (labelled ? kAttributesBit : 0)));
  put_id(out, directory.parent);
  out.i64(directory.modified.nanoseconds);
  if (directory.policy) out.u16(directory.policy->code());
  if (directory.quota.bytes) put_number(out, *directory.quota.bytes);
  if (directory.quota.entries) put_number(out, *directory.quota.entries);
  if (labelled) put_attributes(out, directory.attributes);
  return std::move(out).take();
}

template <>
Result<DirectoryRow> decode(std::string_view bytes) {
  Reader in(bytes);
  DirectoryRow row;
  const uint8_t head = in.plain().u8();
  if (head > kDirectoryBits) in.refuse();
  row.parent = in.id<InodeId>();
  row.modified.nanoseconds = in.plain().i64();
  if (head & kPolicyBit) row.policy = in.policy();
  if (head & kQuotaBytesBit) row.quota.bytes = in.number();
  if (head & kQuotaEntriesBit) row.quota.entries = in.number();
  if (head & kAttributesBit) row.attributes = in.attributes_present();
  return in.finish(std::move(row), "directory");
}

namespace {

// The file takes the slot of its home.
bool at_home(const DentryRow& dentry, InodeId directory) {
  return dentry.home == directory && slot_of(dentry.id) == slot_of(directory);
}

}  // namespace

std::string encode(const DentryRow& dentry, InodeId directory) {
  Encoder out = row();
  if (dentry.kind == EntryKind::kDirectory) {
    out.u8(static_cast<uint8_t>(Link::kDirectory));
    put_id(out, dentry.id);
  } else if (at_home(dentry, directory)) {
    out.u8(static_cast<uint8_t>(Link::kFileAtHome));
    put_number(out, incarnation_of(dentry.id).value);
    put_number(out, counter_of(dentry.id));
  } else {
    out.u8(static_cast<uint8_t>(Link::kFileElsewhere));
    put_id(out, dentry.id);
    put_id(out, dentry.home);
  }
  return std::move(out).take();
}

Result<DentryRow> decode_dentry(std::string_view bytes, InodeId directory) {
  Reader in(bytes);
  DentryRow row;
  const Link link = in.choice(Link::kDirectory, Link::kFileElsewhere);
  row.kind = link == Link::kDirectory ? EntryKind::kDirectory : EntryKind::kFile;
  if (link == Link::kFileAtHome) {
    row.id = in.id_in<InodeId>(slot_of(directory));
    row.home = directory;
  } else {
    row.id = in.id<InodeId>();
    if (link == Link::kFileElsewhere) row.home = in.id<InodeId>();
    if (link == Link::kFileElsewhere && at_home(row, directory)) in.refuse();
  }
  return in.finish(row, "dentry");
}

// The state comes first: peek_file_state() relies on it.
std::string encode(const FileRow& file) {
  CHECK(file.extents.empty() || file.content.empty(), "a file of blocks and of bytes");
  const bool labelled = file.attributes != InodeAttributes();
  const bool leased = file.client.value != 0 || file.epoch.value != 0;
  Encoder out = row();
  out.u8(static_cast<uint8_t>(static_cast<uint8_t>(file.state) | (leased ? kFileLeaseBit : 0) |
                              (file.content.empty() ? 0 : kFileContentBit) |
                              (labelled ? kFileAttributesBit : 0) |
                              (file.changes == 0 ? 0 : kFileChangesBit)));
  out.u16(file.policy.code()).i64(file.modified.nanoseconds);
  if (leased) {
    put_number(out, file.client.value);
    put_number(out, file.epoch.value);
  }
  if (file.changes > 0) put_number(out, file.changes);
  if (labelled) put_attributes(out, file.attributes);
  if (!file.content.empty()) {
    put_text(out, file.content);
    return std::move(out).take();
  }
  put_number(out, file.extents.size());
  for (const Extent& extent : file.extents) {
    put_number(out, extent.length);
    put_id(out, extent.block);
    put_number(out, extent.block_offset);
  }
  return std::move(out).take();
}

namespace {

void read_extents(Reader& in, FileRow& row) {
  const uint64_t count = in.number_up_to(limits::kFileBlocksMax);
  // Offsets are not stored: extents follow each other from 0.
  uint64_t offset = 0;
  for (uint64_t i = 0; i < count && in.good(); ++i) {
    Extent extent;
    extent.file_offset = offset;
    extent.length = in.number_up_to(limits::kBlockBytesMax);
    extent.block = in.id<BlockId>();
    extent.block_offset = in.number_up_to(limits::kBlockBytesMax);
    offset += extent.length;
    row.extents.push_back(extent);
  }
}

}  // namespace

template <>
Result<FileRow> decode(std::string_view bytes) {
  Reader in(bytes);
  FileRow row;
  const uint8_t head = in.plain().u8();
  const auto state = static_cast<FileState>(head & kFileStateBits);
  if (state < FileState::kUpload || head > kFileHeadMax) {
    in.refuse();
  } else {
    row.state = state;
  }
  row.policy = in.policy();
  row.modified.nanoseconds = in.plain().i64();
  if (head & kFileLeaseBit) {
    row.client = ClientId(in.number());
    row.epoch = Epoch(in.number());
    if (!row.client && !row.epoch) in.refuse();
  }
  if (head & kFileChangesBit) row.changes = in.number();
  if ((head & kFileChangesBit) != 0 && row.changes == 0) in.refuse();
  if (head & kFileAttributesBit) row.attributes = in.attributes_present();
  if ((head & kFileContentBit) != 0) {
    row.content = in.text(1, limits::kInlineBytesMax);
  } else {
    read_extents(in, row);
  }
  return in.finish(std::move(row), "file");
}

FileState peek_file_state(std::string_view bytes) {
  return static_cast<FileState>(bytes[1] & kFileStateBits);
}

std::string encode(const BlockRow& block) {
  CHECK(block.shards.size() == block.policy.width());
  Encoder out = row();
  out.u8(static_cast<uint8_t>(static_cast<uint8_t>(block.state) | (block.shared ? kSharedBit : 0)));
  out.u16(block.policy.code());
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
  const uint8_t first = in.plain().u8();
  row.shared = (first & kSharedBit) != 0;
  const auto state = static_cast<BlockState>(first & ~kSharedBit);
  if (state < BlockState::kOpen || state > BlockState::kOrdered)
    in.refuse();
  else
    row.state = state;
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

std::string encode(const ReferrerRow& referrer) {
  Encoder out = row();
  put_id(out, referrer.home);
  return std::move(out).take();
}

template <>
Result<ReferrerRow> decode(std::string_view bytes) {
  Reader in(bytes);
  ReferrerRow row;
  row.home = in.id<InodeId>();
  return in.finish(row, "referrer");
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

// The state of an import, 0 without one. The last has its steps behind the number of rows.
constexpr uint8_t kImporting = 1;
constexpr uint8_t kChecking = 2;

std::string encode(const SettingsRow& row_of_cluster) {
  const ClusterSettings& settings = row_of_cluster.settings;
  Encoder out = row();
  out.id(settings.cluster).id(settings.incarnation).u32(settings.cluster_version);
  out.u16(settings.policy.code()).u64(settings.block_bytes).u32(settings.cell_bytes);
  out.u32(settings.inline_bytes).u64(settings.trash_seconds).u64(row_of_cluster.trash_clock);
  const uint64_t checked = row_of_cluster.checked_steps;
  out.u8(!row_of_cluster.importing ? 0 : checked == 0 ? kImporting : kChecking);
  out.u64(row_of_cluster.imported);
  if (row_of_cluster.importing && checked > 0) out.u64(checked);
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
  row.settings.inline_bytes = in.plain().u32();
  row.settings.trash_seconds = in.plain().u64();
  row.trash_clock = in.plain().u64();
  const uint8_t importing = in.plain().u8();
  if (importing > kChecking) in.refuse();
  row.importing = importing != 0;
  row.imported = in.plain().u64();
  if (importing == kChecking) row.checked_steps = in.plain().u64();
  if (importing == kChecking && row.checked_steps == 0) in.refuse();
  row.next_client = in.plain().u64();
  row.next_node = in.plain().u32();
  return in.finish(row, "settings");
}

}  // namespace dogfs::metadata
