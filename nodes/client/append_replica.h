#pragma once
// append_replica: how requests about an append block name one of its replicas, and the server that
// the block's row gives it to; any other server refuses them.

#include "core/base/ids.h"

namespace dogfs::proto {
class AppendReplica;
}

namespace dogfs::nodes {

proto::AppendReplica append_replica(BlockId block, Generation generation, uint32_t shard,
                                    NodeId node);

}  // namespace dogfs::nodes
