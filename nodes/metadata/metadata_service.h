#pragma once
// MetadataService: what a metadata server answers to clients and to chunk servers. It checks what
// came in, asks the group, and turns answers into messages. Owned by the metadata node, which
// registers it with its rpc server; one thread.

#include <map>

#include "core/proto/cluster_codec.h"
#include "core/rpc/server.h"
#include "nodes/metadata/append_tasks.h"
#include "nodes/metadata/compaction.h"
#include "nodes/metadata/deletion.h"
#include "nodes/metadata/expiry.h"
#include "nodes/metadata/exports.h"
#include "nodes/metadata/liveness.h"
#include "nodes/metadata/metadata_group.h"
#include "nodes/metadata/raft_peers.h"

namespace dogfs::proto {
class MemberStatus;
class MetadataStatusReply;
}  // namespace dogfs::proto

namespace dogfs::nodes {

class MetadataService {
 public:
  struct Parts {
    MetadataGroup& group;
    RaftPeers& peers;
    Liveness& liveness;
    Expiry& expiry;
    Deletion& deletion;
    AppendTasks& append_tasks;
    Compaction& compaction;
    Exports& exports;
  };
  MetadataService(ClusterId cluster, const Parts& parts) : cluster_(cluster), parts_(parts) {}

  void register_with(rpc::Server& server);

 private:
  void execute(rpc::Call call, rpc::Responder respond);
  void query(rpc::Call call, rpc::Responder respond);
  Task<Result<rpc::Reply>> status(rpc::Call call);
  Task<Result<rpc::Reply>> export_rows(rpc::Call call);
  Task<Result<rpc::Reply>> register_node(rpc::Call call);
  Task<Result<rpc::Reply>> heartbeat(rpc::Call call);
  Task<Result<rpc::Reply>> shard_report(rpc::Call call);
  Task<bool> record_deleted(metadata::AckDeleted deleted);

  rpc::Reply redirect() const;
  void describe(const raft::Member& member, proto::MemberStatus& row) const;
  void describe_disks(proto::MetadataStatusReply& reply) const;
  // How many of the verdicts need not be told again.
  Task<size_t> record_verdicts(NodeId node, std::vector<metadata::ShardVerdict> verdicts);

  const ClusterId cluster_;
  const Parts parts_;
  std::map<NodeId, proto::DiskReports> disks_;  // as each server said last
};

}  // namespace dogfs::nodes
