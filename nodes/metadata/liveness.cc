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
  while (group_.leading() && group_.term() == term) {
    std::vector<metadata::SetNodeState> changes;
    for (const auto& [id, node] : group_.state().cluster_map().nodes())
      if (auto change = judge(node)) changes.push_back(*change);
    for (auto& change : changes) {
      env_.log().info("node {} is {}", change.node, placement::state_name(change.state));
      // A refusal means that the node or the leader changed meanwhile: the next look sees it.
      if (auto done = co_await group_.propose(change); !done)
        env_.log().debug("state of node {}: {}", change.node, done.error());
    }
    co_await env_.sleep(options_.look_every);
  }
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
