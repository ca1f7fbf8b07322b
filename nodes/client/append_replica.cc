#include "nodes/client/append_replica.h"

#include "core/proto/append.pb.h"

namespace dogfs::nodes {

proto::AppendReplica append_replica(BlockId block, Generation generation, uint32_t shard,
                                    NodeId node) {
  proto::AppendReplica replica;
  replica.set_block(block.value);
  replica.set_generation(generation.value);
  replica.set_shard(shard);
  replica.set_node(node.value);
  return replica;
}

}  // namespace dogfs::nodes
