#pragma once
// Packs: a state machine whose client packs small files: blocks of packs are opened, begun, sealed,
// converted and settled, and files made and moved in them, by short calls. Made by each test for
// itself; what cannot fail in it is required.

#include <string>

#include "core/namespace/pack_path.h"

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {

struct Packs : ClusterFixture {
  explicit Packs(uint32_t version = kLatestClusterVersion) : ClusterFixture(6, "rs-4-2", version) {}

  Response open(uint32_t number = 0, const char* policy = "rs-4-2") {
    (void)ask(MakeDirectory{.path = std::string(kPacksDirectory), .parents = true, .policy = {}});
    return ask(OpenAppend{.path = pack_path(*placement::Policy::parse(policy), number),
                          .create = true,
                          .policy = {},
                          .attributes = {}});
  }
  // Open, and all replicas have begun their logs.
  AppendOpened begun(uint32_t number = 0) {
    const auto reply = open(number);
    REQUIRE_EQ(outcome(reply), "ok");
    const auto block = std::get<AppendOpened>(*reply);
    REQUIRE_EQ(outcome(begin_append(block)), "ok");
    return block;
  }
  static PutPacked small(const std::string& path, const AppendOpened& pack, uint64_t offset,
                         uint64_t length) {
    return {.path = path,
            .policy = {},
            .pack = pack.file,
            .block = pack.block.block,
            .block_offset = offset,
            .length = length,
            .condition = PublishCondition::kOverwrite,
            .version = {},
            .attributes = {}};
  }
  std::string pack(const std::string& path, const AppendOpened& pack, uint64_t offset,
                   uint64_t length) {
    const auto out = outcome(ask(small(path, pack, offset, length)));
    check_sound();
    return out;
  }
  Response seal(const AppendOpened& block) {
    return lead(BeginSeal{.file = block.file, .block = block.block.block});
  }
  Response fix(const AppendOpened& block, uint64_t length) {
    return lead(FixAppend{.file = block.file,
                          .block = block.block.block,
                          .epoch = Epoch(2),
                          .length = length,
                          .holders = {0, 1}});
  }
  void convert(BlockId block) {
    const auto begun = lead(
        BeginConversion{.block = block, .generation = Generation(1), .attempt = 1, .avoid = {}});
    REQUIRE_EQ(outcome(begun), "ok");
    const auto& next = std::get<ConversionBegun>(*begun).next;
    CommitConversion commit{.block = block, .generation = next.generation, .shards = {}};
    for (const auto& shard : next.shards) commit.shards.push_back({shard.index, 5});
    REQUIRE_EQ(outcome(lead(commit)), "ok");
  }
  // Former generations are ordered deleted, and deleted.
  void forget_formers() {
    OrderDeletion order;
    const auto formers = machine.formers({}, 100);
    for (const auto& former : formers) order.former.push_back(former.name);
    REQUIRE_EQ(outcome(lead(order)), "ok");
    for (const auto& former : formers) {
      for (const auto& shard : former.shards) {
        (void)lead(
            AckDeleted{.node = shard.node,
                       .shards = {{former.name.block, shard.index, former.name.generation}}});
      }
    }
  }
  // Sealed at that length, converted, and nothing of before is left.
  void settle(const AppendOpened& block, uint64_t length) {
    REQUIRE_EQ(outcome(seal(block)), "ok");
    REQUIRE_EQ(outcome(fix(block, length)), "ok");
    convert(block.block.block);
    forget_formers();
    check_sound();
  }
  FileHandle file_of(const std::string& path) const {
    const auto found = machine.stat(path);
    REQUIRE(found.has_value());
    return {found->home, found->id};
  }
  // Of a file with one extent.
  MovePacked move_of(const std::string& path, const AppendOpened& to, uint64_t offset) const {
    const LocatedBlock here = block_of(path);
    return {.file = file_of(path),
            .from = here.block,
            .from_offset = here.block_offset,
            .length = here.length,
            .pack = to.file,
            .block = to.block.block,
            .block_offset = offset};
  }
  std::string move_bytes(const MovePacked& move) {
    const auto out = outcome(lead(move));
    check_sound();
    return out;
  }
  LocatedBlock block_of(const std::string& path) const {
    const auto location = machine.locate(path, {});
    REQUIRE(location.has_value());
    REQUIRE_EQ(location->blocks.size(), 1u);
    return location->blocks[0];
  }
  uint64_t garbage() const { return machine.counters().garbage_blocks; }
  void check_sound() const {
    const auto sound = check_invariants(machine);
    REQUIRE_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
  }
};

}  // namespace dogfs::metadata
