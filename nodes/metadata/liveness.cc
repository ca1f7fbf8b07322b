#include "nodes/metadata/liveness.h"

namespace dogfs::nodes {

using placement::NodeState;

Task<> Liveness::run() {
  for (;;) {
    co_await group_.leadership();
    last_heard_.clear();
    elected_ = env_.now();
    co_await watch(group_.term());
  }
}

Task<> Liveness::watch(Term term) {
  while (group_.leads(term)) {
    std::vector<NodeId> changed;
    for (const auto& [id, node] : group_.state().cluster_map().nodes())
      if (judge(node)) changed.push_back(id);
    for (const NodeId id : changed) {
      co_await propose_state(id);
      if (!group_.leads(term)) co_return;  // another leader may have heard the others
    }
    co_await env_.sleep(options_.look_every);
  }
}

// Judges again: the node may have been heard while the proposals before this one were under way.
Task<> Liveness::propose_state(NodeId id) {
  const placement::Node* node = group_.state().cluster_map().find(id);
  if (node == nullptr) co_return;
  const auto change = judge(*node);
  if (!change) co_return;
  env_.log().info("node {} is {}", id, placement::state_name(change->state));
  // A refusal means that the node or the leader changed meanwhile: the next look sees it.
  if (auto done = co_await group_.propose(*change); !done)
    env_.log().debug("state of node {}: {}", id, done.error());
}

std::optional<metadata::SetNodeState> Liveness::judge(const placement::Node& node) {
  if (node.kind != placement::NodeKind::kChunk) return std::nullopt;  // Raft watches its own
  if (node.state == NodeState::kGone || node.state == NodeState::kDraining) return std::nullopt;
  const auto heard = last_heard_.find(node.id);
  const Duration silent = env_.now() - (heard == last_heard_.end() ? elected_ : heard->second);
  NodeState state = NodeState::kLive;
  if (silent >= options_.suspect_after) state = NodeState::kSuspect;
  if (silent >= options_.dead_after) state = NodeState::kDead;
  // An election makes nobody healthier: that takes a heartbeat.
  if (heard == last_heard_.end() && state < node.state) return std::nullopt;
  if (state == node.state) return std::nullopt;
  return metadata::SetNodeState{node.id, state, node.changed};
}

}  // namespace dogfs::nodes
