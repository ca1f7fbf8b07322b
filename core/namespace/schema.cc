#include "core/namespace/schema.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/limits.h"
#include "core/namespace/row_coding.h"

namespace dogfs::metadata {
namespace {

// What follows in a directory row.
constexpr uint8_t kPolicyBit = 1;
constexpr uint8_t kQuotaBytesBit = 2;
constexpr uint8_t kQuotaEntriesBit = 4;
constexpr uint8_t kAttributesBit = 8;
constexpr uint8_t kBlockBytesBit = 16;
constexpr uint8_t kCellBytesBit = 32;
constexpr uint8_t kPacksBit = 64;
constexpr uint8_t kContentModeBit = 128;
// The first byte of a dentry.
enum class Link : uint8_t { kDirectory = 1, kFileAtHome = 2, kFileElsewhere = 3 };
constexpr size_t kIdBytes = 8;

// In the byte of a file row that holds its state.
constexpr uint8_t kFileStateBits = 3;
constexpr uint8_t kFileLeaseBit = 4;    // client and epoch follow
constexpr uint8_t kFileContentBit = 8;  // the bytes themselves stand before or instead of extents
constexpr uint8_t kFileAttributesBit = 16;
constexpr uint8_t kFileChangesBit = 32;
constexpr uint8_t kFileMoreBit = 64;  // another byte of bits follows
constexpr uint8_t kFileHeadMax = 127;
// In that other byte.
constexpr uint8_t kFileAppendsBit = 1;
constexpr uint8_t kFileHeadBit = 2;  // extents follow the bytes
constexpr uint8_t kFileBlockBytesBit = 4;
constexpr uint8_t kFileCellBytesBit = 8;
constexpr uint8_t kFilePackBit = 16;
constexpr uint8_t kFileCutsBit = 32;
constexpr uint8_t kFileMoreBits = 63;
// Of a referrer: the bytes that it has in the block follow.
constexpr uint8_t kPackedBytes = 1;

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
    case Tag::kKnown: return tail.size() == Sha256Digest::kBytes;
    case Tag::kNode: return tail.size() == sizeof(NodeId::rep);
    case Tag::kOutbox: return tail.size() == 1 + kIdBytes && tail[0] >= 1 && tail[0] <= 3;
    case Tag::kSession: return tail.size() == kIdBytes || tail.size() == 2 * kIdBytes;
  }
  return false;
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
std::string known(InodeId directory, const Sha256Digest& digest) {
  return std::move(key_of(directory.value, Tag::kKnown).raw(digest.view())).take();
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
Sha256Digest digest_of(std::string_view tail) {
  return Sha256Digest::from_bytes(tail).value_or(Sha256Digest());
}
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

bool FileRow::unsealed() const { return !extents.empty() && extents.back().length == 0; }

namespace {

uint32_t read_cell_bytes(Reader& in) {
  return static_cast<uint32_t>(in.number_up_to(limits::kCellBytesMax));
}

}  // namespace

std::string encode(const DirectoryRow& directory) {
  const bool labelled = directory.attributes != InodeAttributes();
  Encoder out = begin_row();
  out.u8(static_cast<uint8_t>(
      (directory.policy ? kPolicyBit : 0) | (directory.quota.bytes ? kQuotaBytesBit : 0) |
      (directory.quota.entries ? kQuotaEntriesBit : 0) | (labelled ? kAttributesBit : 0) |
      (directory.block_bytes ? kBlockBytesBit : 0) | (directory.cell_bytes ? kCellBytesBit : 0) |
      (directory.packs ? kPacksBit : 0) | (directory.content_mode ? kContentModeBit : 0)));
  put_id(out, directory.parent);
  out.i64(directory.modified.nanoseconds);
  if (directory.policy) out.u16(directory.policy->code());
  if (directory.block_bytes) put_number(out, *directory.block_bytes);
  if (directory.cell_bytes) put_number(out, *directory.cell_bytes);
  if (directory.content_mode) out.u8(static_cast<uint8_t>(*directory.content_mode));
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
  row.packs = (head & kPacksBit) != 0;
  row.parent = in.id<InodeId>();
  row.modified.nanoseconds = in.plain().i64();
  if (head & kPolicyBit) row.policy = in.policy();
  if (head & kBlockBytesBit) row.block_bytes = in.number_up_to(limits::kBlockBytesMax);
  if (head & kCellBytesBit) row.cell_bytes = read_cell_bytes(in);
  if (head & kContentModeBit) row.content_mode = in.choice(ContentMode::kNone, ContentMode::kDedup);
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
  Encoder out = begin_row();
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
  const bool labelled = file.attributes != InodeAttributes();
  const auto more = static_cast<uint8_t>(
      (file.appends == 0 ? 0 : kFileAppendsBit) | (file.block_bytes == 0 ? 0 : kFileBlockBytesBit) |
      (file.cell_bytes == 0 ? 0 : kFileCellBytesBit) | (file.pack ? kFilePackBit : 0) |
      (file.content.empty() || file.extents.empty() ? 0 : kFileHeadBit) |
      (file.cuts == 0 ? 0 : kFileCutsBit));
  const bool leased = file.client.value != 0 || file.epoch.value != 0;
  Encoder out = begin_row();
  out.u8(static_cast<uint8_t>(
      static_cast<uint8_t>(file.state) | (leased ? kFileLeaseBit : 0) |
      (file.content.empty() ? 0 : kFileContentBit) | (labelled ? kFileAttributesBit : 0) |
      (file.changes == 0 ? 0 : kFileChangesBit) | (more == 0 ? 0 : kFileMoreBit)));
  if (more != 0) out.u8(more);
  out.u16(file.policy.code()).i64(file.modified.nanoseconds);
  if (leased) {
    put_number(out, file.client.value);
    put_number(out, file.epoch.value);
  }
  if (file.changes > 0) put_number(out, file.changes);
  if (file.appends > 0) {
    put_number(out, file.appends);
    put_id(out, file.last_append);
  }
  if (file.block_bytes > 0) put_number(out, file.block_bytes);
  if (file.cell_bytes > 0) put_number(out, file.cell_bytes);
  if (file.cuts > 0) put_number(out, file.cuts);
  if (labelled) put_attributes(out, file.attributes);
  if (!file.content.empty()) {
    put_text(out, file.content);
    if (file.extents.empty()) return std::move(out).take();
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
  // Offsets are not stored: extents follow each other from where the content ends.
  uint64_t offset = row.content.size();
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
  const uint8_t more = (head & kFileMoreBit) != 0 ? in.plain().u8() : 0;
  if (((head & kFileMoreBit) != 0 && more == 0) || more > kFileMoreBits) in.refuse();
  row.policy = in.policy();
  row.modified.nanoseconds = in.plain().i64();
  if (head & kFileLeaseBit) {
    row.client = ClientId(in.number());
    row.epoch = Epoch(in.number());
    if (!row.client && !row.epoch) in.refuse();
  }
  if (head & kFileChangesBit) row.changes = in.number();
  if ((head & kFileChangesBit) != 0 && row.changes == 0) in.refuse();
  if (more & kFileAppendsBit) {
    row.appends = static_cast<uint32_t>(in.number_up_to(UINT32_MAX));
    row.last_append = in.id<BlockId>();
    if (row.appends == 0) in.refuse();
  }
  if (more & kFileBlockBytesBit) row.block_bytes = in.number_up_to(limits::kBlockBytesMax);
  if ((more & kFileBlockBytesBit) != 0 && row.block_bytes == 0) in.refuse();
  if (more & kFileCellBytesBit) row.cell_bytes = read_cell_bytes(in);
  if ((more & kFileCellBytesBit) != 0 && row.cell_bytes == 0) in.refuse();
  row.pack = (more & kFilePackBit) != 0;
  if (more & kFileCutsBit) row.cuts = in.number();
  if ((more & kFileCutsBit) != 0 && row.cuts == 0) in.refuse();
  if (head & kFileAttributesBit) row.attributes = in.attributes_present();
  const bool content = (head & kFileContentBit) != 0;
  const bool both = (more & kFileHeadBit) != 0;
  if (content) row.content = in.text(1, limits::kInlineBytesMax);
  if (!content || both) read_extents(in, row);
  if (both && (!content || row.extents.empty())) in.refuse();
  return in.finish(std::move(row), "file");
}

FileState peek_file_state(std::string_view bytes) {
  return static_cast<FileState>(bytes[1] & kFileStateBits);
}

bool peek_pack(std::string_view bytes) {
  return (bytes[1] & kFileMoreBit) != 0 && (bytes[2] & kFilePackBit) != 0;
}

bool peek_packs(std::string_view bytes) { return (bytes[1] & kPacksBit) != 0; }

std::string encode(const ReferrerRow& referrer) {
  Encoder out = begin_row();
  put_id(out, referrer.home);
  if (referrer.bytes == 0) return std::move(out).take();
  out.u8(kPackedBytes);
  put_number(out, referrer.bytes);
  return std::move(out).take();
}

template <>
Result<ReferrerRow> decode(std::string_view bytes) {
  Reader in(bytes);
  ReferrerRow row;
  row.home = in.id<InodeId>();
  if (!in.plain().at_end()) {
    if (in.plain().u8() != kPackedBytes) in.refuse();
    row.bytes = in.number();
    if (row.bytes == 0) in.refuse();
  }
  return in.finish(row, "referrer");
}

std::string encode(const KnownRow& known) {
  Encoder out = begin_row();
  put_id(out, known.block);
  return std::move(out).take();
}

template <>
Result<KnownRow> decode(std::string_view bytes) {
  Reader in(bytes);
  KnownRow row;
  row.block = in.id<BlockId>();
  return in.finish(row, "known block");
}

std::string encode(const SessionRow& session) {
  Encoder out = begin_row();
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
  Encoder out = begin_row();
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
  Encoder out = begin_row();
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
  Encoder out = begin_row();
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
