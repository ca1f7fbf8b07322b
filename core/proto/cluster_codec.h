#pragma once
// The messages of cluster.proto as the values they carry. Everything decoded is validated: bytes
// may come from anybody.

#include <vector>

#include "core/base/error.h"
#include "core/namespace/commands.h"
#include "core/placement/cluster_map.h"

namespace dogfs::proto {

class HeartbeatRequest;
class MapChanges;
class RegisterRequest;

void encode(const placement::MapChanges& changes, MapChanges& out);
// kInvalid for a node that validate_node() refuses, or too many of them.
Result<placement::MapChanges> decode(const MapChanges& message);

// kInvalid for a kind that does not exist or a server without a disk.
Result<metadata::RegisterNode> decode(const RegisterRequest& request);

// What a chunk server says it deleted, in its order; at most as many as one entry may confirm.
std::vector<metadata::DeletedShard> deleted_shards(const HeartbeatRequest& request);

// Capacity and use of all disks of a sender that have not failed.
struct DiskTotals {
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;
};
DiskTotals disk_totals(const HeartbeatRequest& request);

}  // namespace dogfs::proto
