#include "core/namespace/damage.h"

#include <string>
#include <vector>

#include "core/namespace/cluster_version.h"

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

// An append block of /log with three replicas, and what is said of them.
struct OneLog {
  explicit OneLog(ClusterFixture& fixture) : fs(fixture) {
    const auto reply =
        fs.ask(OpenAppend{.path = "/log", .create = true, .policy = {}, .attributes = {}});
    REQUIRE_EQ(outcome(reply), "ok");
    opened = std::get<AppendOpened>(*reply);
    REQUIRE_EQ(outcome(fs.begin_append(opened)), "ok");
  }
  void judge(uint32_t index, bool sound) {
    const ShardVerdict verdict{.block = opened.block.block,
                               .index = index,
                               .generation = kLogGeneration,
                               .sound = sound,
                               .checksum = 0};
    const NodeId node = opened.block.shards.at(index).node;
    CHECK_EQ(outcome(fs.lead(JudgeShards{node, {verdict}})), "ok");
    check_sound();
  }
  void fix(std::vector<uint32_t> holders) {
    CHECK_EQ(outcome(fs.lead(BeginSeal{opened.file, opened.block.block})), "ok");
    CHECK_EQ(outcome(fs.lead(
                 FixAppend{opened.file, opened.block.block, Epoch(2), 1000, std::move(holders)})),
             "ok");
    check_sound();
  }
  void check_sound() const {
    const auto sound = check_invariants(fs.machine);
    REQUIRE_MESSAGE(sound.has_value(), (sound ? std::string() : sound.error().message));
    const auto copy = copy_through_snapshot(fs.machine, 100);
    REQUIRE(copy.has_value());
    CHECK_EQ(copy->digest(), fs.machine.digest());
  }
  bool damaged() const { return fs.machine.append_blocks({}, 1).at(0).damaged; }
  // "0 2": the replicas that readers, or conversion, are told of.
  template <class Places>
  static std::string indexes(const Places& places) {
    std::string text;
    for (const auto& place : places)
      text += fmt::format("{}{}", text.empty() ? "" : " ", place.index);
    return text;
  }
  std::string listed() const { return indexes(fs.machine.locate("/log", {})->blocks.at(0).shards); }
  std::string holders() {
    const auto begun = fs.lead(BeginConversion{.block = opened.block.block,
                                               .generation = kLogGeneration,
                                               .attempt = ++attempts,
                                               .avoid = {}});
    REQUIRE_EQ(outcome(begun), "ok");
    CHECK_EQ(std::get<ConversionBegun>(*begun).log.length, 1000u);
    return indexes(std::get<ConversionBegun>(*begun).log.holders);
  }

  ClusterFixture& fs;
  AppendOpened opened;
  uint64_t attempts = 0;
};

TEST_CASE("an open block with a damaged replica is to be sealed, and others have its bytes") {
  ClusterFixture fs;
  OneLog log(fs);
  CHECK_FALSE(log.damaged());
  log.judge(1, true);
  CHECK_FALSE(log.damaged());
  log.judge(1, false);
  CHECK(log.damaged());
  // It may have been cut off where it was damaged, and seem sound.
  log.judge(1, true);
  CHECK(log.damaged());
  log.fix({0, 2});
  CHECK_FALSE(log.damaged());
  CHECK_EQ(log.listed(), "0 2");
  log.judge(1, false);
  log.judge(1, true);
  CHECK_EQ(log.listed(), "0 2");
  CHECK_EQ(log.holders(), "0 2");
}

TEST_CASE("a damaged replica that holds all of a block when it is sealed is asked last, too") {
  ClusterFixture fs;
  OneLog log(fs);
  log.judge(1, false);
  const auto begun = fs.lead(BeginSeal{log.opened.file, log.opened.block.block});
  REQUIRE_EQ(outcome(begun), "ok");
  CHECK((std::get<SealBegun>(*begun).lost == std::vector<uint32_t>{1}));
  log.fix({0, 1});
  CHECK_EQ(log.listed(), "0");
  CHECK_EQ(log.holders(), "0 1");
}

TEST_CASE("a block that only damaged replicas hold is read from them") {
  ClusterFixture fs;
  OneLog log(fs);
  for (const uint32_t index : {1u, 2u}) log.judge(index, false);
  log.fix({1, 2});
  CHECK_EQ(log.listed(), "1 2");
}

TEST_CASE("a damaged replica of a sealed block is asked last, for good") {
  ClusterFixture fs;
  OneLog log(fs);
  log.fix({0, 1, 2});
  log.judge(0, false);
  CHECK(log.damaged());
  CHECK_EQ(log.listed(), "1 2");
  CHECK_EQ(log.holders(), "1 2 0");
  log.judge(0, true);
  CHECK_EQ(log.listed(), "1 2");
  // Each of them may have what another has not.
  log.judge(1, false);
  log.judge(2, false);
  CHECK_EQ(log.listed(), "0 1 2");
  CHECK_EQ(log.holders(), "0 1 2");
  CHECK_EQ(fs.machine.append_blocks({}, 1).at(0).shards.size(), 3u);
}

TEST_CASE("before the cluster's version says so, verdicts on logs change nothing") {
  ClusterFixture fs(6, "rs-4-2", kLogVerdictsVersion - 1);
  OneLog log(fs);
  log.judge(0, false);
  CHECK_FALSE(log.damaged());
  log.fix({0, 1, 2});
  log.judge(0, false);
  CHECK_EQ(log.listed(), "0 1 2");
}

}  // namespace
}  // namespace dogfs::metadata
