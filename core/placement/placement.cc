#include "core/placement/placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "core/base/limits.h"
#include "core/base/random.h"

namespace dogfs::placement {
namespace {

struct Candidate {
  NodeId id;
  uint64_t weight = 1;
  size_t zone = 0;  // index into a table of shards per zone
};

bool eligible(const Node& node, const Choice& choice) {
  return node.kind == NodeKind::kChunk && node.state == NodeState::kLive &&
         std::ranges::find(choice.exclude, node.id) == choice.exclude.end();
}

// Shards of one block per zone. Shards on excluded servers count: the new ones shun their zones.
class ZoneLoad {
 public:
  ZoneLoad(const ClusterMap& map, const Choice& choice) {
    for (const NodeId id : choice.exclude) {
      if (const Node* node = map.find(id)) ++shards_[zone_index(*node)];
    }
  }
  size_t zone_index(const Node& node) {
    // A server without a zone is a zone of its own; its name cannot hold the blank.
    const std::string zone = node.zone.empty() ? fmt::format(" {}", node.id) : node.zone;
    const auto [it, fresh] = index_.try_emplace(zone, shards_.size());
    if (fresh) shards_.push_back(0);
    return it->second;
  }
  uint32_t shards(size_t zone) const { return shards_[zone]; }
  void add(size_t zone) { ++shards_[zone]; }

 private:
  std::map<std::string, size_t> index_;
  std::vector<uint32_t> shards_;
};

// The position of a candidate drawn by weight among those in the least loaded zones.
size_t draw(const std::vector<Candidate>& candidates, const ZoneLoad& load, Random& random) {
  uint32_t least = UINT32_MAX;
  for (const auto& c : candidates) least = std::min(least, load.shards(c.zone));
  uint64_t total = 0;
  for (const auto& c : candidates) total += load.shards(c.zone) == least ? c.weight : 0;
  uint64_t ticket = random.below(total);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (load.shards(candidates[i].zone) != least) continue;
    if (ticket < candidates[i].weight) return i;
    ticket -= candidates[i].weight;
  }
  UNREACHABLE("a ticket below the total weight belongs to some candidate");
}

// A server without a zone is a zone of its own.
size_t live_zones(const ClusterMap& map) {
  std::set<std::string> zones;
  for (const auto& [id, node] : map.nodes()) {
    if (node.kind != NodeKind::kChunk || node.state != NodeState::kLive) continue;
    zones.insert(node.zone.empty() ? fmt::format(" {}", id) : node.zone);
  }
  return zones.size();
}

// For a person: policies with about the share of parity that was wanted.
std::string what_fits(const Policy& wanted, uint32_t servers) {
  if (servers == 0) return "start some";
  std::string text;
  const uint32_t parity = std::max(1u, servers * wanted.parity_shards() / wanted.width());
  if (!wanted.replicated() && servers > parity) {
    text = fmt::format("rs-{}-{} or ", servers - parity, parity);
  }
  return fmt::format("{}rep-{} would fit", text, std::min(servers, 3u));
}

}  // namespace

std::vector<NodeId> WeightedSpread::choose(const ClusterMap& map, const Choice& choice) const {
  ZoneLoad load(map, choice);
  std::vector<Candidate> candidates;
  for (const auto& [id, node] : map.nodes()) {
    if (!eligible(node, choice)) continue;
    // In MiB, so that the weights of kNodesMax servers add up without overflow; at least 1, so
    // that a full cluster still answers (and its disks refuse).
    const uint64_t weight = 1 + std::min<uint64_t>(node.free_bytes() / limits::kMiB, 1ull << 44);
    candidates.push_back({id, weight, load.zone_index(node)});
  }
  Random random(choice.seed);
  std::vector<NodeId> chosen;
  while (chosen.size() < choice.count && !candidates.empty()) {
    const size_t next = draw(candidates, load, random);
    load.add(candidates[next].zone);
    chosen.push_back(candidates[next].id);
    candidates.erase(candidates.begin() + static_cast<ptrdiff_t>(next));
  }
  return chosen;
}

std::vector<NodeId> FirstHealthy::choose(const ClusterMap& map, const Choice& choice) const {
  std::vector<NodeId> chosen;
  for (const auto& [id, node] : map.nodes()) {
    if (chosen.size() == choice.count) break;
    if (eligible(node, choice)) chosen.push_back(id);
  }
  return chosen;
}

Result<std::vector<NodeId>> place_block(const Strategy& strategy, const ClusterMap& map,
                                        const Policy& policy, uint64_t seed) {
  TRY_VOID(check_fits(map, policy));
  auto chosen = strategy.choose(map, {.count = policy.width(), .exclude = {}, .seed = seed});
  CHECK(chosen.size() <= policy.width());
  if (chosen.size() < policy.min_shards()) {
    return fail(Code::kUnavailable,
                "too few chunk servers for {}: {} needed and {} live; start more and try again",
                policy.text(), policy.min_shards(), chosen.size());
  }
  auto sorted = chosen;
  std::ranges::sort(sorted);
  CHECK(std::ranges::adjacent_find(sorted) == sorted.end(), "two shards on one server");
  chosen.resize(policy.width());
  return chosen;
}

Result<> check_fits(const ClusterMap& map, const Policy& policy) {
  const uint32_t servers = map.registered(NodeKind::kChunk);
  if (servers >= policy.width()) return {};
  return fail(
      Code::kPrecondition,
      "the cluster is too small for {}: it needs {} chunk servers and has {} ({} live, in {} "
      "zones); {}",
      policy.text(), policy.width(), servers, map.count(NodeKind::kChunk, NodeState::kLive),
      live_zones(map), what_fits(policy, servers));
}

}  // namespace dogfs::placement
