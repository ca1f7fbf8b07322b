#pragma once
// Every bound of DogFS, and the relations between them. A queue, batch, retry, frame or loop over
// input that has no bound here is a defect.

#include <cstddef>
#include <cstdint>

#include "core/base/time.h"

namespace dogfs::limits {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kGiB = 1024 * kMiB;

// Names and paths.
inline constexpr size_t kNameBytesMax = 255;
inline constexpr size_t kPathBytesMax = 4096;
inline constexpr size_t kPathDepthMax = 256;

// What inodes carry beside their content.
inline constexpr size_t kUserNameBytesMax = 64;
inline constexpr size_t kGroupsPerAskerMax = 64;
inline constexpr size_t kLabelsMax = 64;  // of one inode
inline constexpr size_t kLabelsBytesMax = 16 * kKiB;
inline constexpr size_t kLabelNameBytesMax = 255;

// Blocks and shards.
inline constexpr uint32_t kShardsMax = 32;  // k + m
inline constexpr uint64_t kBlockBytesMin = 1 * kMiB;
inline constexpr uint64_t kBlockBytesDefault = 64 * kMiB;
inline constexpr uint64_t kBlockBytesMax = 512 * kMiB;
inline constexpr uint32_t kCellBytesDefault = 256 * kKiB;
inline constexpr uint32_t kCellBytesMax = 1 * kMiB;
inline constexpr uint32_t kInlineBytesDefault = 4 * kKiB;  // files up to here live in their inode
inline constexpr uint32_t kInlineBytesMax = 64 * kKiB;
inline constexpr uint64_t kCellsPerShardMax = 128 * kKiB;  // bounds a shard's table of checksums
static_assert(kBlockBytesMax / kCellBytesDefault <= kCellsPerShardMax,
              "a replicated block of any size fits with default cells");

// Chunk store.
inline constexpr size_t kShardWritersMax = 256;  // shards that are being written to one store
inline constexpr size_t kOpenShardsMax = 64;     // files kept open for reading
inline constexpr size_t kShardReadBytesMax = 4 * kMiB;
static_assert(kCellBytesMax <= kShardReadBytesMax);

// Append blocks (core/chunk/append_log.h). One is sealed, and a next one begun, before it would
// pass any of these.
inline constexpr size_t kAppendRecordBytesMax = 1 * kMiB;  // one record; and the data of one entry
inline constexpr size_t kAppendHeadBytesMax = 1 * kMiB;    // of one entry
inline constexpr size_t kAppendLogEntriesMax = 64 * kKiB;  // of one block
inline constexpr size_t kAppendRequestsMax = 16 * kKiB;    // remembered, so that each is kept once
inline constexpr size_t kAppendBatchBytesMax = 4 * kMiB;   // one write and one sync
inline constexpr size_t kAppendQueueBytesMax = 8 * kMiB;   // of one replica, not durable yet
inline constexpr size_t kAppendLogsMax = 1024;             // in use at one chunk server
inline constexpr size_t kAppendLogsKeptOpenMax = 64;       // of those that nobody uses
inline constexpr size_t kAppendTasksMax = 1024;            // of sealing and converting, that wait
inline constexpr size_t kPackedBytesMax = 1 * kMiB;        // longer files get blocks of their own
inline constexpr uint32_t kPacksPerPolicy = 8;       // open at once, for writers to choose from
inline constexpr uint64_t kPackLivePercentMin = 50;  // of a block of a pack; below, it is compacted
inline constexpr size_t kReferrersPerAnswer = 256;   // files that have bytes of a block
inline constexpr size_t kCompactionsMax = 64;        // blocks that wait at one chunk server
inline constexpr size_t kMovesInFlightMax = 16;      // stretches of a block that is compacted
inline constexpr size_t kMovedRangesMax = 64 * kKiB;  // stretches remembered, for other files
static_assert(kAppendRequestsMax * 48 <= kAppendHeadBytesMax, "they are handed over as one entry");
static_assert(kAppendRecordBytesMax + kAppendHeadBytesMax < kAppendBatchBytesMax);
static_assert(kPackedBytesMax <= kAppendRecordBytesMax, "a packed file is one record");
static_assert(kPackedBytesMax <= kBlockBytesMin, "and fits any block");

// Frames (core/rpc).
inline constexpr uint32_t kFrameMessageBytesMax = 4 * kMiB;
inline constexpr uint32_t kFrameBulkBytesMax = 4 * kMiB;
inline constexpr uint64_t kFrameOverheadBytes = 256;  // what being remembered costs in credit
inline constexpr uint64_t kConnectionWindowBytes = 16 * kMiB;  // credit per direction
inline constexpr uint64_t kConnectionWindowMin = 10 * kMiB;
inline constexpr uint64_t kConnectionWindowMax = 256 * kMiB;
inline constexpr uint64_t kCreditReturnShare = 8;  // returned when a window's 8th has come together
inline constexpr size_t kCallsPerConnectionMax = 4096;
inline constexpr size_t kHandlersPerConnectionMax = 256;  // at work; further requests wait
inline constexpr size_t kServerCallsMax = 8192;           // further ones are refused as busy
inline constexpr size_t kServerConnectionsMax = 4096;
inline constexpr size_t kCredentialBytesMax = 4 * kKiB;
inline constexpr uint32_t kHelloBytesMax = 8 * kKiB;
inline constexpr uint32_t kErrorTextBytesMax = 4 * kKiB;
inline constexpr size_t kOneWayQueueBytesMax = 32 * kMiB;  // unsent, per channel
inline constexpr Duration kCallDeadlineMax = std::chrono::hours(24);
static_assert(kFrameMessageBytesMax + kFrameBulkBytesMax + kFrameOverheadBytes <=
                  kConnectionWindowMin - kConnectionWindowMin / kCreditReturnShare,
              "a largest frame must fit what is surely returned, or it could never be sent");
static_assert(kConnectionWindowMin <= kConnectionWindowBytes &&
              kConnectionWindowBytes <= kConnectionWindowMax);
static_assert(kCredentialBytesMax < kHelloBytesMax);
static_assert(kAppendRecordBytesMax + kAppendHeadBytesMax < kFrameBulkBytesMax);
static_assert(kCellBytesMax <= kFrameBulkBytesMax && kShardReadBytesMax <= kFrameBulkBytesMax);

// Raft and its log.
inline constexpr size_t kProposalBytesMax = 1 * kMiB;
inline constexpr size_t kAppendBytesMax = 2 * kMiB;  // entries of one append message
inline constexpr size_t kAppendEntriesMax = 1024;
inline constexpr size_t kAppendsInFlightMax = 16;            // per follower
inline constexpr size_t kAppendBytesInFlightMax = 8 * kMiB;  // per follower
inline constexpr size_t kUncommittedBytesMax = 64 * kMiB;    // proposals a leader holds
inline constexpr size_t kReadsWaitingMax = 65536;            // for one leadership check
inline constexpr size_t kGroupMembersMax = 32;               // voters, learners, outgoing voters
inline constexpr uint64_t kRaftTermMax = uint64_t{1} << 56;  // nobody gets there; more is garbage
inline constexpr uint64_t kRaftIndexMax = uint64_t{1} << 56;
inline constexpr size_t kRaftMessagesPerFrameMax = 1024;  // of any groups
inline constexpr size_t kSnapshotPieceBytes = 1 * kMiB;
inline constexpr uint64_t kWalSegmentBytes = 16 * kMiB;
inline constexpr uint64_t kMetadataReserveBytes = 64 * kMiB;  // of a metadata server's disk
inline constexpr size_t kWalRecordBytesMax = 4 * kMiB;
inline constexpr size_t kWalBatchBytesMax = 8 * kMiB;      // one write and one sync
inline constexpr size_t kWalQueueBytesMax = 64 * kMiB;     // waiting for the disk
inline constexpr size_t kSnapshotChunkBytes = 256 * kKiB;  // checksummed together, in the file
inline constexpr size_t kSnapshotHeadBytesMax = 64 * kKiB;
static_assert(kProposalBytesMax <= kAppendBytesMax);
static_assert(kAppendBytesMax <= kFrameMessageBytesMax);
static_assert(kAppendBytesMax <= kAppendBytesInFlightMax);
static_assert(kAppendBytesInFlightMax <= kOneWayQueueBytesMax);
static_assert(kSnapshotPieceBytes <= kFrameBulkBytesMax);
static_assert(kProposalBytesMax < kWalRecordBytesMax && kWalRecordBytesMax < kWalBatchBytesMax);
static_assert(kInlineBytesMax + kPathBytesMax <= kProposalBytesMax / 2, "created by one entry");
static_assert(kWalBatchBytesMax < kWalSegmentBytes && kWalBatchBytesMax <= kWalQueueBytesMax);

// Sessions and listings.
inline constexpr size_t kSessionResultsMax = 256;  // remembered per client and slot
inline constexpr size_t kSessionsMax = 100'000;
inline constexpr size_t kUploadsMax = 100'000;  // open at once
inline constexpr size_t kListPageMax = 1000;
inline constexpr size_t kBlocksPerAllocation = 16;
inline constexpr size_t kBlocksPerLocation = 256;  // fits a frame at full width and address
inline constexpr size_t kFileBlocksMax = 65'536;
inline constexpr size_t kFormerGenerationsMax = 4;  // of a block, before another is begun
inline constexpr size_t kAppendReplicas = 3;        // where there are so many servers
inline constexpr size_t kRemoveStepMax = 1000;  // entries and blocks taken apart by one log entry
inline constexpr size_t kDeletionsPerEntry = 1000;
inline constexpr size_t kVerdictsPerEntry = 256;  // on shards, by their servers
inline constexpr size_t kTrashStepMax = 100;      // names dropped by one log entry
inline constexpr uint64_t kTrashSecondsMax = 100 * 366 * 86'400ull;
inline constexpr size_t kSharedPerEntry = 1000;  // blocks copied or joined by one log entry
// Rows brought in by one log entry; the one of a file with kFileBlocksMax blocks is among them.
inline constexpr size_t kImportBytesMax = 960 * kKiB;
inline constexpr size_t kImportRowsMax = 10'000;
inline constexpr size_t kExportPieceBytes = 512 * kKiB;
inline constexpr size_t kExportsMax = 4;         // frozen states held for readers
inline constexpr size_t kJoinedFilesMax = 1000;  // of one concatenation
inline constexpr size_t kDirectBlocksMax = 16;   // of a file removed without a background step
static_assert(kDirectBlocksMax <= kRemoveStepMax);
static_assert(kImportBytesMax < kProposalBytesMax);

// Uploads to a chunk server, and the client's side of them.
inline constexpr size_t kUploadWindowBytes = 4 * kMiB;      // of one shard, sent and not written
inline constexpr size_t kUploadQueueBytesMax = 256 * kMiB;  // of all shards, at a chunk server
inline constexpr size_t kUploadsRememberedMax = 1024;       // finished, for repeated questions
inline constexpr size_t kClientRequestsMax = 64;            // of one session, under way
inline constexpr size_t kRecordsInFlightMax = 64;           // of one appender
static_assert(kUploadWindowBytes >= 2 * kCellBytesMax);
static_assert(kUploadWindowBytes <= kConnectionWindowMin);
static_assert(kClientRequestsMax <= kSessionResultsMax / 2);

// Cluster.
// Node ids below are given by configuration (metadata servers need theirs before there is a cluster
// to ask), ids from here on by the cluster.
inline constexpr uint32_t kFirstAssignedNode = 1024;
inline constexpr size_t kNodesMax = 4096;
inline constexpr size_t kDeletionsPerHeartbeatMax = 256;
inline constexpr size_t kMapDiffsMax = 256;  // ring of cluster map changes

}  // namespace dogfs::limits
