#pragma once
// Heartbeat: how a chunk server stays known. It registers with the metadata leader, tells it at
// every interval that it lives and how full it is, keeps a copy of the cluster map, deletes the
// shards that the replies order deleted (nothing else ever makes a chunk server delete a shard) and
// names them in its heartbeats until the leader confirms; so it does with its verdicts on doubtful
// shards. It reports all its shards at its start, when a disk has failed and when asked. Owned by
// the chunk node, which runs run(); one thread.

#include <map>
#include <set>
#include <string>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/chunk/shard_file.h"
#include "core/env/event.h"
#include "core/env/network.h"
#include "core/placement/cluster_map.h"

namespace dogfs {
class Nursery;
}
namespace dogfs::chunk {
class AppendDisks;
class Disks;
}  // namespace dogfs::chunk
namespace dogfs::proto {
class DiskStatus;
class HeartbeatReply;
class HeartbeatRequest;
}  // namespace dogfs::proto

namespace dogfs::nodes {

class AppendWorker;
class Compactor;
class MetadataCalls;
class Scrub;
class ShardUploads;
class ShardVerdicts;

// What a chunk server says of itself when it registers.
struct Registration {
  NodeId node;  // 0: the cluster is to choose one
  StoreId store;
  std::string name;
  std::string zone;
  Address address;
};

// Registers once, with all patience: tries until the leader has recorded it. Gives the node's id.
// Errors, final: kInvalid, kDenied, kExists (the name is another server's), kPrecondition.
Task<Result<NodeId>> register_node(Env& env, MetadataCalls& metadata, chunk::Disks& disks,
                                   Registration registration);

class Heartbeat {
 public:
  struct Parts {
    MetadataCalls& metadata;
    chunk::Disks& disks;
    chunk::AppendDisks& logs;
    ShardUploads& uploads;
    AppendWorker& worker;
    Compactor& compactor;
    ShardVerdicts& verdicts;
    const Scrub& scrub;
  };
  Heartbeat(Env& env, const Parts& parts, Registration registration, Duration interval);

  // Until cancelled, or until the cluster refuses this server for good (the error).
  Task<Result<void>> run();

  const placement::ClusterMap& cluster_map() const { return map_; }

 private:
  Task<> keep(Nursery& children, Result<void>& ended);
  Task<Result<void>> beat();
  Result<void> take(const proto::HeartbeatReply& reply);
  Task<> delete_ordered();
  Task<> delete_shard(chunk::ShardName name);
  Task<> report_when_wanted();
  Task<Result<void>> report();
  Task<Result<void>> report_page(chunk::ShardName& after, bool& last);

  Env& env_;
  const Parts parts_;
  const Registration registration_;
  const Duration interval_;
  bool registered_ = false;
  placement::ClusterMap map_;
  std::set<chunk::ShardName> ordered_;  // to be deleted
  std::set<chunk::ShardName> deleted_;  // and not yet confirmed
  Event orders_came_;
  Event report_wanted_;
  uint64_t reports_ = 0;
  size_t failed_disks_ = 0;  // when it was looked last
};

}  // namespace dogfs::nodes
