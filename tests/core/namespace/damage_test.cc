#include "core/namespace/damage.h"

#include <string>
#include <vector>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

// A file of one block, committed at full width, and where its shards are.
struct OneBlock {
  explicit OneBlock(ClusterFixture& fixture) : fs(fixture) {
    REQUIRE(fs.put("/f", {300'000}));
    block = located().block;
  }
  LocatedBlock located() const { return fs.machine.locate("/f", {})->blocks.at(0); }
  // "0 1 2 4": the indexes that readers are told.
  std::string listed() const {
    std::string text;
    for (const auto& shard : located().shards)
      text += fmt::format("{}{}", text.empty() ? "" : " ", shard.index);
    return text;
  }
  NodeId node(uint32_t index) const { return fs.machine.tables().block(block)->shards[index].node; }
  ShardVerdict verdict(uint32_t index, bool sound) const {
    return {.block = block,
            .index = index,
            .generation = Generation(1),
            .sound = sound,
            .checksum = sound ? 1000 + index : 0};
  }
  void judge(NodeId by, const ShardVerdict& verdict) {
    CHECK_EQ(outcome(fs.lead(JudgeShards{by, {verdict}})), "ok");
    const auto sound = check_invariants(fs.machine);
    CHECK_MESSAGE(sound.has_value(), (sound ? std::string() : sound.error().message));
  }
  void judge(uint32_t index, bool sound) { judge(node(index), verdict(index, sound)); }
  uint64_t narrow() const { return fs.machine.counters().blocks_below_full_width; }

  ClusterFixture& fs;
  BlockId block;
};

TEST_CASE("a shard that its server finds damaged counts no more, until it is sound again") {
  ClusterFixture fs;
  OneBlock one(fs);
  CHECK_EQ(one.listed(), "0 1 2 3 4 5");
  CHECK_EQ(one.narrow(), 0u);
  one.judge(3, false);
  one.judge(3, false);
  CHECK_EQ(one.listed(), "0 1 2 4 5");
  CHECK_EQ(one.narrow(), 1u);
  one.judge(0, false);
  CHECK_EQ(one.listed(), "1 2 4 5");
  CHECK_EQ(one.narrow(), 1u);
  one.judge(3, true);
  one.judge(3, true);
  CHECK_EQ(one.listed(), "1 2 3 4 5");
  // Whole, and not what it must be.
  auto other = one.verdict(0, true);
  other.checksum = 5;
  one.judge(one.node(0), other);
  CHECK_EQ(one.listed(), "1 2 3 4 5");
  one.judge(0, true);
  CHECK_EQ(one.listed(), "0 1 2 3 4 5");
  CHECK_EQ(one.narrow(), 0u);
  one.judge(one.node(0), other);
  CHECK_EQ(one.listed(), "1 2 3 4 5");
}

TEST_CASE("readers are told of lost shards when there are too few others") {
  ClusterFixture fs;
  OneBlock one(fs);
  for (const uint32_t index : {1u, 2u}) one.judge(index, false);
  CHECK_EQ(one.listed(), "0 3 4 5");
  one.judge(5, false);
  CHECK_EQ(one.listed(), "0 1 2 3 4 5");
  for (const uint32_t index : {0u, 3u, 4u}) one.judge(index, false);
  CHECK_EQ(one.listed(), "0 1 2 3 4 5");
  CHECK_EQ(one.located().shards[2].checksum, 1002u);
}

TEST_CASE("verdicts on what a server does not hold change nothing") {
  ClusterFixture fs;
  OneBlock one(fs);
  const auto digest = fs.machine.tables().rows().digest();
  one.judge(one.node(2), one.verdict(3, false));  // that one is another server's
  auto wrong = one.verdict(3, false);
  wrong.generation = Generation(2);
  one.judge(one.node(3), wrong);
  wrong = one.verdict(3, false);
  wrong.index = 99;
  one.judge(one.node(3), wrong);
  wrong = one.verdict(3, false);
  wrong.block = BlockId(12345);
  one.judge(one.node(3), wrong);
  one.judge(NodeId(0), one.verdict(3, false));
  CHECK_EQ(fs.machine.tables().rows().digest(), digest);
  CHECK_EQ(outcome(fs.lead(
               JudgeShards{one.node(0), std::vector<ShardVerdict>(limits::kVerdictsPerEntry + 1)})),
           "invalid");
}

TEST_CASE("a lost shard is still deleted with its block, and survives a snapshot") {
  ClusterFixture fs;
  OneBlock one(fs);
  one.judge(3, false);
  const auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy);
  CHECK_EQ(copy->digest(), fs.machine.digest());
  CHECK_EQ(copy->tables().block(one.block)->lost_shards(), 1u);
  const NodeId holder = one.node(3);
  REQUIRE(fs.remove("/f"));
  const auto garbage = fs.machine.garbage(BlockId(0), 10);
  REQUIRE_EQ(garbage.size(), 1u);
  CHECK_EQ(garbage[0].shards.size(), 6u);
  CHECK_EQ(garbage[0].shards[3].node.value, holder.value);
  one.fs.lead(JudgeShards{holder, {one.verdict(3, true)}});
  CHECK(check_invariants(fs.machine));
  REQUIRE(fs.lead(OrderDeletion{.blocks = {one.block}, .former = {}}));
  for (const auto& shard : garbage[0].shards)
    REQUIRE(fs.lead(AckDeleted{shard.node, {{one.block, shard.index, Generation(1)}}}));
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0u);
  CHECK(check_invariants(fs.machine));
}

TEST_CASE("a commit that is sent again does not make a lost shard durable") {
  ClusterFixture fs;
  const auto upload =
      std::get<UploadStarted>(*fs.ask(StartUpload{.path = "/f", .policy = {}, .overwrite = true}));
  const auto allocated = *fs.ask(AllocateBlocks{
      .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {300'000}});
  const PlacedBlock block = std::get<BlocksAllocated>(allocated).blocks.at(0);
  REQUIRE(fs.commit(upload, block, 5));
  const auto row = fs.machine.tables().block(block.block);
  const ShardVerdict lost{.block = block.block, .index = 2, .generation = Generation(1)};
  REQUIRE(fs.lead(JudgeShards{row->shards[2].node, {lost}}));
  REQUIRE(fs.commit(upload, block, 6));
  const auto after = fs.machine.tables().block(block.block);
  CHECK_EQ(after->durable_shards(), 5u);
  CHECK(after->shards[2].lost);
  CHECK(check_invariants(fs.machine));
}

}  // namespace
}  // namespace dogfs::metadata
