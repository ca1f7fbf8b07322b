#include "core/namespace/commands.h"

#include <array>

namespace dogfs::metadata {

std::string_view operation_name(const Operation& operation) {
  static constexpr std::array<std::string_view, std::variant_size_v<Operation>> kNames{
      "create_cluster",  "register_node",  "set_node_state", "set_node_space", "register_client",
      "expire_session",  "make_directory", "rename",         "remove",         "start_upload",
      "allocate_blocks", "commit_blocks",  "publish",        "abandon_upload", "renew_lease",
      "expire_lease",    "remove_step",    "order_deletion", "ack_deleted"};
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
    bool operator()(const Publish&) { return false; }
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
  };
  return std::visit(Visitor(), operation);
}

}  // namespace dogfs::metadata
