#include "nodes/metadata/deletion.h"

#include "core/base/limits.h"

namespace dogfs::nodes {
namespace {
constexpr size_t kPage = 256;
}  // namespace

Task<> Deletion::run() {
  for (;;) {
    co_await group_.leadership();
    first_seen_.clear();
    co_await watch(group_.term());
    orders_.clear();
  }
}

Task<> Deletion::watch(Term term) {
  while (group_.leads(term)) {
    co_await take_trees_apart();
    co_await order_what_is_due();
    co_await env_.sleep(options_.look_every);
  }
}

Task<> Deletion::take_trees_apart() {
  while (group_.leading() && group_.state().removal_pending()) {
    auto step = co_await group_.propose(metadata::RemoveStep{options_.step_entries});
    if (!step) co_return;  // the next look tries again
  }
}

Task<> Deletion::order_what_is_due() {
  std::map<BlockId, Instant> waiting;
  std::map<NodeId, std::vector<Order>> orders;
  std::map<NodeId, std::vector<metadata::DeletedShard>> lost;  // with their servers
  for (BlockId after;;) {
    const auto page = group_.state().garbage(after, kPage);
    if (page.empty()) break;
    after = page.back().block;
    metadata::OrderDeletion due;
    for (const auto& block : page) {
      if (block.ordered) {
        for (const auto& shard : block.shards)
          if (is_gone(shard.node))
            lost[shard.node].push_back({block.block, shard.index});
          else
            orders[shard.node].push_back(
                {block.block, shard.index, block.generation, block.placement_version});
        continue;
      }
      const auto found = first_seen_.find(block.block);
      const Instant since = found == first_seen_.end() ? env_.now() : found->second;
      waiting.emplace(block.block, since);
      if (env_.now() - since >= options_.grace) due.blocks.push_back(block.block);
    }
    if (due.blocks.empty()) continue;
    auto ordered = co_await group_.propose(std::move(due));
    if (!ordered) env_.log().debug("order deletion: {}", ordered.error());
  }
  first_seen_ = std::move(waiting);
  orders_ = std::move(orders);
  for (auto& [node, shards] : lost) {
    shards.resize(std::min(shards.size(), limits::kDeletionsPerHeartbeatMax));
    auto recorded = co_await group_.propose(metadata::AckDeleted{node, std::move(shards)});
    if (!recorded) env_.log().debug("shards of lost node {}: {}", node, recorded.error());
  }
}

bool Deletion::is_gone(NodeId node) const {
  const placement::Node* known = group_.state().cluster_map().find(node);
  return known == nullptr || known->state == placement::NodeState::kGone;
}

std::vector<Deletion::Order> Deletion::orders_for(NodeId node, size_t limit) const {
  const auto found = orders_.find(node);
  if (found == orders_.end() || !group_.leading()) return {};
  const auto& orders = found->second;
  return {orders.begin(), orders.begin() + static_cast<ptrdiff_t>(std::min(limit, orders.size()))};
}

}  // namespace dogfs::nodes
