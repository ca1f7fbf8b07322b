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
#include "core/namespace/inode.h"
#include "core/placement/cluster_map.h"
#include "core/placement/policy.h"

namespace dogfs::metadata {

// --- Cluster ---------------------------------------------------------------------------------

// The highest version of commands in this file (cluster_version.h).
inline constexpr uint32_t kLatestClusterVersion = 5;

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
  uint64_t block_bytes = 0;                 // 0: the directory's
  uint32_t cell_bytes = 0;                  // likewise
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
  std::vector<DurableShard> shards;                   // at least min_shards, by index
  std::optional<Sha256Digest> digest = std::nullopt;  // of its bytes
  bool operator==(const CommittedBlock&) const = default;
};

// Records that blocks are durable. Repeated with more shards it adds them.
struct CommitBlocks {
  FileHandle file;
  Epoch epoch;
  std::vector<CommittedBlock> blocks;  // at most limits::kBlocksPerAllocation
  bool operator==(const CommitBlocks&) const = default;
};

struct KnownBlock {
  uint64_t length = 0;
  Sha256Digest digest;
  bool operator==(const KnownBlock&) const = default;
};

// Asks for blocks by their content, instead of allocating them: those before the first that the
// volume (known_blocks.h) does not know at full width, in the layout of the upload, become the
// file's, shared with others. `file_offset` must be where the blocks allocated so far end. Answer:
// BlocksUsed.
struct UseBlocks {
  FileHandle file;
  Epoch epoch;
  uint64_t file_offset = 0;
  std::vector<KnownBlock> blocks;  // at most limits::kBlocksPerAllocation
  bool operator==(const UseBlocks&) const = default;
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
  uint64_t block_bytes = 0;  // as of StartUpload
  uint32_t cell_bytes = 0;
  bool operator==(const PutInline&) const = default;
};

// Stores a small file whose bytes were appended to a pack (packs.h): makes it with one extent, and
// so those bytes are in use. Errors as of PutInline; kUnavailable, before those that only a full
// cluster has, when the block is none of that pack any more, or of another policy than the file is
// to have: then the bytes are to be stored in another way.
struct PutPacked {
  std::string path;
  std::optional<placement::Policy> policy;  // as of StartUpload
  FileHandle pack;
  BlockId block;
  uint64_t block_offset = 0;  // of bytes that were acknowledged
  uint64_t length = 0;        // 1 to limits::kPackedBytesMax
  PublishCondition condition = PublishCondition::kOverwrite;
  FileVersion version;  // as of Publish
  InodeAttributes attributes;
  bool operator==(const PutPacked&) const = default;
};

// Moves bytes of a file from a sealed block of a pack to another pack, where they were appended
// once more: every extent that is that stretch becomes one of the other block. Nothing of the file
// changes that is to be seen, its version neither. The block that it leaves is garbage when no file
// has anything in it. Applied twice it is refused, and harmless. kNotFound: the file or the block
// is gone. kPrecondition: the file has no such extent (any more), or the block is not sealed and
// converted. kUnavailable: as of PutPacked.
struct MovePacked {
  FileHandle file;
  BlockId from;
  uint64_t from_offset = 0;
  uint64_t length = 0;
  FileHandle pack;
  BlockId block;
  uint64_t block_offset = 0;  // of bytes that were acknowledged, and the same
  bool operator==(const MovePacked&) const = default;
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
  std::optional<uint64_t> at = {};   // kPrecondition unless the file is that long
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

// Of a directory; of the root, for the whole cluster. Files that are there keep what they were made
// with. kInvalid for sizes that cannot be, kPrecondition for a policy that needs more chunk servers
// than there are.
struct SetLayout {
  std::string path;
  Layout layout;         // what is absent stays as it is
  bool inherit = false;  // forget first all that the directory says
  bool operator==(const SetLayout&) const = default;
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

// --- Appends ---------------------------------------------------------------------------------
//
// A file's append block is replicated and the last of its extents. Its states, in order:
//   appending   open: its primary, the server of shard 0, takes records
//   sealing     the epoch was raised: nobody appends any more, the length is being found out
//   sealed log  the length is fixed; the bytes lie in append logs (generation 1) on its holders
//   sealed      converted: an ordinary block of the file's policy, of a higher generation
// OpenAppend comes in a client's session. The others carry none; anybody may send them
// (open_operation()), again and again: each checks what it was sent for and does nothing twice.

// A record is acknowledged when so many replicas have it durably.
inline constexpr size_t append_quorum(size_t replicas) { return replicas / 2 + 1; }
// Of so many replicas, one has what was acknowledged.
inline constexpr size_t append_seal_quorum(size_t replicas) {
  return replicas + 1 - append_quorum(replicas);
}

// Gives the file's open append block, or makes one behind its end. In the order of what may be in
// the way: kNotFound without `create`; kDenied; kUnavailable while the last block is sealing
// (locate says which, seal it and ask again), or when too few chunk servers live; kNoSpace when a
// quota is used up. Answer: AppendOpened.
struct OpenAppend {
  std::string path;
  bool create = false;                      // make an empty file when there is none
  std::optional<placement::Policy> policy;  // of a file that this makes; else its directory's
  InodeAttributes attributes;               // likewise
  std::vector<NodeId> avoid;  // servers the sender cannot reach; at most limits::kShardsMax
  bool operator==(const OpenAppend&) const = default;
};

// The primary asks before it gives anything to a replica, and again, `begun`, when each of them has
// begun its log and before it takes the first record. Refused for ever when another life of a
// primary was allowed (`activation` differs): that one may have acknowledged records which this one
// does not know. kNotFound: the file or its block is gone. kPrecondition: not the primary, another
// epoch or activation, or not appending any more. Answer: AppendActivated.
struct ActivateAppend {
  FileHandle file;
  BlockId block;
  Epoch epoch;
  NodeId node;              // the sender
  uint64_t activation = 0;  // random, not 0: a life of the primary's
  bool begun = false;       // from now on, a replica without a log has lost it
  bool operator==(const ActivateAppend&) const = default;
};

// Appending -> sealing, with the next epoch; of a sealing block, says its epoch again. One that was
// not begun has no records: it is garbage at once. kNotFound: the file or its block is gone.
// Answer: SealBegun; Done when it is sealed already, or garbage by this entry.
struct BeginSeal {
  FileHandle file;
  BlockId block;
  bool operator==(const BeginSeal&) const = default;
};

// Sealing -> sealed log. Its length is the longest that any of append_seal_quorum() replicas has,
// and as many at least hold that durably. Of length 0 the block is garbage
// and the file ends where it began. Done, too, when it is sealed already, however long; kNotFound
// when it is gone (also by a FixAppend of length 0), kPrecondition for another epoch, or for a
// length that cuts off bytes which files refer to. The block of a pack is from then on of these
// files alone, and garbage without any.
struct FixAppend {
  FileHandle file;
  BlockId block;
  Epoch epoch;  // as SealBegun said
  uint64_t length = 0;
  std::vector<uint32_t> holders;  // indexes of shards, ascending
  bool operator==(const FixAppend&) const = default;
};

// Places the shards that the log's bytes are to become, in the policy that the file had when the
// block was made, as the next generation. The same attempt gets the same answer again; another one
// gets another generation, and the one before is deleted in time. kNotFound: no such block any
// more. kPrecondition: it is no sealed log of that generation (it was converted by another, say).
// kUnavailable: too few servers, or too many given up generations wait for their deletion. Answer:
// ConversionBegun.
struct BeginConversion {
  BlockId block;
  Generation generation;      // of the log
  uint64_t attempt = 0;       // random, not 0
  std::vector<NodeId> avoid;  // as of OpenAppend
  bool operator==(const BeginConversion&) const = default;
};

// The shards of the next generation are durable, min_shards of the policy at least: from here on
// they are the block, and the logs are deleted in time. Done when that was so already. A mismatch
// is kPrecondition and deletes nothing; kNotFound: no such block any more.
struct CommitConversion {
  BlockId block;
  Generation generation;  // as ConversionBegun said
  std::vector<DurableShard> shards;
  bool operator==(const CommitConversion&) const = default;
};

// --- Background ------------------------------------------------------------------------------

// Takes removed trees and files apart, at most `limit` entries and blocks of them.
struct RemoveStep {
  uint32_t limit = 0;
  bool operator==(const RemoveStep&) const = default;
};

// A generation of a block that its row needs no more.
struct FormerName {
  BlockId block;
  Generation generation;
  auto operator<=>(const FormerName&) const = default;
};

// Garbage blocks, and former generations of others, whose grace is over: from here on chunk servers
// may be told to delete them. Both lists together have at most limits::kDeletionsPerEntry.
struct OrderDeletion {
  std::vector<BlockId> blocks;
  std::vector<FormerName> former;
  bool operator==(const OrderDeletion&) const = default;
};

struct DeletedShard {
  BlockId block;
  uint32_t index = 0;
  Generation generation;  // 0: the one in the block's row
  bool operator==(const DeletedShard&) const = default;
};

// A chunk server deleted (or never had) these shards of ordered blocks; or it is gone for good.
struct AckDeleted {
  NodeId node;
  std::vector<DeletedShard> shards;
  bool operator==(const AckDeleted&) const = default;
};

// What a chunk server found when it read a shard of its, all of it.
struct ShardVerdict {
  BlockId block;
  uint32_t index = 0;
  Generation generation;
  bool sound = false;     // else it is damaged, or not there
  uint32_t checksum = 0;  // of a sound one
  bool operator==(const ShardVerdict&) const = default;
};

// Of shards that their rows place on that node. One that is not sound, or has another checksum than
// its row, is lost: it does not count as durable, and readers do not ask for it while there are
// others. One that is sound after all is durable again. A replica of append logs is lost for good,
// also while the block is not sealed. Verdicts that fit no row do nothing.
struct JudgeShards {
  NodeId node;
  std::vector<ShardVerdict> shards;  // at most limits::kVerdictsPerEntry
  bool operator==(const JudgeShards&) const = default;
};

// The bytes of the block were read, all of them, and have another SHA-256 than the one that its row
// says: no directory knows the block from here on, nor will any again. Its files keep it, and
// readers are told as before. Nobody proves anything: a liar only makes later puts send their
// bytes. Does nothing when the row says another digest, or is gone.
struct DisownBlock {
  BlockId block;
  Sha256Digest digest;  // that the row says
  bool operator==(const DisownBlock&) const = default;
};

using Operation =
    std::variant<CreateCluster, RegisterNode, SetNodeState, SetNodeSpace, RegisterClient,
                 ExpireSession, MakeDirectory, Rename, Remove, StartUpload, AllocateBlocks,
                 CommitBlocks, Publish, AbandonUpload, RenewLease, ExpireLease, RemoveStep,
                 OrderDeletion, AckDeleted, PutInline, SetAttributes, Copy, Truncate, Concatenate,
                 SetQuota, SetTrash, AdvanceTrash, BeginImport, ImportRows, FinishImport,
                 RaiseIncarnation, SetClusterVersion, OpenAppend, ActivateAppend, BeginSeal,
                 FixAppend, BeginConversion, CommitConversion, JudgeShards, SetLayout, PutPacked,
                 MovePacked, UseBlocks, DisownBlock>;

// "make_directory", for errors, traces and metrics.
std::string_view operation_name(const Operation& operation);
// True for operations without a session, most of which only the leader itself proposes.
bool leader_operation(const Operation& operation);
// True for those of them that anybody may send: RegisterClient, what becomes of append blocks and
// of what lies in packs, and that a block is not what its digest says.
bool open_operation(const Operation& operation);

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
  ContentMode content_mode = ContentMode::kNone;
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

struct BlocksUsed {
  uint32_t blocks = 0;  // so many of those asked for, from the first on
  bool operator==(const BlocksUsed&) const = default;
};

struct StepTaken {
  uint32_t entries = 0;
  bool more = false;
  bool operator==(const StepTaken&) const = default;
};

// The file's open append block: `block` begins at its file_offset, has length 0, and its shards are
// the replicas; the server of shard 0 is the primary.
struct AppendOpened {
  FileHandle file;
  placement::Policy policy;  // of the file, that it will be converted to
  PlacedBlock block;
  Epoch epoch;
  uint32_t ordinal = 0;   // from 1 up, of the file's append blocks
  uint64_t capacity = 0;  // bytes that fit the block
  bool operator==(const AppendOpened&) const = default;
};

// A sealed append block whose logs are still there.
struct AppendLog {
  BlockId block;
  Generation generation;  // of the logs
  uint64_t length = 0;
  uint32_t ordinal = 0;
  std::vector<PlacedShard> holders;  // of all its bytes, durably
  bool operator==(const AppendLog&) const = default;
};

// The primary may take records. `previous` is the append block before this one, whose requests it
// must know first; absent when there is none, or when its logs are ordered deleted already.
struct AppendActivated {
  PlacedBlock block;  // as of AppendOpened
  Epoch epoch;
  uint32_t ordinal = 0;
  uint64_t capacity = 0;
  bool first = false;                 // no block before it has a record of this file
  std::optional<AppendLog> previous;  // absent, too, when its logs are gone
  bool operator==(const AppendActivated&) const = default;
};

struct SealBegun {
  Epoch epoch;
  PlacedBlock block;  // as of AppendOpened
  uint32_t ordinal = 0;
  uint64_t capacity = 0;
  std::vector<uint32_t> lost = {};  // replicas that were judged damaged
  bool operator==(const SealBegun&) const = default;
};

struct ConversionBegun {
  AppendLog log;  // where the bytes are
  placement::Policy policy;
  uint32_t cell_bytes = 0;
  PlacedBlock next;  // where they go: the generation, the length, and the shards that have a server
  bool operator==(const ConversionBegun&) const = default;
};

using Reply =
    std::variant<Done, NodeRegistered, ClientRegistered, UploadStarted, BlocksAllocated, StepTaken,
                 AppendOpened, AppendActivated, SealBegun, ConversionBegun, BlocksUsed>;
// kUnknown: the session is expired or the request was acknowledged long ago; whether it was applied
// is not known any more, and it was not applied now.
using Response = Result<Reply>;

}  // namespace dogfs::metadata
