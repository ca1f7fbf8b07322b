#pragma once
// Keys and rows of the metadata tree, in the form that snapshots carry (drawn in README.md). Keys
// are big-endian and begin with the 16-bit slot, so that the rows of a slot are one range. Rows are
// canonical: a format version byte, then the fields; equal rows have equal bytes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/namespace/commands.h"
#include "core/namespace/queries.h"
#include "core/placement/policy.h"

namespace dogfs::metadata {

inline constexpr InodeId kRootDirectory{1};

// The kind of a row, the byte behind the id in its key.
enum class Tag : char {
  kDirectory = 'A',
  kBlock = 'B',
  kSlot = 'C',
  kDentry = 'D',
  kFile = 'F',
  kKnown = 'H',
  kNode = 'N',
  kOutbox = 'O',
  kReferrer = 'R',
  kSession = 'S',
  kSettings = 'V',
};

enum class OutboxKind : uint8_t {
  kGarbage = 1,     // a block whose shards are to be deleted
  kRemoveTree = 2,  // a directory taken out of the namespace, not yet taken apart
  kDropFile = 3,    // a file likewise, with many blocks or in another slot
};

namespace key {

std::string directory(InodeId directory);
std::string dentry(InodeId directory, std::string_view name);
std::string file(FileHandle file);
std::string block(BlockId block);
std::string referrer(BlockId block, InodeId file);
std::string known(InodeId directory, const Sha256Digest& digest);
std::string slot(Slot slot);
std::string session(ClientId client);
// Sorts behind its session's key.
std::string result(ClientId client, RequestId request);
std::string outbox(Slot slot, OutboxKind kind, uint64_t id);
std::string settings();
std::string node(NodeId node);

// The slot in which a client's session and results live.
Slot session_slot(ClientId client);

// What a key says of itself; nothing for bytes that are no key.
struct Parsed {
  uint64_t id = 0;  // directory, home, block, or the slot's id with counter 0
  Tag tag = Tag::kDirectory;
  std::string_view tail;
};
std::optional<Parsed> parse(std::string_view key);
// Of tails: the file of kFile and kReferrer; kind and id of kOutbox; client and request (0: the
// session itself) of kSession; the node of kNode; the digest of kKnown.
InodeId file_of(std::string_view tail);
Sha256Digest digest_of(std::string_view tail);
OutboxKind outbox_kind_of(std::string_view tail);
uint64_t outbox_id_of(std::string_view tail);
ClientId client_of(std::string_view tail);
RequestId request_of(std::string_view tail);

}  // namespace key

struct DirectoryRow {
  InodeId parent;  // 0 for the root and for a directory in removal
  std::optional<placement::Policy> policy;
  WallTime modified;
  Quota quota;
  InodeAttributes attributes;
  std::optional<uint64_t> block_bytes;
  std::optional<uint32_t> cell_bytes;
  std::optional<ContentMode> content_mode = std::nullopt;
  bool packs = false;  // the directory of packs (packs.h)
  Layout layout() const { return {policy, block_bytes, cell_bytes, content_mode}; }
  void set_layout(const Layout& layout) {
    policy = layout.policy;
    block_bytes = layout.block_bytes;
    cell_bytes = layout.cell_bytes;
    content_mode = layout.content_mode;
  }
  bool operator==(const DirectoryRow&) const = default;
};

struct DentryRow {
  EntryKind kind = EntryKind::kDirectory;
  InodeId id;
  InodeId home;  // of a file
  FileHandle file() const { return {home, id}; }
  bool operator==(const DentryRow&) const = default;
};

enum class FileState : uint8_t {
  kUpload = 1,     // unlinked, held by a lease
  kPublished = 2,  // linked by exactly one dentry
  kDropped = 3,    // unlinked for good, named by an outbox row
};

struct Extent {
  uint64_t file_offset = 0;
  uint64_t length = 0;  // of an upload: as allocated
  BlockId block;
  uint64_t block_offset = 0;
  bool operator==(const Extent&) const = default;
};

struct FileRow {
  FileState state = FileState::kUpload;
  placement::Policy policy;
  WallTime modified;
  ClientId client;              // of the lease; 0 when there is none
  Epoch epoch;                  // likewise
  std::vector<Extent> extents;  // contiguous from where the content ends
  std::string content;          // the bytes of an inline file; the head of one that was appended to
  uint64_t changes = 0;         // since it was published
  InodeAttributes attributes;
  uint32_t appends = 0;      // append blocks that it was given so far: the ordinal of the last one
  BlockId last_append;       // of those that got any bytes; its row may be gone
  uint64_t block_bytes = 0;  // most of a block; 0: the cluster's
  uint32_t cell_bytes = 0;   // of blocks to be made; 0: the cluster's
  bool pack = false;         // packs.h
  uint64_t cuts = 0;         // of its end, since it was published: what was put behind differs
  uint64_t length() const;   // of an upload: as allocated; without a block that is not sealed
  bool is_inline() const { return extents.empty() && !content.empty(); }
  // Its last block takes appends, or its length is being found out: that extent has length 0.
  bool unsealed() const;
  bool operator==(const FileRow&) const = default;
};

enum class BlockState : uint8_t {
  kOpen = 1,       // allocated, nothing known to be durable
  kSealed = 2,     // length and checksums fixed, at least min_shards durable
  kGarbage = 3,    // nothing refers to it; waits for its grace
  kOrdered = 4,    // chunk servers may delete its shards
  kAppending = 5,  // the last of a file, open for appends
  kSealing = 6,    // likewise, and its length is being found out
};

struct ShardRow {
  NodeId node;  // 0: unplaced, or (garbage) known to be deleted
  bool durable = false;
  // Was durable, and its server has found it damaged or missing; of a block that is not sealed: a
  // replica that was found damaged.
  bool lost = false;
  uint32_t checksum = 0;  // of a durable or lost shard: what it must be
  bool operator==(const ShardRow&) const = default;
};

// Where the bytes of a log are being written to.
struct NextRow {
  Generation generation;
  uint64_t attempt = 0;
  std::vector<NodeId> nodes;  // target.width() of them; 0: unplaced
  bool operator==(const NextRow&) const = default;
};

// A generation that is needed no more, until its shards are deleted.
struct FormerRow {
  Generation generation;
  bool ordered = false;  // chunk servers may delete its shards
  std::vector<ShardRow> shards;
  bool operator==(const FormerRow&) const = default;
};

// What a block of appends carries until it is converted and nothing of before is left.
struct AppendRow {
  FileHandle file;  // that it was made for; of a sealed one others may have it
  uint32_t ordinal = 0;
  BlockId previous;  // last_append of the file when this was made
  uint64_t capacity = 0;
  placement::Policy target;        // that it is converted to
  uint32_t target_cell_bytes = 0;  // as BlockRow::cell_bytes
  Epoch epoch;
  uint64_t activation = 0;        // of the one life of its primary that may append; 0: none yet
  bool begun = false;             // every replica has begun its log: there may be records
  uint64_t claimed = 0;           // of a pack: up to here bytes are, or were, files'
  std::optional<NextRow> next;    // only of a sealed log
  std::vector<FormerRow> former;  // by generation
  bool operator==(const AppendRow&) const = default;
};

// Append logs are of this one; conversion gives higher ones.
inline constexpr Generation kLogGeneration{1};

struct BlockRow {
  BlockState state = BlockState::kOpen;
  placement::Policy policy;
  Generation generation;
  PlacementVersion placement_version;
  uint64_t length = 0;           // open: as allocated; unsealed: 0; sealed: of its bytes
  bool shared = false;           // its referrers are the rows of kReferrer; else one file has it
  bool pack = false;             // made for a pack, of whose bytes files have parts
  std::vector<ShardRow> shards;  // policy.width() of them
  uint32_t cell_bytes = 0;       // unit of striping; 0: the cluster's
  std::optional<AppendRow> append;
  std::optional<Sha256Digest> digest = std::nullopt;  // of its bytes; of garbage, forgotten
  InodeId known_in = {};  // the directory that knows it by its digest (KnownRow); 0: none
  bool disowned = false;  // somebody read bytes that have another digest: none knows it any more

  bool is_garbage() const { return state == BlockState::kGarbage || state == BlockState::kOrdered; }
  bool unsealed() const { return state == BlockState::kAppending || state == BlockState::kSealing; }
  // Its shards are append logs; of a sealed block a durable one holds all its bytes.
  bool has_log() const { return append && generation == kLogGeneration; }
  // Of a pack, and what its files have of it can be moved to another: sealed, converted, and
  // nothing of before is left.
  bool compactable() const { return pack && state == BlockState::kSealed && !append; }
  uint32_t durable_shards() const;
  uint32_t lost_shards() const;
  // Bytes of the shards that are placed, as far as the row knows: each holds a k-th of the block.
  uint64_t placed_bytes() const;
  // Likewise of the former generations.
  uint64_t former_bytes() const;
  bool operator==(const BlockRow&) const = default;
};

// That the file, which was made in `home`, refers to a shared block.
struct ReferrerRow {
  InodeId home;
  uint64_t bytes = 0;  // that it has in a block of a pack; 0 of other blocks
  bool operator==(const ReferrerRow&) const = default;
};

// Under a digest, in a directory: the block with that content, for others to share.
struct KnownRow {
  BlockId block;
  bool operator==(const KnownRow&) const = default;
};

struct SessionRow {
  Epoch epoch;
  RequestId acknowledged_below;
  uint32_t results = 0;  // result rows
  bool operator==(const SessionRow&) const = default;
};

// kGarbage: since. kDropFile: home. kRemoveTree: nothing.
struct OutboxRow {
  LogIndex since;
  InodeId home;
  bool operator==(const OutboxRow&) const = default;
};

// Counters of one slot, from which ids are made.
struct SlotRow {
  uint64_t next_inode = 2;  // 1 of slot 0 is the root
  uint64_t next_block = 1;
  uint64_t directories_made = 0;  // in directories of this slot; chooses the slot of the next one
  bool operator==(const SlotRow&) const = default;
};

struct SettingsRow {
  ClusterSettings settings;
  uint64_t trash_clock = 0;  // seconds counted while there was trash
  bool importing = false;
  uint64_t imported = 0;       // rows
  uint64_t checked_steps = 0;  // of the check of those that were imported
  uint64_t next_client = 1;
  uint32_t next_node = 0;
  bool operator==(const SettingsRow&) const = default;
};

std::string encode(const DirectoryRow& row);
// A file in its home directory, as most are, needs no more than the counter of its id.
std::string encode(const DentryRow& row, InodeId directory);
std::string encode(const FileRow& row);
std::string encode(const BlockRow& row);
std::string encode(const ReferrerRow& row);
std::string encode(const KnownRow& row);
std::string encode(const SessionRow& row);
std::string encode(const OutboxRow& row);
std::string encode(const SlotRow& row);
std::string encode(const SettingsRow& row);

// kUnsupported for a format this build does not know, kCorrupt for bytes that are no such row.
template <class Row>
Result<Row> decode(std::string_view bytes);
Result<DentryRow> decode_dentry(std::string_view bytes, InodeId directory);

// The state of a file row, without decoding the rest; its bytes must be a file row.
FileState peek_file_state(std::string_view bytes);
// Likewise whether it is a pack, and whether a directory row is that of packs.
bool peek_pack(std::string_view bytes);
bool peek_packs(std::string_view bytes);
// Likewise whether a block row has what blocks of appends carry, and whether it is of a pack.
bool peek_append(std::string_view bytes);
bool peek_pack_block(std::string_view bytes);

}  // namespace dogfs::metadata
