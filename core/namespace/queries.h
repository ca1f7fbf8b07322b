#pragma once
// Reads of the metadata state machine and their answers: plain values, true at one applied index.
// Query and Answer are what clients send and get; the rest is for the leader's own loops.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/namespace/commands.h"
#include "core/placement/cluster_map.h"
#include "core/placement/policy.h"

namespace dogfs::metadata {

enum class EntryKind : uint8_t { kDirectory = 1, kFile = 2 };

// How deep in the path lies what says so: 0 the cluster as it was founded, 1 the root, n + 1 what
// the first n names lead to.
struct LayoutLevels {
  uint32_t policy = 0;
  uint32_t block_bytes = 0;
  uint32_t cell_bytes = 0;
  uint32_t content_mode = 0;
  bool operator==(const LayoutLevels&) const = default;
};

// What a file was made with; for a directory, what new files in it get.
struct LayoutInForce {
  placement::Policy policy;
  uint64_t block_bytes = 0;
  uint32_t cell_bytes = 0;
  ContentMode content_mode = ContentMode::kNone;  // for a file, what its directory says now
  LayoutLevels from;
  bool operator==(const LayoutInForce&) const = default;
};

struct Attributes {
  EntryKind kind = EntryKind::kDirectory;
  InodeId id;
  InodeId home;          // of a file
  uint64_t length = 0;   // of a file
  uint32_t blocks = 0;   // of a file
  uint64_t changes = 0;  // of a file, since it was published: with its id, its version
  WallTime modified;
  InodeAttributes inode;     // in a listing without its labels
  placement::Policy policy;  // of a file; for a directory, what new files in it get
  // It is being appended to: the file goes on behind `length` in a block whose length is not fixed.
  // Locate it and ask the block's primary.
  bool appending = false;
  uint64_t block_bytes = 0;  // with the policy, as in LayoutInForce
  uint32_t cell_bytes = 0;
  ContentMode content_mode = ContentMode::kNone;
  LayoutLevels layout_from;
  // All its bytes live in its inode, and not in blocks.
  FileVersion version() const { return {id, changes}; }
  bool is_inline() const { return kind == EntryKind::kFile && blocks == 0; }
  bool operator==(const Attributes&) const = default;
};

// What lies below a directory: bytes as long as the files are, however they are stored.
struct Use {
  uint64_t bytes = 0;
  uint64_t entries = 0;  // files and directories
  bool operator==(const Use&) const = default;
};

struct DirectoryUse {
  Use use;
  Quota quota;
  bool operator==(const DirectoryUse&) const = default;
};

struct ListEntry {
  std::string name;
  Attributes attributes;
  bool operator==(const ListEntry&) const = default;
};

struct Listing {
  std::vector<ListEntry> entries;  // by name, bytewise
  bool more = false;               // ask again after the last name
  bool operator==(const Listing&) const = default;
};

struct LocatedShard {
  uint32_t index = 0;
  NodeId node;
  std::string address;
  placement::NodeState state = placement::NodeState::kLive;
  uint32_t checksum = 0;
  bool operator==(const LocatedShard&) const = default;
};

enum class LocatedState : uint8_t {
  kSealed = 0,
  kAppending = 1,  // open for appends; its primary, the server of shard 0, knows its length
  kSealing = 2,    // its length is being found out (BeginSeal and FixAppend)
};

// A stretch of a file: [file_offset, file_offset + length) is [block_offset, ...) of the block.
// One that is not sealed is the open end of its file, the last, and has length and block_length 0
// here; or it is of a pack, and the stretch has its length, and block_length is where it ends.
struct LocatedBlock {
  uint64_t file_offset = 0;
  uint64_t length = 0;
  uint64_t block_offset = 0;
  BlockId block;
  Generation generation;
  PlacementVersion placement_version;
  uint64_t block_length = 0;
  placement::Policy policy;          // rep-N while the bytes lie in append logs
  std::vector<LocatedShard> shards;  // durable ones, by index; all replicas if not sealed
  LocatedState state = LocatedState::kSealed;
  bool open_end() const { return state != LocatedState::kSealed && length == 0; }
  // Each shard holds the bytes in an append log of this generation, not in a shard file; likewise
  // of blocks that are not sealed.
  bool log = false;
  Epoch epoch;                                        // of a block with a log, or else 0
  uint32_t ordinal = 0;                               // likewise
  uint32_t cell_bytes = 0;                            // unit of its striping
  std::optional<Sha256Digest> digest = std::nullopt;  // of all its bytes
  bool operator==(const LocatedBlock&) const = default;
};

struct FileLocation {
  FileHandle file;
  uint64_t length = 0;  // of the whole file, without a block that is not sealed
  uint32_t cell_bytes = 0;
  // By file offset, those that meet the asked range; behind them one that is not sealed, if the
  // range reaches to the end of the others or beyond.
  std::vector<LocatedBlock> blocks;
  // The bytes that live in the inode: all of an inline file; of one that was appended to, the head
  // of the file, and the first block begins behind them.
  std::string content;
  bool more = false;  // the range goes on after the last block returned
  // Names the bytes of the file, wherever they lie: as long as it is the same, what is appended
  // comes behind those that there were, and no other change is made. 0: an inline file, or not
  // said.
  uint64_t contents = 0;
  bool operator==(const FileLocation&) const = default;
};

// A stretch of a block.
struct PackedRange {
  uint64_t offset = 0;
  uint64_t length = 0;
  auto operator<=>(const PackedRange&) const = default;
};

// What a file has of a block of a pack.
struct PackedFile {
  FileHandle file;
  std::vector<PackedRange> ranges;  // ascending, none twice
  bool operator==(const PackedFile&) const = default;
};

// The files that have bytes of a block of a pack, and where it is. A page of them: `last` was the
// last that was looked at, also when it is none of these.
struct BlockReferrers {
  LocatedBlock block;             // all of it
  std::vector<PackedFile> files;  // by id; at most limits::kReferrersPerAnswer
  InodeId last;
  bool more = false;  // ask again after the last one
  bool operator==(const BlockReferrers&) const = default;
};

struct Counters {
  uint64_t files = 0;        // linked ones, and those of trees being removed
  uint64_t directories = 0;  // the root counts
  uint64_t uploads = 0;      // open ones
  uint64_t sessions = 0;
  uint64_t blocks = 0;                   // allocated or committed, not garbage
  uint64_t blocks_below_full_width = 0;  // committed ones with a shard missing
  uint64_t garbage_blocks = 0;
  uint64_t garbage_bytes = 0;  // shard bytes awaiting deletion, former generations' among them
  uint64_t append_blocks = 0;  // in use, with append logs: open, being sealed or to be converted
  uint64_t former_generations = 0;  // of blocks in use, awaiting deletion
  uint64_t placed_bytes = 0;        // of shards of blocks in use, former generations not counted
  uint64_t pack_bytes = 0;          // of sealed blocks of packs
  uint64_t packed_bytes = 0;        // that files have in blocks of packs, sealed or not
  uint64_t block_bytes = 0;         // of sealed blocks in use, each counted once
  uint64_t known_blocks = 0;        // of them, those that new files may share by their digests
  bool operator==(const Counters&) const = default;
};

struct ClusterSettings {
  ClusterId cluster;  // 0: not created yet
  Incarnation incarnation;
  uint32_t cluster_version = 0;
  placement::Policy policy;
  uint64_t block_bytes = 0;
  uint32_t cell_bytes = 0;
  uint32_t inline_bytes = 0;   // files up to here live in their inode
  uint64_t trash_seconds = 0;  // how long what is removed is kept
  bool operator==(const ClusterSettings&) const = default;
};

struct ClusterStatus {
  ClusterSettings settings;
  Counters counters;
  uint64_t file_bytes = 0;  // of all files that have a name, as long as they are
  MapVersion map_version;
  bool operator==(const ClusterStatus&) const = default;
};

// --- What clients ask -------------------------------------------------------------------------

struct StatQuery {
  std::string path;
  bool operator==(const StatQuery&) const = default;
};

struct ListQuery {
  std::string path;
  std::string after;   // names up to this one were seen already
  uint32_t limit = 0;  // capped at limits::kListPageMax
  bool operator==(const ListQuery&) const = default;
};

struct LocateQuery {
  std::string path;
  FileHandle file;  // instead of the path, when that is empty
  uint64_t offset = 0;
  uint64_t length = UINT64_MAX;
  bool operator==(const LocateQuery&) const = default;
};

struct MapQuery {
  MapVersion since;
  bool operator==(const MapQuery&) const = default;
};

struct StatusQuery {
  bool operator==(const StatusQuery&) const = default;
};

// Of a directory, or a file, which holds itself.
struct UseQuery {
  std::string path;
  bool operator==(const UseQuery&) const = default;
};

// Of a sealed and converted block of a pack, for those who compact it; kDenied for who names an
// asker. kNotFound: it is gone, or garbage; kPrecondition: it is another kind of block.
struct ReferrersQuery {
  BlockId block;
  InodeId after;  // files up to this one were seen already
  bool operator==(const ReferrersQuery&) const = default;
};

using Query = std::variant<StatQuery, ListQuery, LocateQuery, MapQuery, StatusQuery, UseQuery,
                           ReferrersQuery>;
// A query and who asks it, which is then checked.
struct Question {
  Query query;
  std::optional<Asker> asker;
  bool operator==(const Question&) const = default;
};

using Answer = std::variant<Attributes, Listing, FileLocation, placement::MapChanges, ClusterStatus,
                            DirectoryUse, BlockReferrers>;
using QueryResponse = Result<Answer>;

// "stat", for errors, traces and metrics.
std::string_view query_name(const Query& query);

// --- For the leader's loops, which hold the clocks ---------------------------------------------

struct OpenUpload {
  FileHandle file;
  ClientId client;
  Epoch epoch;
  bool operator==(const OpenUpload&) const = default;
};

struct OpenSession {
  ClientId client;
  Epoch epoch;
  bool operator==(const OpenSession&) const = default;
};

struct GarbageShard {
  uint32_t index = 0;
  NodeId node;
  Generation generation;
  bool operator==(const GarbageShard&) const = default;
};

struct GarbageBlock {
  BlockId block;
  Generation generation;
  PlacementVersion placement_version;
  LogIndex since;        // the entry that made it garbage; grace counts from when it was applied
  bool ordered = false;  // chunk servers may be told to delete
  std::vector<GarbageShard> shards;  // that may still exist
  bool operator==(const GarbageBlock&) const = default;
};

// A generation of a block in use that its row needs no more (OrderDeletion::former).
struct FormerBlock {
  FormerName name;
  PlacementVersion placement_version;  // of the block as it is now
  bool ordered = false;                // chunk servers may be told to delete
  std::vector<GarbageShard> shards;    // that may still exist
  bool operator==(const FormerBlock&) const = default;
};

// A block with append logs, open or not.
struct AppendBlock {
  BlockId block;
  FileHandle file;  // that it was made for; of a sealed one others may have it
  Generation generation;
  LocatedState state = LocatedState::kAppending;
  uint64_t activation = 0;           // 0: its primary has not asked yet
  bool damaged = false;              // a replica is
  std::vector<GarbageShard> shards;  // the replicas; of a sealed one the holders
  bool operator==(const AppendBlock&) const = default;
};

// A block of a pack, sealed and converted, of which files have little
// (limits::kPackLivePercentMin).
struct SparseBlock {
  BlockId block;
  std::vector<NodeId> nodes;  // that hold a shard of it, durably
  bool operator==(const SparseBlock&) const = default;
};

enum class AppendTaskKind : uint8_t {
  kSeal = 1,     // BeginSeal, find the length, FixAppend
  kConvert = 2,  // BeginConversion, write the shards, CommitConversion
};

// Work on an append block that the leader hands to one of its replicas, in replies to heartbeats.
// Harmless when done twice, or by two, or never.
struct AppendTask {
  FileHandle file;
  BlockId block;
  Generation generation;
  AppendTaskKind kind = AppendTaskKind::kSeal;
  bool operator==(const AppendTask&) const = default;
};

}  // namespace dogfs::metadata
