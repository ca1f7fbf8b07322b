#pragma once
// The identity file of a metadata server's data directory: whose directory this is, and which life
// of it. Written once, last, when everything else of a new directory is durable; so a directory
// with an identity is whole, and one without is blank, whatever a crash left in it.

#include <optional>

#include "core/chunk/store_identity.h"
#include "core/env/env.h"

namespace dogfs::nodes {

// Nothing for a blank directory. kPrecondition when it belongs to another cluster or node;
// kCorrupt, kUnsupported, kIo.
Task<Result<std::optional<chunk::StoreIdentity>>> read_identity(Env& env, ClusterId cluster,
                                                                NodeId node);
// Durable when it returns.
Task<Result<void>> write_identity(Env& env, chunk::StoreIdentity identity);

}  // namespace dogfs::nodes
