#include "core/proto/cluster_codec.h"

#include "core/proto/cluster.pb.h"

#include "tests/doctest.h"

namespace dogfs::proto {
namespace {

placement::Node some_node() {
  placement::Node node;
  node.id = NodeId(1003);
  node.kind = placement::NodeKind::kChunk;
  node.name = "chunk-3";
  node.store = StoreId(0xfeed);
  node.address = "127.0.0.1:7003";
  node.zone = "rack-1";
  node.capacity_bytes = 1000;
  node.used_bytes = 10;
  node.state = placement::NodeState::kSuspect;
  node.newest_version = 7;
  node.changed = MapVersion(9);
  return node;
}

TEST_CASE("cluster map changes come back as they were") {
  const placement::MapChanges changes{MapVersion(9), true, {some_node()}};
  MapChanges message;
  encode(changes, message);
  const auto back = decode(message);
  REQUIRE(back);
  CHECK_EQ(back->version, MapVersion(9));
  CHECK(back->full);
  CHECK((back->nodes == changes.nodes));
}

TEST_CASE("a node that cannot be is refused") {
  MapChanges message;
  encode({MapVersion(9), false, {some_node()}}, message);
  message.mutable_nodes(0)->set_state(250);
  CHECK_FALSE(decode(message));
  message.mutable_nodes(0)->set_state(256 + 1);  // must not be cut down to a valid state
  CHECK_FALSE(decode(message));
  message.mutable_nodes(0)->set_state(1);
  CHECK(decode(message));
  message.mutable_nodes(0)->set_address("nowhere");
  CHECK_FALSE(decode(message));
}

TEST_CASE("what a chunk server says of its disks and its compactions comes back as it was") {
  const DiskReports reports{.node = NodeId(7),
                            .name = "chunk-3",
                            .disks = {{.name = "disk-1", .failure = "gone", .used_bytes = 5}},
                            .compacted = {.blocks = 3, .bytes = 40'000}};
  ServerDisks message;
  encode(reports, message);
  CHECK((decode(message) == reports));
}

TEST_CASE("a task for an append block comes back as it was, and an unknown kind is none") {
  const metadata::AppendTask task{.file = {InodeId(7), InodeId(8)},
                                  .block = BlockId(9),
                                  .generation = Generation(1),
                                  .kind = metadata::AppendTaskKind::kConvert};
  AppendTask message;
  encode(task, message);
  const auto back = decode(message);
  REQUIRE(back);
  CHECK((*back == task));
  for (const uint32_t kind : {0, 3}) {
    message.set_kind(kind);
    CHECK(decode(message).error().is(Code::kUnsupported));
  }
}

TEST_CASE("text that is no UTF-8 gets an error of its own, not a broken message") {
  RegisterRequest request;
  request.set_name("chunk-\xff");
  request.set_address("\xff:1");
  request.set_zone("\xff");
  RegisterRequest received;
  CHECK(received.ParseFromString(request.SerializeAsString()));
  MapChanges message;
  encode({MapVersion(9), false, {some_node()}}, message);
  message.mutable_nodes(0)->set_zone("\xff");
  MapChanges changes;
  REQUIRE(changes.ParseFromString(message.SerializeAsString()));
  const auto refused = decode(changes);
  REQUIRE_FALSE(refused);
  CHECK_EQ(refused.error().code, Code::kInvalid);
  CHECK(refused.error().message.contains("zone"));
}

TEST_CASE("a registration names a kind and a disk, and failed disks do not count") {
  RegisterRequest request;
  request.set_name("chunk-1");
  CHECK_FALSE(decode(request));
  request.set_kind(2);
  CHECK_FALSE(decode(request));
  auto* disk = request.add_disks();
  disk->set_capacity_bytes(100);
  disk->set_used_bytes(7);
  auto* failed = request.add_disks();
  failed->set_capacity_bytes(100);
  failed->set_failed(true);
  const auto node = decode(request);
  REQUIRE(node);
  CHECK_EQ(node->capacity_bytes, 100u);
  CHECK_EQ(node->used_bytes, 7u);
  CHECK_EQ(node->disks, 2u);
}

}  // namespace
}  // namespace dogfs::proto
