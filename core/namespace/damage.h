#pragma once
// What chunk servers find out about the shards that they hold: which of those that count as durable
// are damaged or missing, and which are sound after all. Proposed by the leader when it was told;
// does the same when applied twice.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// What a verdict changes in the block's row; nothing when it fits no shard of it, or changes none.
std::optional<BlockRow> judged(const Tables& tables, NodeId node, const ShardVerdict& verdict);

Response apply(Tables& tables, const EntryContext& entry, const JudgeShards& operation);

}  // namespace dogfs::metadata
