#include "nodes/metadata/compaction.h"

#include <algorithm>

#include "core/namespace/cluster_version.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kSparsePage = 256;

}  // namespace

Task<> Compaction::run() {
  for (;;) {
    co_await group_.leadership();
    watched_.clear();
    const Term term = group_.term();
    while (group_.leads(term)) {
      look();
      co_await env_.sleep(options_.look_every);
    }
  }
}

// Blocks that are gone, or have more in use than before, are forgotten.
void Compaction::look() {
  if (group_.state().settings().cluster_version < metadata::kCompactionVersion) return;
  std::map<BlockId, Watched> seen;
  std::vector<metadata::SparseBlock> idle;
  at_work_.clear();
  for (BlockId after;;) {
    auto page = group_.state().sparse_blocks(after, kSparsePage);
    if (page.empty()) break;
    after = page.back().block;
    for (metadata::SparseBlock& block : page) {
      const auto known = watched_.find(block.block);
      Watched& watched = seen[block.block];
      watched = known != watched_.end() ? known->second : Watched{.since = env_.now()};
      if (is_given(watched)) {
        at_work_.insert(watched.given_to);
      } else if (env_.now() - watched.since >= options_.sparse_for) {
        idle.push_back(std::move(block));
      }
    }
  }
  watched_ = std::move(seen);
  // Those that were never given first: one that cannot be compacted must not keep the others
  // waiting.
  std::ranges::sort(idle, {}, [&](const metadata::SparseBlock& block) {
    return std::pair(watched_[block.block].given_at, block.block);
  });
  for (const auto& block : idle) give(block, watched_[block.block]);
}

bool Compaction::is_given(const Watched& watched) const {
  return watched.given_to && env_.now() - watched.given_at < options_.again_after;
}

void Compaction::give(const metadata::SparseBlock& block, Watched& watched) {
  const NodeId node = chosen(block, watched.given_to);
  if (!node) return;
  watched.given_to = node;
  watched.given_at = env_.now();
  watched.taken = false;
  at_work_.insert(node);
}

// One with nothing to do, another one than before if there is any.
NodeId Compaction::chosen(const metadata::SparseBlock& block, NodeId before) const {
  NodeId best;
  for (const NodeId node : block.nodes) {
    const auto* known = group_.state().cluster_map().find(node);
    const bool live = known != nullptr && known->state == placement::NodeState::kLive;
    if (!live || at_work_.contains(node)) continue;
    if (!best || best == before) best = node;
  }
  return best;
}

std::vector<BlockId> Compaction::take(NodeId node) {
  std::vector<BlockId> blocks;
  if (!group_.leading() || !at_work_.contains(node)) return blocks;
  for (auto& [block, watched] : watched_) {
    if (watched.given_to != node || watched.taken) continue;
    watched.taken = true;
    blocks.push_back(block);
  }
  return blocks;
}

}  // namespace dogfs::nodes
