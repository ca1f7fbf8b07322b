#pragma once
// Placement: which chunk servers get the shards of a new block. Strategy is what may be swapped;
// place_block() holds the promises that no strategy may bend: distinct live servers, never fewer
// than min_shards, and a clear refusal otherwise.
//
// Pure and deterministic: the same map, policy and seed give the same servers on every replica.
// To change what a strategy answers is therefore to change the replicated state: such a change is
// gated by the cluster version.

#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/placement/cluster_map.h"
#include "core/placement/policy.h"

namespace dogfs::placement {

struct Choice {
  uint32_t count = 0;           // servers wanted
  std::vector<NodeId> exclude;  // servers that hold or lost a shard of the block already
  uint64_t seed = 0;            // spreads blocks; the same seed chooses the same servers
};

class Strategy {
 public:
  virtual ~Strategy() = default;
  // At most choice.count distinct live chunk servers, none excluded; fewer when there are fewer.
  virtual std::vector<NodeId> choose(const ClusterMap& map, const Choice& choice) const = 0;
};

// Draws servers in proportion to their free bytes, from the zones that have the fewest shards of
// this block so far. The default.
class WeightedSpread final : public Strategy {
 public:
  std::vector<NodeId> choose(const ClusterMap& map, const Choice& choice) const override;
};

// The first live servers by id: for tests, which want to know where a shard will be.
class FirstHealthy final : public Strategy {
 public:
  std::vector<NodeId> choose(const ClusterMap& map, const Choice& choice) const override;
};

// The server of each shard of a new block: width() entries, of which the trailing ones are zero
// (unplaced) when fewer servers than width() but at least min_shards() are live.
// kUnavailable below that, naming both numbers; kPrecondition as check_fits().
Result<std::vector<NodeId>> place_block(const Strategy& strategy, const ClusterMap& map,
                                        const Policy& policy, uint64_t seed);

// Refuses a policy that needs more chunk servers than are registered: no waiting would help.
Result<> check_fits(const ClusterMap& map, const Policy& policy);

}  // namespace dogfs::placement
