#include "core/namespace/damage.h"

#include "core/base/limits.h"
#include "core/namespace/cluster_version.h"

namespace dogfs::metadata {
namespace {

// The block is sealed and converted for it, from others. The log is not believed again: one whose
// end was cut off as torn would seem sound.
std::optional<BlockRow> with_log_judged(const Tables& tables, BlockRow row, uint32_t index,
                                        const ShardVerdict& verdict) {
  if (tables.settings().settings.cluster_version < kLogVerdictsVersion) return std::nullopt;
  ShardRow& shard = row.shards[index];
  if (verdict.sound || shard.lost || !(shard.durable || row.unsealed())) return std::nullopt;
  shard.durable = false;
  shard.lost = true;
  return row;
}

}  // namespace

std::optional<BlockRow> judged(const Tables& tables, NodeId node, const ShardVerdict& verdict) {
  auto row = tables.block(verdict.block);
  if (!row || row->is_garbage() || row->state == BlockState::kOpen) return std::nullopt;
  if (row->generation != verdict.generation || verdict.index >= row->shards.size())
    return std::nullopt;
  ShardRow& shard = row->shards[verdict.index];
  if (shard.node != node) return std::nullopt;
  if (row->has_log()) return with_log_judged(tables, *std::move(row), verdict.index, verdict);
  if (!(shard.durable || shard.lost)) return std::nullopt;
  const bool sound = verdict.sound && verdict.checksum == shard.checksum;
  if (shard.durable == sound) return std::nullopt;
  shard.durable = sound;
  shard.lost = !sound;
  return row;
}

Response apply(Tables& tables, const EntryContext&, const JudgeShards& operation) {
  if (operation.shards.size() > limits::kVerdictsPerEntry) {
    return fail(Code::kInvalid, "{} shards judged at once, at most {} are allowed",
                operation.shards.size(), limits::kVerdictsPerEntry);
  }
  for (const ShardVerdict& verdict : operation.shards) {
    if (const auto row = judged(tables, operation.node, verdict)) tables.put(verdict.block, *row);
  }
  return Done{};
}

}  // namespace dogfs::metadata
