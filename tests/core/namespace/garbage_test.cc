#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

void check_sound(const ClusterFixture& fs) {
  const auto sound = check_invariants(fs.machine);
  CHECK_MESSAGE(sound.has_value(), (sound ? std::string() : sound.error().message));
}

std::vector<GarbageBlock> garbage(const ClusterFixture& fs) {
  return fs.machine.garbage(BlockId(0), 1000);
}

// Runs removal to its end; the number of steps it took.
int finish_removal(ClusterFixture& fs, uint32_t limit) {
  for (int steps = 0;; ++steps) {
    if (!fs.machine.removal_pending()) return steps;
    const auto reply = fs.lead(RemoveStep{.limit = limit});
    REQUIRE(reply.has_value());
    CHECK_GT(std::get<StepTaken>(*reply).entries, 0u);
    CHECK_EQ(std::get<StepTaken>(*reply).more, fs.machine.removal_pending());
    check_sound(fs);
  }
}

TEST_CASE("a shard is deleted only after an order, and the row goes with the last shard") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {400}).has_value());
  const auto block = fs.machine.locate("/f", {})->blocks[0];
  REQUIRE(fs.remove("/f").has_value());
  REQUIRE_EQ(garbage(fs).size(), 1u);
  CHECK_EQ(garbage(fs)[0].block, block.block);
  CHECK_EQ(garbage(fs)[0].since, fs.index);
  CHECK_EQ(garbage(fs)[0].shards.size(), 6u);
  CHECK_FALSE(garbage(fs)[0].ordered);

  const auto acknowledge = [&](size_t shard) {
    const auto& place = block.shards[shard];
    return fs.lead(
        AckDeleted{.node = place.node, .shards = {{.block = block.block, .index = place.index}}});
  };
  CHECK_EQ(outcome(acknowledge(0)), "ok");  // before the order: not believed
  CHECK_EQ(garbage(fs)[0].shards.size(), 6u);
  REQUIRE(fs.lead(OrderDeletion{.blocks = {block.block}}).has_value());
  CHECK(garbage(fs)[0].ordered);
  for (size_t i = 0; i < 6; ++i) {
    CHECK_EQ(fs.machine.counters().garbage_bytes, (6 - i) * 100);
    CHECK_EQ(outcome(acknowledge(i)), "ok");
    CHECK_EQ(outcome(acknowledge(i)), "ok");  // twice is once
    check_sound(fs);
  }
  CHECK(garbage(fs).empty());
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0u);
  CHECK_FALSE(fs.machine.tables().block(block.block).has_value());
}

TEST_CASE("an order for a block in use, and an acknowledgement by a stranger, do nothing") {
  ClusterFixture fs(8);
  REQUIRE(fs.put("/f", {400}).has_value());
  const auto block = fs.machine.locate("/f", {})->blocks[0];
  REQUIRE(fs.lead(OrderDeletion{.blocks = {block.block, BlockId(12345)}}).has_value());
  const AckDeleted early{.node = block.shards[0].node,
                         .shards = {{.block = block.block, .index = block.shards[0].index}}};
  REQUIRE(fs.lead(early).has_value());
  CHECK((fs.machine.locate("/f", {})->blocks[0] == block));
  REQUIRE(fs.remove("/f").has_value());
  REQUIRE(fs.lead(OrderDeletion{.blocks = {block.block}}).has_value());
  const AckDeleted stranger{
      .node = block.shards[1].node,
      .shards = {{.block = block.block, .index = 0}, {.block = block.block, .index = 99}}};
  REQUIRE(fs.lead(stranger).has_value());
  CHECK_EQ(garbage(fs)[0].shards.size(), 6u);
  CHECK_EQ(outcome(fs.lead(AckDeleted{.node = NodeId(0), .shards = {}})), "invalid");
  check_sound(fs);
}

TEST_CASE("shards of a server that is gone need no order") {
  ClusterFixture fs(7);
  REQUIRE(fs.put("/f", {400}).has_value());
  const auto shard = fs.machine.locate("/f", {})->blocks[0].shards[2];
  const BlockId block = fs.machine.locate("/f", {})->blocks[0].block;
  REQUIRE(fs.remove("/f").has_value());
  fs.set_state(shard.node.value, placement::NodeState::kGone);
  REQUIRE(
      fs.lead(AckDeleted{.node = shard.node, .shards = {{.block = block, .index = shard.index}}}));
  CHECK_EQ(garbage(fs)[0].shards.size(), 5u);
}

TEST_CASE("a removed tree is gone at once and taken apart in bounded steps") {
  for (const uint32_t limit : {1u, 3u, 10u, 1000u}) {
    CAPTURE(limit);
    ClusterFixture fs;
    for (int i = 0; i < 5; ++i) {
      const std::string path = fmt::format("/top/d{}/e", i);
      REQUIRE(fs.make_directory(path, true).has_value());
      REQUIRE(fs.put(path + "/f", {10}).has_value());
      REQUIRE(fs.put(fmt::format("/top/f{}", i), {10, 10}).has_value());
    }
    const auto open = fs.write("/top/d1/open", {10});
    REQUIRE(fs.remove("/top", true).has_value());
    CHECK_EQ(fs.names("/"), "");
    CHECK_EQ(outcome(fs.make_directory("/top")), "ok");
    check_sound(fs);
    const int steps = finish_removal(fs, limit);
    // 11 directories, 10 files, 15 blocks; a step ends when its limit is reached.
    CHECK_GE(steps, 36 / int(limit + limits::kDirectBlocksMax));
    if (limit == 1000) CHECK_EQ(steps, 1);
    CHECK_EQ(fs.machine.counters().files, 0u);
    CHECK_EQ(fs.machine.counters().directories, 2u);
    CHECK_EQ(fs.machine.counters().garbage_blocks, 15u);
    CHECK_EQ(outcome(fs.publish(*open, "/top/d1/open", 10)), "not_found");
    REQUIRE(fs.ask(AbandonUpload{.file = open->file, .epoch = open->epoch}));
    CHECK_EQ(fs.machine.counters().blocks, 0u);
    check_sound(fs);
  }
}

TEST_CASE("a file of many blocks is dropped in steps") {
  ClusterFixture fs;
  const std::vector<uint64_t> lengths(50, 10);
  REQUIRE(fs.put("/big", lengths).has_value());
  REQUIRE(fs.put("/big", {10}).has_value());
  CHECK(fs.machine.removal_pending());
  CHECK_EQ(fs.machine.counters().files, 1u);
  CHECK_EQ(fs.machine.counters().blocks, 51u);
  CHECK_EQ(finish_removal(fs, 20), 3);
  CHECK_EQ(fs.machine.counters().blocks, 1u);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 50u);
}

TEST_CASE("a file removed far from its home is dropped through the outbox") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/a").has_value());
  REQUIRE(fs.make_directory("/b").has_value());
  REQUIRE(fs.put("/a/f", {10}).has_value());
  REQUIRE(fs.move("/a/f", "/b/f").has_value());
  REQUIRE(slot_of(fs.machine.stat("/a")->id) != slot_of(fs.machine.stat("/b")->id));
  REQUIRE(fs.remove("/b/f").has_value());
  check_sound(fs);
  CHECK(fs.machine.removal_pending());
  finish_removal(fs, 10);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
}

TEST_CASE("garbage is listed in order, page by page, over all slots") {
  ClusterFixture fs;
  for (int i = 0; i < 30; ++i) {
    REQUIRE(fs.make_directory(fmt::format("/d{}", i)).has_value());
    REQUIRE(fs.put(fmt::format("/d{}/f", i), {10, 10}).has_value());
  }
  for (int i = 0; i < 30; ++i) REQUIRE(fs.remove(fmt::format("/d{}", i), true).has_value());
  finish_removal(fs, 1000);
  const auto all = garbage(fs);
  CHECK_EQ(all.size(), 60u);
  for (const size_t limit : {1, 7, 60}) {
    std::vector<GarbageBlock> paged;
    BlockId after;
    for (auto page = fs.machine.garbage(after, limit); !page.empty();
         page = fs.machine.garbage(after, limit)) {
      CHECK_LE(page.size(), limit);
      paged.insert(paged.end(), page.begin(), page.end());
      after = page.back().block;
    }
    CHECK((paged == all));
  }
}

TEST_CASE("a removal step without work does nothing, and an absurd limit is refused") {
  ClusterFixture fs;
  const auto reply = fs.lead(RemoveStep{.limit = 10});
  CHECK((std::get<StepTaken>(*reply) == StepTaken{}));
  CHECK_EQ(outcome(fs.lead(RemoveStep{.limit = 0})), "invalid");
  CHECK_EQ(outcome(fs.lead(RemoveStep{.limit = limits::kRemoveStepMax + 1})), "invalid");
}

}  // namespace
}  // namespace dogfs::metadata
