#pragma once
// Where shards and append logs lie: in which folders of a chunk server's disk, whose disk it is,
// and which server a block's row names for each. Pure.

#include <string_view>

#include "core/base/ids.h"
#include "core/chunk/shard_file.h"
#include "core/namespace/schema.h"
#include "sim/check/durable_disk.h"

namespace dogfs::sim {

inline constexpr std::string_view kShardsFolder = "shards/";
inline constexpr std::string_view kLogsFolder = "appends/";

// The node that a disk belongs to, as written on it; 0 on a blank one.
NodeId node_on(const DurableDisk& disk);

// The server that the row names for a shard of that generation: of the one in use, of one that is
// being made, or of one that is still to be deleted. 0: none.
NodeId placed_on(const metadata::BlockRow& row, const chunk::ShardName& name);

}  // namespace dogfs::sim
