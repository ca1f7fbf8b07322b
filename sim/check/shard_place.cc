#include "sim/check/shard_place.h"

#include "core/chunk/store_identity.h"

namespace dogfs::sim {

NodeId node_on(const DurableDisk& disk) {
  for (const char* path : {"identity", "identity.copy"}) {
    const auto file = disk.find(path);
    if (!file) continue;
    if (const auto identity = chunk::decode_identity(as_bytes(file->bytes))) return identity->node;
  }
  return NodeId(0);
}

NodeId placed_on(const metadata::BlockRow& row, const chunk::ShardName& name) {
  const auto at = [&](const auto& all) -> NodeId {
    if (name.shard >= all.size()) return NodeId(0);
    if constexpr (requires { all[0].node; }) {
      return all[name.shard].node;
    } else {
      return all[name.shard];
    }
  };
  if (name.generation == row.generation) return at(row.shards);
  if (!row.append) return NodeId(0);
  if (row.append->next && row.append->next->generation == name.generation)
    return at(row.append->next->nodes);
  for (const auto& former : row.append->former)
    if (former.generation == name.generation) return at(former.shards);
  return NodeId(0);
}

}  // namespace dogfs::sim
