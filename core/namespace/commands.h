#pragma once
// What the metadata state machine can be told (Command) and what it answers (Response): the typed
// form of a log entry. Plain values; core/proto/namespace_codec gives them their bytes.
//
// An operation of a client names its session and request, and is applied once however often it is
// sent. The others (leader_operation()) are proposed by the leader itself, carry no session, and do
// the same when applied twice. A refused operation changes nothing but the session's results.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/placement/cluster_map.h"
#include "core/placement/policy.h"

namespace dogfs::metadata {

// Names a file wherever it is linked: the directory it was made in, which never changes and gives
// the slot, and its id.
struct FileHandle {
  InodeId home;
  InodeId file;
  auto operator<=>(const FileHandle&) const = default;
};

// Names a state of a file's inode, and never returns: each file published has an id of its own, and
// each change of it counts.
struct FileVersion {
  InodeId file;
  uint64_t changes = 0;
  bool operator==(const FileVersion&) const = default;
};

// --- What inodes carry ------------------------------------------------------------------------

enum class LabelKind : uint8_t {
  kXattr = 1,
  kHeader = 2,  // of the content, as HTTP has them: "content-type"
  kTag = 3,
};

struct Label {
  LabelKind kind = LabelKind::kXattr;
  std::string name;
  std::string value;
  bool operator==(const Label&) const = default;
};

// Of files and directories. What is absent costs no bytes.
struct InodeAttributes {
  std::string owner;             // "": nobody's
  std::string group;             // "": nobody's
  std::optional<uint16_t> mode;  // 12 bits
  std::optional<WallTime> accessed;
  std::vector<Label> labels;  // by kind and name, none twice
  bool operator==(const InodeAttributes&) const = default;
};

// The most that a directory and all below it may hold; absent: no end.
struct Quota {
  std::optional<uint64_t> bytes;
  std::optional<uint64_t> entries;  // files and directories, itself not counted
  bool operator==(const Quota&) const = default;
};

// Who asks. Without one nothing is checked.
struct Asker {
  std::string user;
  std::vector<std::string> groups;
  bool operator==(const Asker&) const = default;
};

// --- Cluster ---------------------------------------------------------------------------------

// The highest version of commands in this file (cluster_version.h).
inline constexpr uint32_t kLatestClusterVersion = 2;

// The first entry of a new cluster. kExists when it is one already with another id.
struct CreateCluster {
  ClusterId cluster;
  placement::Policy policy;  // of directories that set none
  uint64_t block_bytes = 0;
  uint32_t cell_bytes = 0;  // unit of striping; never changes in the life of a cluster
  // Files up to this length live in their inode; 0: none but empty ones.
  uint32_t inline_bytes = 0;
  uint32_t version = kLatestClusterVersion;  // the newest that the founder's build understands
  bool operator==(const CreateCluster&) const = default;
};

// Allows the commands of the version from here on. kPrecondition when a chunk server that is not
// gone does not understand it; done when the cluster is there already.
struct SetClusterVersion {
  uint32_t version = 0;
  bool operator==(const SetClusterVersion&) const = default;
};

// A server announces itself: at its first start (id 0: the cluster chooses one) and whenever its
// address, store or zone changed. It is live afterwards. A chunk server that comes back with
// another store has lost its shards: it is a new node, and the old one is gone.
struct RegisterNode {
  NodeId node;
  placement::NodeKind kind = placement::NodeKind::kChunk;
  std::string name;
  StoreId store;
  std::string address;
  std::string zone;
  uint32_t disks = 1;
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;
  // Cluster version that its build understands; 0: not said, as a leader does of others.
  uint32_t newest_version = kLatestClusterVersion;
  bool operator==(const RegisterNode&) const = default;
};

struct SetNodeState {
  NodeId node;
  placement::NodeState state = placement::NodeState::kLive;
  // kPrecondition when the node changed after this version (it came back meanwhile); 0: any.
  MapVersion seen;
  bool operator==(const SetNodeState&) const = default;
};

struct SetNodeSpace {
  NodeId node;
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;
  bool operator==(const SetNodeSpace&) const = default;
};

// --- Sessions --------------------------------------------------------------------------------

// Opens a session. A repeated one opens another, and the unused one expires.
struct RegisterClient {
  bool operator==(const RegisterClient&) const = default;
};

struct ExpireSession {
  ClientId client;
  Epoch epoch;
  bool operator==(const ExpireSession&) const = default;
};

// --- Directories -----------------------------------------------------------------------------

struct MakeDirectory {
  std::string path;
  bool parents = false;  // make what is missing above, and accept a directory that exists
  std::optional<placement::Policy> policy;
  bool operator==(const MakeDirectory&) const = default;
};

// POSIX rename: a file replaces a file, a directory an empty directory; never into itself.
struct Rename {
  std::string from;
  std::string to;
  bool operator==(const Rename&) const = default;
};

struct Remove {
  std::string path;
  bool recursive = false;
  bool forever = false;  // past the trash, if there is one
  bool operator==(const Remove&) const = default;
};

// --- Files -----------------------------------------------------------------------------------

// Makes an unlinked file in the directory of `path`, with a lease for the asking client.
struct StartUpload {
  std::string path;
  std::optional<placement::Policy> policy;  // instead of the directory's
  bool overwrite = true;                    // false: refuse now when the file exists
  bool operator==(const StartUpload&) const = default;
};

// Appends blocks to an upload and says where their shards go. `file_offset` must be where the
// blocks allocated so far end, or where one of them begins: then that one and those behind it, none
// of which may be committed, are given back for the new ones (their servers failed).
struct AllocateBlocks {
  FileHandle file;
  Epoch epoch;
  uint64_t file_offset = 0;
  std::vector<uint64_t> lengths;  // at most limits::kBlocksPerAllocation
  bool operator==(const AllocateBlocks&) const = default;
};

struct DurableShard {
  uint32_t index = 0;
  uint32_t checksum = 0;
  bool operator==(const DurableShard&) const = default;
};

struct CommittedBlock {
  BlockId block;
  Generation generation;
  uint64_t file_offset = 0;
  uint64_t length = 0;  // at most what was allocated; less only for the last block of the file
  std::vector<DurableShard> shards;  // at least min_shards, by index
  bool operator==(const CommittedBlock&) const = default;
};

// Records that blocks are durable. Repeated with more shards it adds them.
struct CommitBlocks {
  FileHandle file;
  Epoch epoch;
  std::vector<CommittedBlock> blocks;  // at most limits::kBlocksPerAllocation
  bool operator==(const CommitBlocks&) const = default;
};

enum class PublishCondition : uint8_t { kOverwrite = 1, kIfAbsent = 2, kIfVersion = 3 };

// Links the upload at its path, whole, and drops the file that was there. The blocks committed so
// far must cover [0, length); blocks allocated beyond, at most limits::kRemoveStepMax, are given
// back.
struct Publish {
  FileHandle file;
  Epoch epoch;
  std::string path;
  uint64_t length = 0;
  PublishCondition condition = PublishCondition::kOverwrite;
  FileVersion version;         // that the file there must have, for kIfVersion
  InodeAttributes attributes;  // of the new file; the owner is the asker unless it is named
  bool operator==(const Publish&) const = default;
};

// Stores a small file whole, by this one entry: no upload, no blocks. kTooLarge over the cluster's
// inline_bytes.
struct PutInline {
  std::string path;
  std::optional<placement::Policy> policy;  // of blocks that it may get later; as of StartUpload
  std::string content;
  PublishCondition condition = PublishCondition::kOverwrite;
  FileVersion version;  // as of Publish
  InodeAttributes attributes;
  bool operator==(const PutInline&) const = default;
};

// Makes `to` another file with the bytes of `from`, which shares its blocks.
struct Copy {
  std::string from;
  std::string to;
  PublishCondition condition = PublishCondition::kOverwrite;  // of what is at `to`
  FileVersion version;
  bool operator==(const Copy&) const = default;
};

// Cuts a file to a length that it has or exceeds.
struct Truncate {
  std::string path;
  uint64_t length = 0;
  bool operator==(const Truncate&) const = default;
};

// Appends the bytes of other files, in order, to one that is there; they are no more then. Bytes
// that live in an inode and blocks cannot be joined.
struct Concatenate {
  std::string path;
  std::vector<std::string> sources;  // 1 to limits::kJoinedFilesMax, none twice
  bool operator==(const Concatenate&) const = default;
};

// How long what is removed can be taken back: until then it is below /.trash, out of the quotas
// that it counted for. 0: not at all; what is there goes soon.
struct SetTrash {
  uint64_t seconds = 0;
  bool operator==(const SetTrash&) const = default;
};

// Moves the clock of the trash, which counts only while somebody counts it, and drops for good what
// is due, at most limits::kTrashStepMax names. kPrecondition when it does not stand at `from`.
struct AdvanceTrash {
  uint64_t from = 0;  // seconds
  uint64_t to = 0;
  bool operator==(const AdvanceTrash&) const = default;
};

// Bringing back an exported namespace, whole, into a new cluster that holds nothing. While it runs
// nothing else of clients is done. Ids keep their meaning, so that the shards that lie on chunk
// servers are found again: the cluster must have the id, and gets the settings, of the old one.
// What is made afterwards has a higher incarnation, so that no id is ever used twice. No chunk
// server may have joined. While an import runs this begins it again, for it was cut off.
struct BeginImport {
  ClusterId cluster;
  Incarnation incarnation;  // of the old cluster
  placement::Policy policy;
  uint64_t block_bytes = 0;
  uint32_t cell_bytes = 0;
  uint32_t inline_bytes = 0;
  uint64_t trash_seconds = 0;
  uint64_t trash_clock = 0;
  uint32_t next_node = 0;
  bool operator==(const BeginImport&) const = default;
};

struct ImportedRow {
  std::string key;  // as in schema.h; sessions, counters and settings are not imported
  std::string value;
  bool operator==(const ImportedRow&) const = default;
};

struct ImportRows {
  std::vector<ImportedRow> rows;  // at most limits::kImportRowsMax with kImportBytesMax
  bool operator==(const ImportRows&) const = default;
};

// Checks the next part of what was imported: StepTaken when there is more, to be asked for by
// another of these, Done when all of it is a sound namespace, which is served from here on. Refused
// with kCorrupt, and the import goes on, when it is not.
struct FinishImport {
  uint64_t rows = 0;  // imported ones, all together
  bool operator==(const FinishImport&) const = default;
};

// The first entry after a forced recovery (nodes/metadata/forced_recovery.h): no id given from here
// on was ever given by what was lost. Twice, it raises twice.
struct RaiseIncarnation {
  bool operator==(const RaiseIncarnation&) const = default;
};

// Of a directory. What it holds already may be more; then it can hold no more.
struct SetQuota {
  std::string path;
  Quota quota;
  bool operator==(const SetQuota&) const = default;
};

struct LabelChange {
  LabelKind kind = LabelKind::kXattr;
  std::string name;
  std::optional<std::string> value;  // absent: the label goes
  bool operator==(const LabelChange&) const = default;
};

// Changes what a file or directory carries, all of it or nothing; what is absent stays.
struct SetAttributes {
  std::string path;
  std::optional<FileVersion> version;  // refused with kPrecondition unless the file has it
  std::optional<std::string> owner;    // "": nobody's
  std::optional<std::string> group;
  std::optional<uint16_t> mode;
  std::optional<WallTime> modified;
  std::optional<WallTime> accessed;
  std::vector<LabelChange> labels;  // at most limits::kLabelsMax
  bool operator==(const SetAttributes&) const = default;
};

struct AbandonUpload {
  FileHandle file;
  Epoch epoch;
  bool operator==(const AbandonUpload&) const = default;
};

// Confirms, through the log, that the lease still holds. The leader counts silence from it.
struct RenewLease {
  FileHandle file;
  Epoch epoch;
  bool operator==(const RenewLease&) const = default;
};

// The leader found the writer silent for too long: the upload is abandoned.
struct ExpireLease {
  FileHandle file;
  Epoch epoch;
  bool operator==(const ExpireLease&) const = default;
};

// --- Background ------------------------------------------------------------------------------

// Takes removed trees and files apart, at most `limit` entries and blocks of them.
struct RemoveStep {
  uint32_t limit = 0;
  bool operator==(const RemoveStep&) const = default;
};

// Garbage blocks whose grace is over: from here on chunk servers may be told to delete them.
struct OrderDeletion {
  std::vector<BlockId> blocks;
  bool operator==(const OrderDeletion&) const = default;
};

struct DeletedShard {
  BlockId block;
  uint32_t index = 0;
  bool operator==(const DeletedShard&) const = default;
};

// A chunk server deleted (or never had) these shards of ordered blocks; or it is gone for good.
struct AckDeleted {
  NodeId node;
  std::vector<DeletedShard> shards;
  bool operator==(const AckDeleted&) const = default;
};

using Operation =
    std::variant<CreateCluster, RegisterNode, SetNodeState, SetNodeSpace, RegisterClient,
                 ExpireSession, MakeDirectory, Rename, Remove, StartUpload, AllocateBlocks,
                 CommitBlocks, Publish, AbandonUpload, RenewLease, ExpireLease, RemoveStep,
                 OrderDeletion, AckDeleted, PutInline, SetAttributes, Copy, Truncate, Concatenate,
                 SetQuota, SetTrash, AdvanceTrash, BeginImport, ImportRows, FinishImport,
                 RaiseIncarnation, SetClusterVersion>;

// "make_directory", for errors, traces and metrics.
std::string_view operation_name(const Operation& operation);
// True for operations without a session. RegisterClient is one of them, but clients may send it.
bool leader_operation(const Operation& operation);

// True for operations that store something: not possible while the disks of the metadata are full.
// The others remove, free or keep the cluster going, and take next to nothing of the log.
bool needs_room(const Operation& operation);

struct Command {
  ClientId client;               // 0 for a leader operation
  RequestId request;             // from 1 up, unique in the session
  RequestId acknowledged_below;  // answers to lower requests have arrived and may be forgotten
  WallTime wall;                 // of the leader, for display; no decision reads it
  Operation operation;
  std::optional<Asker> asker = std::nullopt;  // present: permissions are checked
  bool operator==(const Command&) const = default;
};

// --- Answers ---------------------------------------------------------------------------------

struct Done {
  bool operator==(const Done&) const = default;
};

struct NodeRegistered {
  NodeId node;
  MapVersion version;
  bool operator==(const NodeRegistered&) const = default;
};

struct ClientRegistered {
  ClientId client;
  Epoch epoch;
  uint32_t inline_bytes = 0;  // longer files need an upload
  bool operator==(const ClientRegistered&) const = default;
};

struct UploadStarted {
  FileHandle file;
  Epoch epoch;
  placement::Policy policy;
  uint64_t block_bytes = 0;
  uint32_t cell_bytes = 0;
  bool operator==(const UploadStarted&) const = default;
};

struct PlacedShard {
  uint32_t index = 0;
  NodeId node;
  std::string address;  // as the cluster map has it when the answer is given
  bool operator==(const PlacedShard&) const = default;
};

struct PlacedBlock {
  BlockId block;
  Generation generation;
  uint64_t file_offset = 0;
  uint64_t length = 0;
  std::vector<PlacedShard> shards;  // by index; unplaced shards are absent
  bool operator==(const PlacedBlock&) const = default;
};

struct BlocksAllocated {
  placement::Policy policy;
  std::vector<PlacedBlock> blocks;
  bool operator==(const BlocksAllocated&) const = default;
};

struct StepTaken {
  uint32_t entries = 0;
  bool more = false;
  bool operator==(const StepTaken&) const = default;
};

using Reply =
    std::variant<Done, NodeRegistered, ClientRegistered, UploadStarted, BlocksAllocated, StepTaken>;
// kUnknown: the session is expired or the request was acknowledged long ago; whether it was applied
// is not known any more, and it was not applied now.
using Response = Result<Reply>;

}  // namespace dogfs::metadata
