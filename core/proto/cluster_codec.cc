#include "core/proto/cluster_codec.h"

#include "core/base/limits.h"
#include "core/proto/cluster.pb.h"

namespace dogfs::proto {
namespace {

template <class Disks>
DiskTotals totals(const Disks& disks) {
  DiskTotals sum;
  for (const auto& disk : disks) {
    if (disk.failed()) continue;
    sum.capacity_bytes += disk.capacity_bytes();
    sum.used_bytes += disk.used_bytes();
  }
  return sum;
}

placement::Node to_node(const MapNode& row) {
  placement::Node node;
  node.id = NodeId(row.node());
  node.kind = static_cast<placement::NodeKind>(row.kind());
  node.name = row.name();
  node.store = StoreId(row.store());
  node.address = row.address();
  node.zone = row.zone();
  node.disks = row.disks();
  node.capacity_bytes = row.capacity_bytes();
  node.used_bytes = row.used_bytes();
  node.state = static_cast<placement::NodeState>(row.state());
  node.newest_version = row.newest_version();
  node.changed = MapVersion(row.changed());
  return node;
}

}  // namespace

void encode(const placement::MapChanges& changes, MapChanges& out) {
  out.set_version(changes.version.value);
  out.set_full(changes.full);
  for (const auto& node : changes.nodes) {
    MapNode& row = *out.add_nodes();
    row.set_node(node.id.value);
    row.set_kind(static_cast<uint32_t>(node.kind));
    row.set_name(node.name);
    row.set_store(node.store.value);
    row.set_address(node.address);
    row.set_zone(node.zone);
    row.set_disks(node.disks);
    row.set_capacity_bytes(node.capacity_bytes);
    row.set_used_bytes(node.used_bytes);
    row.set_state(static_cast<uint32_t>(node.state));
    row.set_newest_version(node.newest_version);
    row.set_changed(node.changed.value);
  }
}

Result<placement::MapChanges> decode(const MapChanges& message) {
  if (static_cast<size_t>(message.nodes_size()) > limits::kNodesMax)
    return fail(Code::kInvalid, "a cluster map of {} nodes; at most {}", message.nodes_size(),
                limits::kNodesMax);
  placement::MapChanges changes{MapVersion(message.version()), message.full(), {}};
  for (const auto& row : message.nodes()) {
    if (row.kind() > UINT8_MAX || row.state() > UINT8_MAX)
      return fail(Code::kInvalid, "node {} of kind {} in state {}", row.node(), row.kind(),
                  row.state());
    placement::Node node = to_node(row);
    TRY_VOID(placement::validate_node(node));
    changes.nodes.push_back(std::move(node));
  }
  return changes;
}

Result<metadata::RegisterNode> decode(const RegisterRequest& request) {
  if (request.kind() != static_cast<uint32_t>(placement::NodeKind::kMetadata) &&
      request.kind() != static_cast<uint32_t>(placement::NodeKind::kChunk))
    return fail(Code::kInvalid, "a server of kind {} does not exist", request.kind());
  if (request.disks_size() < 1)
    return fail(Code::kInvalid, "server '{}' names no disk", request.name());
  const DiskTotals sum = totals(request.disks());
  metadata::RegisterNode node;
  node.node = NodeId(request.node());
  node.kind = static_cast<placement::NodeKind>(request.kind());
  node.name = request.name();
  node.store = StoreId(request.store());
  node.address = request.address();
  node.zone = request.zone();
  node.disks = static_cast<uint32_t>(request.disks_size());
  node.capacity_bytes = sum.capacity_bytes;
  node.used_bytes = sum.used_bytes;
  node.newest_version = request.newest_version();
  return node;
}

std::vector<metadata::DeletedShard> deleted_shards(const HeartbeatRequest& request) {
  std::vector<metadata::DeletedShard> shards;
  for (const auto& row : request.deleted()) {
    if (shards.size() >= limits::kDeletionsPerHeartbeatMax) break;
    shards.push_back({BlockId(row.block()), row.shard()});
  }
  return shards;
}

DiskTotals disk_totals(const HeartbeatRequest& request) { return totals(request.disks()); }

}  // namespace dogfs::proto
