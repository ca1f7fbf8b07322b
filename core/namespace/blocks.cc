#include "core/namespace/blocks.h"

#include <algorithm>

namespace dogfs::metadata {
namespace {

// The shards of the logs' generation, unless chunk servers may be deleting them.
const std::vector<ShardRow>* logs_of(const BlockRow& block) {
  if (!block.append || block.state == BlockState::kOrdered) return nullptr;
  if (block.has_log()) return &block.shards;
  const auto& all = block.append->former;
  const auto logs = std::ranges::find(all, kLogGeneration, &FormerRow::generation);
  return logs == all.end() || logs->ordered ? nullptr : &logs->shards;
}

}  // namespace

PlacedBlock placed(BlockId id, const BlockRow& block, uint64_t file_offset) {
  PlacedBlock out{.block = id,
                  .generation = block.generation,
                  .file_offset = file_offset,
                  .length = block.length,
                  .shards = {}};
  for (uint32_t i = 0; i < block.shards.size(); ++i) {
    if (!block.shards[i].node) continue;
    out.shards.push_back({.index = i, .node = block.shards[i].node, .address = {}});
  }
  return out;
}

std::optional<AppendLog> append_log(BlockId id, const BlockRow& block) {
  const auto* logs = logs_of(block);
  if (logs == nullptr) return std::nullopt;
  AppendLog out{.block = id,
                .generation = kLogGeneration,
                .length = block.length,
                .ordinal = block.append->ordinal,
                .holders = {}};
  const auto add = [&](bool ShardRow::* which) {
    for (uint32_t i = 0; i < logs->size(); ++i) {
      const ShardRow& shard = (*logs)[i];
      if (shard.*which) out.holders.push_back({.index = i, .node = shard.node, .address = {}});
    }
  };
  add(&ShardRow::durable);
  add(&ShardRow::lost);
  if (out.holders.empty()) return std::nullopt;
  return out;
}

}  // namespace dogfs::metadata
