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
  // Its bytes live in its inode, and not in blocks.
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

// A stretch of a file: [file_offset, file_offset + length) is [block_offset, ...) of the block.
struct LocatedBlock {
  uint64_t file_offset = 0;
  uint64_t length = 0;
  uint64_t block_offset = 0;
  BlockId block;
  Generation generation;
  PlacementVersion placement_version;
  uint64_t block_length = 0;
  placement::Policy policy;
  std::vector<LocatedShard> shards;  // durable ones, by index
  bool operator==(const LocatedBlock&) const = default;
};

struct FileLocation {
  FileHandle file;
  uint64_t length = 0;  // of the whole file
  uint32_t cell_bytes = 0;
  std::vector<LocatedBlock> blocks;  // by file offset, those that meet the asked range
  std::string content;               // of an inline file, all its bytes; it has no blocks
  bool more = false;                 // the range goes on after the last block returned
  // Names the bytes up to the end of the range, if it was asked by somebody who may know them from
  // an earlier answer: equal, they are still the same. 0: an inline file, or it was not said.
  uint64_t contents = 0;
  bool operator==(const FileLocation&) const = default;
};

struct Counters {
  uint64_t files = 0;        // linked ones, and those of trees being removed
  uint64_t directories = 0;  // the root counts
  uint64_t uploads = 0;      // open ones
  uint64_t sessions = 0;
  uint64_t blocks = 0;                   // allocated or committed, not garbage
  uint64_t blocks_below_full_width = 0;  // committed ones with a shard missing
  uint64_t garbage_blocks = 0;
  uint64_t garbage_bytes = 0;  // shard bytes awaiting deletion
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

using Query = std::variant<StatQuery, ListQuery, LocateQuery, MapQuery, StatusQuery, UseQuery>;
// A query and who asks it, which is then checked.
struct Question {
  Query query;
  std::optional<Asker> asker;
  bool operator==(const Question&) const = default;
};

using Answer = std::variant<Attributes, Listing, FileLocation, placement::MapChanges, ClusterStatus,
                            DirectoryUse>;
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

}  // namespace dogfs::metadata
