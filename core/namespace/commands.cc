#include "core/namespace/commands.h"

#include <array>

namespace dogfs::metadata {
namespace {

template <class... Kinds>
bool is_any(const Operation& operation) {
  return (std::holds_alternative<Kinds>(operation) || ...);
}

}  // namespace

std::string_view operation_name(const Operation& operation) {
  static constexpr std::array<std::string_view, std::variant_size_v<Operation>> kNames{
      "create_cluster",
      "register_node",
      "set_node_state",
      "set_node_space",
      "register_client",
      "expire_session",
      "make_directory",
      "rename",
      "remove",
      "start_upload",
      "allocate_blocks",
      "commit_blocks",
      "publish",
      "abandon_upload",
      "renew_lease",
      "expire_lease",
      "remove_step",
      "order_deletion",
      "ack_deleted",
      "put_inline",
      "set_attributes",
      "copy",
      "truncate",
      "concatenate",
      "set_quota",
      "set_trash",
      "advance_trash",
      "begin_import",
      "import_rows",
      "finish_import",
      "raise_incarnation",
      "set_cluster_version",
      "open_append",
      "activate_append",
      "begin_seal",
      "fix_append",
      "begin_conversion",
      "commit_conversion",
      "judge_shards",
      "set_layout",
      "put_packed",
      "move_packed",
      "use_blocks",
      "disown_block"};
  return kNames[operation.index()];
}

bool leader_operation(const Operation& operation) {
  struct Visitor {
    bool operator()(const MakeDirectory&) { return false; }
    bool operator()(const Rename&) { return false; }
    bool operator()(const Remove&) { return false; }
    bool operator()(const StartUpload&) { return false; }
    bool operator()(const AllocateBlocks&) { return false; }
    bool operator()(const CommitBlocks&) { return false; }
    bool operator()(const UseBlocks&) { return false; }
    bool operator()(const Publish&) { return false; }
    bool operator()(const PutInline&) { return false; }
    bool operator()(const PutPacked&) { return false; }
    bool operator()(const MovePacked&) { return true; }
    bool operator()(const SetAttributes&) { return false; }
    bool operator()(const Copy&) { return false; }
    bool operator()(const Truncate&) { return false; }
    bool operator()(const Concatenate&) { return false; }
    bool operator()(const SetQuota&) { return false; }
    bool operator()(const SetTrash&) { return false; }
    bool operator()(const BeginImport&) { return false; }
    bool operator()(const ImportRows&) { return false; }
    bool operator()(const FinishImport&) { return false; }
    bool operator()(const AdvanceTrash&) { return true; }
    bool operator()(const AbandonUpload&) { return false; }
    bool operator()(const RenewLease&) { return false; }
    bool operator()(const CreateCluster&) { return true; }
    bool operator()(const RegisterNode&) { return true; }
    bool operator()(const SetNodeState&) { return true; }
    bool operator()(const SetNodeSpace&) { return true; }
    bool operator()(const RegisterClient&) { return true; }
    bool operator()(const ExpireSession&) { return true; }
    bool operator()(const ExpireLease&) { return true; }
    bool operator()(const RemoveStep&) { return true; }
    bool operator()(const OrderDeletion&) { return true; }
    bool operator()(const AckDeleted&) { return true; }
    bool operator()(const RaiseIncarnation&) { return true; }
    bool operator()(const SetClusterVersion&) { return true; }
    bool operator()(const OpenAppend&) { return false; }
    bool operator()(const SetLayout&) { return false; }
    bool operator()(const ActivateAppend&) { return true; }
    bool operator()(const BeginSeal&) { return true; }
    bool operator()(const FixAppend&) { return true; }
    bool operator()(const BeginConversion&) { return true; }
    bool operator()(const JudgeShards&) { return true; }
    bool operator()(const CommitConversion&) { return true; }
    bool operator()(const DisownBlock&) { return true; }
  };
  return std::visit(Visitor(), operation);
}

bool open_operation(const Operation& operation) {
  return is_any<RegisterClient, ActivateAppend, BeginSeal, FixAppend, BeginConversion,
                CommitConversion, MovePacked, DisownBlock>(operation);
}

bool needs_room(const Operation& operation) {
  struct Visitor {
    bool operator()(const MakeDirectory&) { return true; }
    bool operator()(const Rename&) { return true; }
    bool operator()(const Remove&) { return false; }
    bool operator()(const StartUpload&) { return true; }
    bool operator()(const AllocateBlocks&) { return true; }
    bool operator()(const CommitBlocks&) { return true; }
    bool operator()(const UseBlocks&) { return true; }
    bool operator()(const Publish&) { return true; }
    bool operator()(const PutInline&) { return true; }
    bool operator()(const PutPacked&) { return true; }
    bool operator()(const MovePacked&) { return true; }
    bool operator()(const SetAttributes&) { return true; }
    bool operator()(const Copy&) { return true; }
    bool operator()(const Truncate&) { return false; }
    bool operator()(const Concatenate&) { return true; }
    bool operator()(const SetQuota&) { return true; }
    bool operator()(const SetTrash&) { return false; }  // without one, removal frees at once
    bool operator()(const BeginImport&) { return true; }
    bool operator()(const ImportRows&) { return true; }
    bool operator()(const FinishImport&) { return true; }
    bool operator()(const AdvanceTrash&) { return false; }
    bool operator()(const AbandonUpload&) { return false; }
    bool operator()(const RenewLease&) { return false; }
    bool operator()(const CreateCluster&) { return true; }
    bool operator()(const RegisterNode&) { return false; }
    bool operator()(const SetNodeState&) { return false; }
    bool operator()(const SetNodeSpace&) { return false; }
    bool operator()(const RegisterClient&) { return false; }  // whoever removes needs a session
    bool operator()(const ExpireSession&) { return false; }
    bool operator()(const ExpireLease&) { return false; }
    bool operator()(const RemoveStep&) { return false; }
    bool operator()(const OrderDeletion&) { return false; }
    bool operator()(const AckDeleted&) { return false; }
    bool operator()(const RaiseIncarnation&) { return false; }
    bool operator()(const SetClusterVersion&) { return false; }
    bool operator()(const OpenAppend&) { return true; }
    bool operator()(const SetLayout&) { return true; }
    bool operator()(const ActivateAppend&) { return true; }
    bool operator()(const BeginSeal&) { return false; }
    bool operator()(const FixAppend&) { return false; }
    bool operator()(const BeginConversion&) { return true; }
    bool operator()(const JudgeShards&) { return false; }
    bool operator()(const CommitConversion&) { return false; }
    bool operator()(const DisownBlock&) { return false; }
  };
  return std::visit(Visitor(), operation);
}

}  // namespace dogfs::metadata
