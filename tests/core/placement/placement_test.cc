#include "core/placement/placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <rapidcheck.h>

#include "core/base/limits.h"
#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::placement {
namespace {

ClusterMap cluster(uint32_t servers, uint32_t zones = 0) {
  ClusterMap map;
  for (uint32_t id = 1; id <= servers; ++id) {
    const Node node{.id = NodeId(id),
                    .kind = NodeKind::kChunk,
                    .name = fmt::format("chunk-{}", id),
                    .store = StoreId(id),
                    .address = fmt::format("127.0.0.1:{}", 7000 + id),
                    .zone = zones == 0 ? "" : fmt::format("rack-{}", id % zones),
                    .disks = 1,
                    .capacity_bytes = 10 * limits::kGiB,
                    .used_bytes = 0,
                    .state = NodeState::kLive,
                    .changed = {}};
    REQUIRE(map.put(node).has_value());
  }
  return map;
}

void kill(ClusterMap& map, uint32_t id) {
  REQUIRE(map.set_state(NodeId(id), NodeState::kDead).has_value());
}

Policy policy(const char* text) { return Policy::parse(text).value(); }

TEST_CASE("six servers and rs-4-2: one dead leaves a degraded block, two dead refuse") {
  auto map = cluster(6);
  const auto full = place_block(WeightedSpread(), map, policy("rs-4-2"), 1);
  REQUIRE(full.has_value());
  CHECK_EQ(std::ranges::count(*full, NodeId(0)), 0);

  kill(map, 2);
  const auto degraded = place_block(WeightedSpread(), map, policy("rs-4-2"), 1);
  REQUIRE(degraded.has_value());
  CHECK_EQ(degraded->size(), 6u);
  CHECK_EQ(std::ranges::count(*degraded, NodeId(0)), 1);
  CHECK_EQ(degraded->back(), NodeId(0));

  kill(map, 5);
  const auto refused = place_block(WeightedSpread(), map, policy("rs-4-2"), 1);
  REQUIRE_FALSE(refused.has_value());
  CHECK_EQ(refused.error().code, Code::kUnavailable);
  CHECK_NE(refused.error().message.find("5 needed and 4 live"), std::string::npos);
}

TEST_CASE("eight servers and rs-4-2 write at full width with two dead") {
  auto map = cluster(8);
  kill(map, 1);
  kill(map, 8);
  const auto placed = place_block(WeightedSpread(), map, policy("rs-4-2"), 3);
  REQUIRE(placed.has_value());
  CHECK_EQ(std::ranges::count(*placed, NodeId(0)), 0);
}

TEST_CASE("a policy wider than the cluster is refused for good, dead servers or not") {
  auto map = cluster(5);
  const auto error = check_fits(map, policy("rs-4-2")).error();
  CHECK_EQ(error.code, Code::kPrecondition);
  CHECK_NE(error.message.find("too small for rs-4-2"), std::string::npos);
  CHECK_EQ(place_block(WeightedSpread(), map, policy("rs-4-2"), 1).error().code,
           Code::kPrecondition);
  map = cluster(6);
  kill(map, 1);
  CHECK(check_fits(map, policy("rs-4-2")).has_value());
  REQUIRE(map.set_state(NodeId(1), NodeState::kGone).has_value());
  CHECK_EQ(check_fits(map, policy("rs-4-2")).error().code, Code::kPrecondition);
}

TEST_CASE("only live chunk servers that are not excluded are chosen, each once") {
  CHECK(rc::check([] {
    Random random(*rc::gen::arbitrary<uint64_t>());
    auto map = cluster(static_cast<uint32_t>(random.between(1, 20)),
                       static_cast<uint32_t>(random.below(5)));
    std::set<NodeId> allowed;
    Choice choice{.count = static_cast<uint32_t>(random.between(1, 12)),
                  .exclude = {},
                  .seed = random.next()};
    for (const auto& [id, node] : ClusterMap(map).nodes()) {
      const auto state = static_cast<NodeState>(random.chance(1, 2) ? 1 : random.between(1, 5));
      RC_ASSERT(map.set_state(id, state).has_value());
      const bool excluded = random.chance(1, 4);
      if (excluded) choice.exclude.push_back(id);
      if (!excluded && state == NodeState::kLive) allowed.insert(id);
    }
    const WeightedSpread spread;
    const FirstHealthy first;
    for (const Strategy* strategy :
         {static_cast<const Strategy*>(&spread), static_cast<const Strategy*>(&first)}) {
      const auto chosen = strategy->choose(map, choice);
      const std::set<NodeId> distinct(chosen.begin(), chosen.end());
      RC_ASSERT(distinct.size() == chosen.size());
      RC_ASSERT(std::ranges::includes(allowed, distinct));
      RC_ASSERT(chosen.size() == std::min<size_t>(choice.count, allowed.size()));
      RC_ASSERT(strategy->choose(map, choice) == chosen);
    }
  }));
}

TEST_CASE("shards spread over zones as evenly as the servers allow") {
  const auto map = cluster(9, 3);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::map<std::string, int> shards;
    for (const NodeId id :
         WeightedSpread().choose(map, {.count = 6, .exclude = {}, .seed = seed})) {
      ++shards[map.find(id)->zone];
    }
    CHECK_EQ(shards.size(), 3u);
    for (const auto& [zone, count] : shards) CHECK_EQ(count, 2);
  }
}

TEST_CASE("a replacement shuns the zones that the block is in already") {
  const auto map = cluster(9, 3);  // zones: id % 3
  const Choice choice{
      .count = 1, .exclude = {NodeId(1), NodeId(4), NodeId(2), NodeId(5), NodeId(3)}, .seed = 7};
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Choice next = choice;
    next.seed = seed;
    const auto chosen = WeightedSpread().choose(map, next);
    REQUIRE_EQ(chosen.size(), 1u);
    CHECK_EQ(map.find(chosen[0])->zone, "rack-0");
  }
}

TEST_CASE("a server with more free space gets more blocks") {
  auto map = cluster(4);
  REQUIRE(map.set_space(NodeId(1), 10 * limits::kGiB, 9 * limits::kGiB).has_value());
  std::map<NodeId, int> blocks;
  for (uint64_t seed = 0; seed < 4000; ++seed) {
    ++blocks[WeightedSpread().choose(map, {.count = 1, .exclude = {}, .seed = seed})[0]];
  }
  // Weights 1 : 10 : 10 : 10 of 4000 draws.
  CHECK_GT(blocks[NodeId(1)], 60);
  CHECK_LT(blocks[NodeId(1)], 220);
  for (uint32_t id = 2; id <= 4; ++id) {
    CHECK_GT(blocks[NodeId(id)], 1100);
    CHECK_LT(blocks[NodeId(id)], 1500);
  }
}

}  // namespace
}  // namespace dogfs::placement
