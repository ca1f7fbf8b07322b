#pragma once
// The cluster version: which commands may stand in the log. It is replicated (ClusterSettings) and
// only rises, when an operator says so and every server can read what comes with it; so a cluster
// is upgraded server by server, and the first entry that an old build would not know is written
// when no old build is left. A server that meets one all the same stops: nothing is skipped.
//
// A new kind of command, or a new meaning of an old one, gets a version of its own here. A build
// understands all versions up to its newest, and never proposes what is above the cluster's.
//
//   1  directories, uploads, leases, sessions, nodes, deletion, versions, forced recovery
//   2  inline files, attributes, askers, conditions on versions, copy, truncate, concatenate,
//      quotas, trash, import
//   3  appends: append blocks, their sealing and conversion, former generations; layouts: block and
//      cell sizes of directories and files; packs
//   4  compaction of packs; digests of blocks, and blocks shared by them
//   5  disowned blocks; verdicts on append logs; cuts of files

#include <cstdint>

#include "core/base/error.h"
#include "core/namespace/commands.h"

namespace dogfs::metadata {

// From this one on an acknowledgement of deleted shards names their generation.
inline constexpr uint32_t kGenerationsDeletedVersion = 3;

// From this one on the bytes of packs are moved to others.
inline constexpr uint32_t kCompactionVersion = 4;

// From this one on verdicts on replicas of append logs count.
inline constexpr uint32_t kLogVerdictsVersion = 5;

// From this one on files count how often they were cut.
inline constexpr uint32_t kCutsVersion = 5;

// The newest that this build understands.
uint32_t newest_cluster_version();

// The version that brought the command.
uint32_t version_of(const Command& command);

// kUnsupported, for a person, when the command is above the cluster's version; 0: not created yet.
Result<> check_version(const Command& command, uint32_t cluster_version);

}  // namespace dogfs::metadata
