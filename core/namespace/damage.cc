#include "core/namespace/damage.h"

#include "core/base/limits.h"

namespace dogfs::metadata {

// Logs of appends have their own way of losing replicas: they are sealed and converted.
std::optional<BlockRow> judged(const Tables& tables, NodeId node, const ShardVerdict& verdict) {
  auto row = tables.block(verdict.block);
  if (!row || row->state != BlockState::kSealed || row->has_log()) return std::nullopt;
  if (row->generation != verdict.generation || verdict.index >= row->shards.size())
    return std::nullopt;
  ShardRow& shard = row->shards[verdict.index];
  if (shard.node != node || !(shard.durable || shard.lost)) return std::nullopt;
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
