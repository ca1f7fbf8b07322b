#pragma once
// The identity file of a metadata server's data directory: whose directory this is, and which life
// of it. Written once, last, when everything else of a new directory is durable; so a directory
// with an identity is whole, and one without is blank, whatever a crash left in it.
//
// A directory that is damaged is set aside: its files are kept below damaged-STORE/ for a person,
// and it is blank from then on. The identity goes first, so that a crash in the middle leaves no
// directory that seems whole and has lost its log.

#include <optional>
#include <string>
#include <vector>

#include "core/chunk/store_identity.h"
#include "core/env/env.h"

namespace dogfs::nodes {

// Of a metadata server's data directory.
inline constexpr const char* kWalDirectory = "wal";
inline constexpr const char* kSnapshotDirectory = "snapshots";

// Nothing for a blank directory. kPrecondition when it belongs to another cluster or node;
// kCorrupt (also when it cannot be read), kUnsupported, kIo.
Task<Result<std::optional<chunk::StoreIdentity>>> read_identity(Env& env, ClusterId cluster,
                                                                NodeId node);
// Whoever the directory belongs to, or nothing.
Task<Result<std::optional<chunk::StoreIdentity>>> known_identity(Env& env);
// Durable when it returns.
Task<Result<void>> write_identity(Env& env, chunk::StoreIdentity identity);

// Makes the directory blank; the files of these subdirectories, and the identity, are kept. Durable
// when it returns.
Task<Result<void>> set_aside(Env& env, std::vector<std::string> subdirectories);
// To be called before read_identity: ends what a crash interrupted, and says whether a directory
// was ever set aside here. Such a server must not be made a first member of a group again.
Task<Result<bool>> finish_set_aside(Env& env, std::vector<std::string> subdirectories);

}  // namespace dogfs::nodes
