#include "nodes/metadata/append_tasks.h"

#include <algorithm>

namespace dogfs::nodes {
namespace {

using metadata::AppendBlock;
using metadata::AppendTask;
using metadata::AppendTaskKind;
using metadata::LocatedState;
using placement::NodeState;

constexpr size_t kPage = 256;

AppendTaskKind kind_of(const AppendBlock& block) {
  return block.state == LocatedState::kSealed ? AppendTaskKind::kConvert : AppendTaskKind::kSeal;
}

}  // namespace

Task<> AppendTasks::run() {
  for (;;) {
    co_await group_.leadership();
    watched_.clear();
    co_await watch(group_.term());
  }
}

Task<> AppendTasks::watch(Term term) {
  while (group_.leads(term)) {
    look();
    co_await env_.sleep(options_.look_every);
  }
}

// Blocks that are gone, or converted, are forgotten with their tasks.
void AppendTasks::look() {
  std::map<BlockId, Watched> seen;
  std::vector<AppendBlock> idle;
  at_work_.clear();
  for (BlockId after;;) {
    const auto page = group_.state().append_blocks(after, kPage);
    if (page.empty()) break;
    after = page.back().block;
    for (const AppendBlock& block : page) {
      const auto known = watched_.find(block.block);
      const bool same = known != watched_.end() && known->second.state == block.state;
      Watched& watched = seen[block.block];
      watched = same ? known->second : Watched{.state = block.state, .since = env_.now()};
      if (!needs_work(block, watched)) continue;
      if (is_given(watched)) {
        ++at_work_[watched.given_to];
      } else {
        idle.push_back(block);
      }
    }
  }
  watched_ = std::move(seen);
  for (const AppendBlock& block : idle) give(block, watched_[block.block]);
}

bool AppendTasks::needs_work(const AppendBlock& block, Watched& watched) {
  switch (block.state) {
    case LocatedState::kSealed: return true;
    case LocatedState::kSealing: return env_.now() - watched.since >= options_.sealing_after;
    case LocatedState::kAppending: return needs_sealing(block, watched);
  }
  return false;
}

// An open block that lost a replica could lose what is acknowledged with the next one.
bool AppendTasks::needs_sealing(const AppendBlock& block, Watched& watched) {
  if (block.damaged) return true;
  NodeState worst = NodeState::kLive;
  for (const auto& shard : block.shards) worst = std::max(worst, state_of(shard.node));
  if (worst > NodeState::kSuspect) return true;
  if (worst == NodeState::kLive) watched.suspicious.reset();
  if (worst == NodeState::kSuspect) {
    if (!watched.suspicious) watched.suspicious = env_.now();
    if (env_.now() - *watched.suspicious >= options_.suspicious_after) return true;
  }
  const Duration open = env_.now() - watched.since;
  return open >= options_.open_after || (block.activation == 0 && open >= options_.unused_after);
}

bool AppendTasks::is_given(const Watched& watched) const {
  const bool seal = watched.task.kind == AppendTaskKind::kSeal;
  const Duration patience = seal ? options_.seal_again_after : options_.convert_again_after;
  return watched.given_to && env_.now() - watched.given_at < patience;
}

void AppendTasks::give(const AppendBlock& block, Watched& watched) {
  const NodeId node = chosen(block, watched.given_to);
  if (!node) return;
  watched.given_to = node;
  watched.given_at = env_.now();
  watched.taken = false;
  watched.task = {.file = block.file,
                  .block = block.block,
                  .generation = block.generation,
                  .kind = kind_of(block)};
  ++at_work_[node];
}

// The live replica with the least to do, another one than before if there is any.
NodeId AppendTasks::chosen(const AppendBlock& block, NodeId before) const {
  NodeId best;
  std::pair<bool, size_t> least;
  for (const auto& shard : block.shards) {
    const NodeState state = state_of(shard.node);
    if (state != NodeState::kLive && state != NodeState::kDraining) continue;
    const auto found = at_work_.find(shard.node);
    const size_t busy = found == at_work_.end() ? 0 : found->second;
    const std::pair load{shard.node == before, busy};
    if (busy >= options_.tasks_per_server || (best && load >= least)) continue;
    best = shard.node;
    least = load;
  }
  return best;
}

NodeState AppendTasks::state_of(NodeId node) const {
  const placement::Node* known = group_.state().cluster_map().find(node);
  return known == nullptr ? NodeState::kGone : known->state;
}

std::vector<AppendTask> AppendTasks::take(NodeId node) {
  std::vector<AppendTask> tasks;
  if (!group_.leading() || !at_work_.contains(node)) return tasks;
  for (auto& [block, watched] : watched_) {
    if (watched.given_to != node || watched.taken) continue;
    watched.taken = true;
    tasks.push_back(watched.task);
  }
  return tasks;
}

}  // namespace dogfs::nodes
