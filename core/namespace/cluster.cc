#include "core/namespace/cluster.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/namespace/directories.h"
#include "core/namespace/layouts.h"

namespace dogfs::metadata {
namespace {

using placement::ClusterMap;
using placement::Node;
using placement::NodeKind;
using placement::NodeState;

using limits::kFirstAssignedNode;

Node node_of(const RegisterNode& operation, NodeId id, NodeState state) {
  return {.id = id,
          .kind = operation.kind,
          .name = operation.name,
          .store = operation.store,
          .address = operation.address,
          .zone = operation.zone,
          .disks = operation.disks,
          .capacity_bytes = operation.capacity_bytes,
          .used_bytes = operation.used_bytes,
          .state = state,
          .newest_version = operation.newest_version,
          .changed = {}};
}

Result<> check_known(const RegisterNode& operation, const Node& known) {
  if (known.state == NodeState::kGone) {
    return fail(Code::kPrecondition, "node {} is gone for good; register without an id", known.id);
  }
  if (known.name != operation.name || known.kind != operation.kind) {
    return fail(Code::kExists, "node {} is the {} server {}; choose another id or name", known.id,
                placement::kind_name(known.kind), known.name);
  }
  if (known.store == operation.store || known.kind == NodeKind::kMetadata) return {};
  if (operation.node) {
    return fail(Code::kPrecondition,
                "{} has another data directory than node {} had; register without an id",
                operation.name, known.id);
  }
  if (known.state != NodeState::kLive) return {};
  return fail(Code::kUnavailable,
              "{} is live with another data directory; stop it, or choose another name",
              operation.name);
}

Response write_node(Tables& tables, Node node) {
  const NodeId id = node.id;
  const Node* known = tables.map().find(id);
  if (known != nullptr) {
    node.changed = known->changed;
    if (node == *known) return NodeRegistered{.node = id, .version = tables.map().version()};
  }
  TRY_VOID(tables.change_map([&](ClusterMap& map) { return map.put(std::move(node)); }));
  return NodeRegistered{.node = id, .version = tables.map().version()};
}

// `replaced` is the node whose data directory was lost, or null.
Response add_node(Tables& tables, const RegisterNode& operation, const Node* replaced) {
  if (operation.node.value >= tables.settings().next_node) {
    // A server of the cluster that this one is to become, by an import.
    return fail(Code::kUnavailable,
                "node {} is not known here: this cluster has not given that id; if it was founded "
                "anew, import the namespace of the old one",
                operation.node);
  }
  // Whatever its id: the rows of servers come one after another.
  if (tables.settings().importing && operation.kind == NodeKind::kChunk) {
    return fail(Code::kUnavailable, "an import is under way, and may bring back {}; try later",
                operation.name);
  }
  if (operation.node.value >= kFirstAssignedNode) {
    return fail(Code::kInvalid,
                "node ids from {} on are given by the cluster; register without one",
                kFirstAssignedNode);
  }
  if (tables.map().nodes().size() >= limits::kNodesMax) {
    return fail(Code::kTooLarge, "the cluster knows {} nodes, it can take no more",
                limits::kNodesMax);
  }
  if (replaced != nullptr) {
    const NodeId old = replaced->id;
    TRY_VOID(
        tables.change_map([old](ClusterMap& map) { return map.set_state(old, NodeState::kGone); }));
  }
  NodeId id = operation.node;
  if (!id) {
    SettingsRow settings = tables.settings();
    id = NodeId(settings.next_node++);
    tables.put(settings);
  }
  return write_node(tables, node_of(operation, id, NodeState::kLive));
}

// Who does not say it is of the first.
bool understands(uint32_t newest, uint32_t version) { return std::max(newest, 1u) >= version; }

}  // namespace

Result<> check_understands(const Node& node, uint32_t version) {
  if (understands(node.newest_version, version)) return {};
  // Builds of the first version never say it; others do once they serve.
  if (node.newest_version == 0) {
    return fail(Code::kPrecondition,
                "{} has not said that its build knows cluster version {}: wait for it, upgrade it, "
                "or declare it gone, first",
                node.name, version);
  }
  return fail(Code::kPrecondition,
              "{} runs a build for cluster version {}: upgrade it, or declare it gone, first",
              node.name, node.newest_version);
}

Result<> check_sizes(const CreateCluster& operation) {
  if (!operation.cluster) return fail(Code::kInvalid, "a cluster id of 0 means none");
  TRY_VOID(check_block_sizes(operation.block_bytes, operation.cell_bytes));
  if (operation.inline_bytes > limits::kInlineBytesMax) {
    return fail(Code::kInvalid, "inline files of {} bytes: at most {} are allowed",
                operation.inline_bytes, limits::kInlineBytesMax);
  }
  return {};
}

Response apply(Tables& tables, const EntryContext& entry, const CreateCluster& operation) {
  TRY_VOID(check_sizes(operation));
  if (operation.version == 0) return fail(Code::kInvalid, "cluster versions begin at 1");
  if (tables.created()) {
    const ClusterId cluster = tables.settings().settings.cluster;
    if (cluster == operation.cluster) return Done{};
    return fail(Code::kExists, "this is cluster {} already", cluster);
  }
  tables.put(SettingsRow{.settings = {.cluster = operation.cluster,
                                      .incarnation = Incarnation(1),
                                      .cluster_version = operation.version,
                                      .policy = operation.policy,
                                      .block_bytes = operation.block_bytes,
                                      .cell_bytes = operation.cell_bytes,
                                      .inline_bytes = operation.inline_bytes},
                         .next_client = 1,
                         .next_node = kFirstAssignedNode});
  make_root(tables, entry);
  return Done{};
}

Response apply(Tables& tables, const EntryContext&, const SetClusterVersion& operation) {
  SettingsRow row = tables.settings();
  if (operation.version <= row.settings.cluster_version) return Done{};
  for (const auto& [id, node] : tables.map().nodes()) {
    if (node.kind != NodeKind::kChunk || node.state == NodeState::kGone) continue;
    TRY_VOID(check_understands(node, operation.version));
  }
  row.settings.cluster_version = operation.version;
  tables.put(row);
  return Done{};
}

Response apply(Tables& tables, const EntryContext&, const RegisterNode& operation) {
  const NodeId checked_as = operation.node ? operation.node : NodeId(kFirstAssignedNode);
  TRY_VOID(placement::validate_node(node_of(operation, checked_as, NodeState::kLive)));
  const uint32_t version = tables.settings().settings.cluster_version;
  // A metadata server that does not understand it stops at the entry that says so.
  const bool unsaid = operation.newest_version == 0 && operation.kind == NodeKind::kMetadata;
  if (!unsaid && !understands(operation.newest_version, version)) {
    return fail(Code::kUnsupported,
                "{} runs a build for cluster version {}, this cluster is at {}; upgrade it first",
                operation.name, std::max(operation.newest_version, 1u), version);
  }
  const Node* same_name = tables.map().find(operation.name);
  const Node* known = operation.node ? tables.map().find(operation.node) : same_name;
  if (same_name != nullptr && known != same_name) {
    return fail(Code::kExists, "the name {} belongs to node {}", operation.name, same_name->id);
  }
  if (known == nullptr) return add_node(tables, operation, nullptr);
  TRY_VOID(check_known(operation, *known));
  if (known->store != operation.store && known->kind == NodeKind::kChunk) {
    return add_node(tables, operation, known);
  }
  const bool draining = known->state == NodeState::kDraining && known->store == operation.store;
  const auto state = draining ? NodeState::kDraining : NodeState::kLive;
  return write_node(tables, node_of(operation, known->id, state));
}

Response apply(Tables& tables, const EntryContext&, const SetNodeState& operation) {
  if (operation.state < NodeState::kLive || operation.state > NodeState::kGone) {
    return fail(Code::kInvalid, "there is no node state {}", static_cast<int>(operation.state));
  }
  const Node* node = tables.map().find(operation.node);
  if (node != nullptr && operation.seen && node->changed > operation.seen) {
    return fail(Code::kPrecondition, "{} changed at map version {}, after {}", node->name,
                node->changed, operation.seen);
  }
  TRY_VOID(tables.change_map(
      [&](ClusterMap& map) { return map.set_state(operation.node, operation.state); }));
  return Done{};
}

Response apply(Tables& tables, const EntryContext&, const SetNodeSpace& operation) {
  TRY_VOID(tables.change_map([&](ClusterMap& map) {
    return map.set_space(operation.node, operation.capacity_bytes, operation.used_bytes);
  }));
  return Done{};
}

}  // namespace dogfs::metadata
