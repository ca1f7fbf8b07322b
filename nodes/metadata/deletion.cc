#include "nodes/metadata/deletion.h"

#include "core/base/limits.h"
#include "core/namespace/cluster_version.h"

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

// What one look finds.
struct Deletion::Found {
  std::map<metadata::FormerName, Instant> waiting;
  std::map<NodeId, std::vector<Order>> orders;
  std::map<NodeId, std::vector<metadata::DeletedShard>> lost;  // with their servers
};

Task<> Deletion::order_what_is_due() {
  Found found;
  co_await find_garbage(found);
  co_await find_formers(found);
  first_seen_ = std::move(found.waiting);
  orders_ = std::move(found.orders);
  for (auto& [node, shards] : found.lost) {
    shards.resize(std::min(shards.size(), limits::kDeletionsPerHeartbeatMax));
    auto recorded = co_await group_.propose(metadata::AckDeleted{node, std::move(shards)});
    if (!recorded) env_.log().debug("shards of lost node {}: {}", node, recorded.error());
  }
}

Task<> Deletion::find_garbage(Found& found) {
  for (BlockId after;;) {
    const auto page = group_.state().garbage(after, kPage);
    if (page.empty()) break;
    after = page.back().block;
    metadata::OrderDeletion due;
    for (const auto& block : page) {
      if (block.ordered) {
        sort_out(block.block, block.placement_version, block.shards, found);
      } else if (is_due({.block = block.block, .generation = {}}, found)) {
        due.blocks.push_back(block.block);
      }
    }
    co_await propose(std::move(due));
  }
}

Task<> Deletion::find_formers(Found& found) {
  for (BlockId after;;) {
    const auto page = group_.state().formers(after, kPage / (limits::kFormerGenerationsMax + 1));
    if (page.empty()) break;
    after = page.back().name.block;
    metadata::OrderDeletion due;
    for (const auto& former : page) {
      if (former.ordered) {
        sort_out(former.name.block, former.placement_version, former.shards, found);
      } else if (is_due(former.name, found)) {
        due.former.push_back(former.name);
      }
    }
    co_await propose(std::move(due));
  }
}

// To chunk servers that are there, an order; of those that are gone, an end.
void Deletion::sort_out(BlockId block, PlacementVersion version,
                        const std::vector<metadata::GarbageShard>& shards, Found& found) const {
  const bool named =
      group_.state().settings().cluster_version >= metadata::kGenerationsDeletedVersion;
  for (const auto& shard : shards) {
    if (is_gone(shard.node)) {
      found.lost[shard.node].push_back({.block = block,
                                        .index = shard.index,
                                        .generation = named ? shard.generation : Generation(0)});
    } else {
      found.orders[shard.node].push_back({block, shard.index, shard.generation, version});
    }
  }
}

// Its grace counts from when this leader first saw it.
bool Deletion::is_due(metadata::FormerName name, Found& found) const {
  const auto seen = first_seen_.find(name);
  const Instant since = seen == first_seen_.end() ? env_.now() : seen->second;
  found.waiting.emplace(name, since);
  return env_.now() - since >= options_.grace;
}

Task<> Deletion::propose(metadata::OrderDeletion due) {
  if (due.blocks.empty() && due.former.empty()) co_return;
  auto ordered = co_await group_.propose(std::move(due));
  if (!ordered) env_.log().debug("order deletion: {}", ordered.error());
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
