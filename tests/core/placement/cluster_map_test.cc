#include "core/placement/cluster_map.h"

#include <string>
#include <vector>

#include <rapidcheck.h>

#include "core/base/limits.h"
#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::placement {
namespace {

Node server(uint32_t id) {
  return {.id = NodeId(id),
          .kind = NodeKind::kChunk,
          .name = fmt::format("chunk-{}", id),
          .store = StoreId(id + 1000),
          .address = fmt::format("127.0.0.1:{}", 7000 + id),
          .zone = fmt::format("rack-{}", id % 3),
          .disks = 1,
          .capacity_bytes = limits::kGiB,
          .used_bytes = 0,
          .state = NodeState::kLive,
          .changed = {}};
}

void random_change(ClusterMap& map, Random& random) {
  const NodeId id(static_cast<uint32_t>(random.between(1, 12)));
  switch (random.below(3)) {
    case 0: (void)map.put(server(id.value)); break;
    case 1: (void)map.set_state(id, static_cast<NodeState>(random.between(1, 4))); break;
    default: (void)map.set_space(id, limits::kGiB, random.below(1000)); break;
  }
}

TEST_CASE("each change raises the version by one, and no change does not") {
  ClusterMap map;
  CHECK_EQ(map.version(), MapVersion(0));
  REQUIRE(map.put(server(1)).has_value());
  CHECK_EQ(map.version(), MapVersion(1));
  REQUIRE(map.set_state(NodeId(1), NodeState::kLive).has_value());
  CHECK_EQ(map.version(), MapVersion(1));
  REQUIRE(map.set_state(NodeId(1), NodeState::kDead).has_value());
  REQUIRE(map.set_space(NodeId(1), 5, 3).has_value());
  CHECK_EQ(map.version(), MapVersion(3));
  CHECK_EQ(map.find(NodeId(1))->changed, MapVersion(3));
}

TEST_CASE("a refused change leaves the map as it was") {
  ClusterMap map;
  REQUIRE(map.put(server(1)).has_value());
  REQUIRE(map.set_state(NodeId(1), NodeState::kGone).has_value());
  const ClusterMap before = map;
  CHECK_EQ(map.set_state(NodeId(2), NodeState::kDead).error().code, Code::kNotFound);
  CHECK_EQ(map.set_state(NodeId(1), NodeState::kLive).error().code, Code::kPrecondition);
  CHECK_EQ(map.set_space(NodeId(1), 1, 1).error().code, Code::kPrecondition);
  CHECK((map == before));
}

TEST_CASE("a name belongs to one node, until that node is gone") {
  ClusterMap map;
  REQUIRE(map.put(server(1)).has_value());
  Node rival = server(2);
  rival.name = "chunk-1";
  CHECK_EQ(map.put(rival).error().code, Code::kExists);
  REQUIRE(map.set_state(NodeId(1), NodeState::kGone).has_value());
  CHECK(map.put(rival).has_value());
  CHECK_EQ(map.find("chunk-1")->id, NodeId(2));
}

TEST_CASE("a copy that merges changes equals the map, from any version it had") {
  CHECK(rc::check([] {
    Random random(*rc::gen::arbitrary<uint64_t>());
    ClusterMap map;
    std::vector<ClusterMap> history{map};
    const auto steps = random.between(1, 60);
    for (uint64_t i = 0; i < steps; ++i) {
      random_change(map, random);
      history.push_back(map);
    }
    ClusterMap copy = history[random.below(history.size())];
    const MapChanges changes = map.changes_since(copy.version());
    RC_ASSERT(changes.full == !copy.version());
    copy.merge(changes);
    RC_ASSERT(copy == map);
    copy.merge(map.changes_since(copy.version()));
    RC_ASSERT(copy == map);
  }));
}

TEST_CASE("a holder too far behind, or from another life, gets the whole map") {
  ClusterMap map;
  for (uint32_t id = 1; id <= 3; ++id) REQUIRE(map.put(server(id)).has_value());
  const auto behind = map.version();
  for (uint64_t i = 0; i < limits::kMapDiffsMax; ++i) {
    REQUIRE(map.set_space(NodeId(1), limits::kGiB, i + 1).has_value());
  }
  CHECK_FALSE(map.changes_since(behind).full);
  CHECK_EQ(map.changes_since(behind).nodes.size(), 1u);
  CHECK(map.changes_since(behind.prev()).full);
  CHECK_EQ(map.changes_since(behind.prev()).nodes.size(), 3u);
  CHECK(map.changes_since(map.version().next()).full);
}

TEST_CASE("an older difference does not turn a copy back") {
  ClusterMap map;
  REQUIRE(map.put(server(1)).has_value());
  const auto first = map.version();
  REQUIRE(map.set_state(NodeId(1), NodeState::kSuspect).has_value());
  auto late = map.changes_since(first);
  REQUIRE(map.set_state(NodeId(1), NodeState::kDead).has_value());
  ClusterMap copy = map;
  copy.merge(late);
  CHECK((copy == map));
}

TEST_CASE("a node row keeps every field, and a damaged one is refused") {
  Node node = server(3);
  node.changed = MapVersion(9);
  node.used_bytes = 77;
  node.state = NodeState::kDraining;
  node.newest_version = 5;
  const std::string bytes = encode_node(node);
  CHECK((decode_node(bytes) == node));
  for (size_t length = 0; length < bytes.size(); ++length) {
    CHECK_EQ(decode_node(bytes.substr(0, length)).error().code, Code::kCorrupt);
  }
  CHECK_EQ(decode_node(bytes + "x").error().code, Code::kCorrupt);
  std::string later = bytes;
  later[0] = 3;
  CHECK_EQ(decode_node(later).error().code, Code::kUnsupported);
}

TEST_CASE("a row from before nodes said their version is read, and says nothing") {
  std::string row = encode_node(server(3));
  const size_t stamp_bytes = sizeof(uint64_t);
  row[0] = 1;
  row.erase(row.size() - stamp_bytes - sizeof(uint32_t), sizeof(uint32_t));
  CHECK((decode_node(row) == server(3)));
}

TEST_CASE("a node with an impossible field is refused") {
  const auto refused = [](auto change) {
    Node node = server(1);
    change(node);
    return !validate_node(node).has_value();
  };
  CHECK(validate_node(server(1)).has_value());
  CHECK(refused([](Node& n) { n.id = NodeId(0); }));
  CHECK(refused([](Node& n) { n.store = StoreId(0); }));
  CHECK(refused([](Node& n) { n.name = ""; }));
  CHECK(refused([](Node& n) { n.name = "a b"; }));
  CHECK(refused([](Node& n) { n.name = std::string(256, 'x'); }));
  CHECK(refused([](Node& n) { n.zone = "r\n"; }));
  CHECK(refused([](Node& n) { n.kind = static_cast<NodeKind>(9); }));
  CHECK(refused([](Node& n) { n.state = static_cast<NodeState>(0); }));
  for (const char* address : {"", "host", ":1", "host:", "host:0", "host:65536", "host:1x"}) {
    CHECK(refused([&](Node& n) { n.address = address; }));
  }
}

}  // namespace
}  // namespace dogfs::placement
