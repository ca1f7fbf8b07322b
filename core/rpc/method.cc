#include "core/rpc/method.h"

namespace dogfs::rpc {

std::string_view method_name(Method method) {
  switch (method) {
    case Method::kRaftMessages: return "raft_messages";
    case Method::kRaftSnapshotPiece: return "raft_snapshot_piece";
    case Method::kMetadataExecute: return "metadata_execute";
    case Method::kMetadataQuery: return "metadata_query";
    case Method::kMetadataStatus: return "metadata_status";
    case Method::kMetadataExport: return "metadata_export";
    case Method::kShardBegin: return "shard_begin";
    case Method::kShardWrite: return "shard_write";
    case Method::kShardFinish: return "shard_finish";
    case Method::kShardAbort: return "shard_abort";
    case Method::kShardRead: return "shard_read";
    case Method::kShardStat: return "shard_stat";
    case Method::kShardDelete: return "shard_delete";
    case Method::kAppendRecord: return "append_record";
    case Method::kAppendLength: return "append_length";
    case Method::kAppendStore: return "append_store";
    case Method::kAppendSeal: return "append_seal";
    case Method::kAppendCatchUp: return "append_catch_up";
    case Method::kAppendEntries: return "append_entries";
    case Method::kAppendRequests: return "append_requests";
    case Method::kRegisterNode: return "register_node";
    case Method::kHeartbeat: return "heartbeat";
    case Method::kShardReport: return "shard_report";
    case Method::kJoinGroup: return "join_group";
    case Method::kChangeGroup: return "change_group";
    case Method::kTransferLeadership: return "transfer_leadership";
    case Method::kRaiseVersion: return "raise_version";
  }
  return "";
}

}  // namespace dogfs::rpc
