#pragma once
// What answers say of a block's row: where its shards go, and where its append logs are. Pure
// functions of a row; addresses are left to StateMachine, which takes them from the cluster map of
// the moment.

#include "core/namespace/commands.h"
#include "core/namespace/schema.h"

namespace dogfs::metadata {

// With all shards that have a server, durable or not.
PlacedBlock placed(BlockId id, const BlockRow& block, uint64_t file_offset);

// The logs of a block with all its bytes: it is sealed, or was. None when they are ordered deleted.
std::optional<AppendLog> append_log(BlockId id, const BlockRow& block);

}  // namespace dogfs::metadata
