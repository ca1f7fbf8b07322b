#pragma once
// Deletion: how removed bytes leave the disks. The leader takes removed trees apart in bounded
// steps, lets garbage blocks, and generations that a block needs no more, wait out their grace on
// its monotonic clock, proposes the order to delete, and hands committed orders to chunk servers in
// the replies to their heartbeats until they confirm. A chunk server never deletes on anything
// else. Owned by the metadata node.

#include <map>
#include <vector>

#include "core/base/time.h"
#include "nodes/metadata/metadata_group.h"

namespace dogfs::nodes {

struct DeletionOptions {
  Duration grace = std::chrono::minutes(10);
  Duration look_every = std::chrono::seconds(1);
  uint32_t step_entries = 512;
};

class Deletion {
 public:
  struct Order {
    BlockId block;
    uint32_t shard = 0;
    Generation generation;
    PlacementVersion placement_version;
  };

  Deletion(Env& env, DeletionOptions options, MetadataGroup& group)
      : env_(env), options_(options), group_(group) {}

  // For ever; does something only while this server leads.
  Task<> run();
  // Committed orders for one chunk server, at most `limit`. Only the leader gives any.
  std::vector<Order> orders_for(NodeId node, size_t limit) const;

 private:
  Task<> watch(Term term);
  Task<> take_trees_apart();
  Task<> order_what_is_due();
  struct Found;
  Task<> find_garbage(Found& found);
  Task<> find_formers(Found& found);
  void sort_out(BlockId block, PlacementVersion version,
                const std::vector<metadata::GarbageShard>& shards, Found& found) const;
  bool is_due(metadata::FormerName name, Found& found) const;
  Task<> propose(metadata::OrderDeletion due);
  bool is_gone(NodeId node) const;

  Env& env_;
  const DeletionOptions options_;
  MetadataGroup& group_;
  // Generations of blocks (0: garbage, all of it) not ordered yet, since the election.
  std::map<metadata::FormerName, Instant> first_seen_;
  std::map<NodeId, std::vector<Order>> orders_;
};

}  // namespace dogfs::nodes
