#pragma once
// Operations on the cluster itself: its birth, its servers and their states. Each checks everything
// and then writes, so that a refused one has written nothing. All are proposed by the leader, and
// do the same when applied twice.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// kInvalid for sizes that no cluster can have.
Result<> check_sizes(const CreateCluster& operation);

// kPrecondition when the build of this server does not understand the cluster version.
Result<> check_understands(const placement::Node& node, uint32_t version);

Response apply(Tables& tables, const EntryContext& entry, const CreateCluster& operation);
Response apply(Tables& tables, const EntryContext& entry, const SetClusterVersion& operation);
Response apply(Tables& tables, const EntryContext& entry, const RegisterNode& operation);
Response apply(Tables& tables, const EntryContext& entry, const SetNodeState& operation);
Response apply(Tables& tables, const EntryContext& entry, const SetNodeSpace& operation);

}  // namespace dogfs::metadata
