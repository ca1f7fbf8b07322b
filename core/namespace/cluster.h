#pragma once
// Operations on the cluster itself: its birth, its servers and their states.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

Response apply(Tables& tables, const EntryContext& entry, const CreateCluster& operation);
Response apply(Tables& tables, const EntryContext& entry, const RegisterNode& operation);
Response apply(Tables& tables, const EntryContext& entry, const SetNodeState& operation);
Response apply(Tables& tables, const EntryContext& entry, const SetNodeSpace& operation);

}  // namespace dogfs::metadata
