// The life of append blocks: opened, activated, sealed, fixed, converted, and what is left of them.
#include <algorithm>
#include <string>
#include <vector>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

using placement::NodeState;

struct Appends : ClusterFixture {
  explicit Appends(uint32_t servers = 6, const char* policy = "rs-4-2")
      : ClusterFixture(servers, policy) {}

  Response open(const std::string& path, bool create = true) {
    return ask(OpenAppend{.path = path, .create = create, .policy = {}, .attributes = {}});
  }
  AppendOpened opened(const std::string& path) {
    const auto reply = open(path);
    REQUIRE_EQ(outcome(reply), "ok");
    return std::get<AppendOpened>(*reply);
  }
  Response activate(const AppendOpened& block, uint64_t activation = 77, bool begun = false) {
    return begin_append(block, activation, begun);
  }
  // Open, and all replicas have begun their logs.
  AppendOpened begun(const std::string& path) {
    const auto block = opened(path);
    REQUIRE_EQ(outcome(begin_append(block)), "ok");
    return block;
  }
  Response seal(const AppendOpened& block) {
    return lead(BeginSeal{.file = block.file, .block = block.block.block});
  }
  Response fix(const AppendOpened& block, uint64_t length, std::vector<uint32_t> holders = {0, 1},
               uint64_t epoch = 2) {
    return lead(FixAppend{.file = block.file,
                          .block = block.block.block,
                          .epoch = Epoch(epoch),
                          .length = length,
                          .holders = std::move(holders)});
  }
  // A file with one more block of that many bytes in logs.
  AppendOpened append(const std::string& path, uint64_t length) {
    const auto block = begun(path);
    REQUIRE_EQ(outcome(seal(block)), "ok");
    REQUIRE_EQ(outcome(fix(block, length)), "ok");
    return block;
  }
  Response begin(BlockId block, uint64_t attempt = 1, std::vector<NodeId> avoid = {}) {
    return lead(BeginConversion{.block = block,
                                .generation = kLogGeneration,
                                .attempt = attempt,
                                .avoid = std::move(avoid)});
  }
  Response commit(const ConversionBegun& begun, size_t durable = 6) {
    CommitConversion commit{
        .block = begun.next.block, .generation = begun.next.generation, .shards = {}};
    for (size_t i = 0; i < durable; ++i) {
      commit.shards.push_back({.index = begun.next.shards.at(i).index, .checksum = 9});
    }
    return lead(commit);
  }
  LocatedBlock last_block(const std::string& path) const {
    const auto location = machine.locate(path, {});
    REQUIRE(location.has_value());
    REQUIRE_FALSE(location->blocks.empty());
    return location->blocks.back();
  }
  void check_sound() const {
    const auto sound = check_invariants(machine);
    REQUIRE_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
  }
  // Orders and acknowledges the deletion of what nobody needs, until nothing of it is left.
  void sweep() {
    for (int round = 0; round < 2; ++round) {
      OrderDeletion order;
      for (const auto& block : machine.garbage({}, 100)) {
        order.blocks.push_back(block.block);
        if (block.ordered) acknowledge(block.block, block.shards);
      }
      for (const auto& former : machine.formers({}, 100)) {
        order.former.push_back(former.name);
        if (former.ordered) acknowledge(former.name.block, former.shards);
      }
      (void)lead(order);
    }
    check_sound();
  }
  void acknowledge(BlockId block, const std::vector<GarbageShard>& shards) {
    for (const auto& shard : shards) {
      (void)lead(AckDeleted{
          .node = shard.node,
          .shards = {{.block = block, .index = shard.index, .generation = shard.generation}}});
    }
  }
};

std::vector<NodeId> nodes(const PlacedBlock& block) {
  std::vector<NodeId> out;
  for (const auto& shard : block.shards) out.push_back(shard.node);
  return out;
}

}  // namespace

TEST_CASE("an append block is open for whoever asks, is sealed, and gets its length") {
  Appends fs;
  const auto block = fs.opened("/log");
  CHECK_EQ(block.ordinal, 1);
  CHECK_EQ(block.epoch, Epoch(1));
  CHECK_EQ(block.capacity, limits::kMiB);
  CHECK_EQ(block.policy.text(), "rs-4-2");
  CHECK_EQ(block.block.generation, Generation(1));
  CHECK_EQ(block.block.shards.size(), 3u);
  CHECK(block.block.shards[0].address.starts_with("127.0.0.1:"));
  CHECK(fs.machine.stat("/log")->appending);
  CHECK_EQ(fs.last_block("/log").state, LocatedState::kAppending);
  CHECK(fs.last_block("/log").log);
  CHECK_EQ(fs.last_block("/log").shards.size(), 3u);
  fs.check_sound();
  // Whoever asks is given the same block.
  CHECK((fs.opened("/log").block == block.block));

  const auto active = fs.activate(block);
  REQUIRE_EQ(outcome(active), "ok");
  CHECK((std::get<AppendActivated>(*active).block == block.block));
  CHECK_FALSE(std::get<AppendActivated>(*active).previous.has_value());
  REQUIRE_EQ(outcome(fs.begin_append(block)), "ok");

  const auto sealing = fs.seal(block);
  REQUIRE_EQ(outcome(sealing), "ok");
  CHECK_EQ(std::get<SealBegun>(*sealing).epoch, Epoch(2));
  CHECK((fs.seal(block) == sealing));
  CHECK_EQ(fs.last_block("/log").state, LocatedState::kSealing);
  CHECK_EQ(outcome(fs.open("/log")), "unavailable");
  fs.check_sound();

  REQUIRE_EQ(outcome(fs.fix(block, 1000, {0, 2})), "ok");
  const auto log = fs.last_block("/log");
  CHECK_EQ(log.state, LocatedState::kSealed);
  CHECK(log.log);
  CHECK_EQ(log.length, 1000);
  CHECK_EQ(log.policy.text(), "rep-3");
  CHECK_EQ(log.shards.size(), 2u);
  CHECK_EQ(log.shards[1].index, 2);
  CHECK_FALSE(fs.machine.stat("/log")->appending);
  CHECK_EQ(fs.machine.stat("/log")->length, 1000);
  CHECK_EQ(fs.machine.counters().append_blocks, 1);
  fs.check_sound();
}

TEST_CASE("a sealed log becomes an ordinary block of its file, and nothing of before is left") {
  Appends fs;
  const auto block = fs.append("/log", 1000);
  const auto begun = fs.begin(block.block.block);
  REQUIRE_EQ(outcome(begun), "ok");
  const auto& conversion = std::get<ConversionBegun>(*begun);
  CHECK_EQ(conversion.log.holders.size(), 2u);
  CHECK_EQ(conversion.log.length, 1000);
  CHECK_EQ(conversion.policy.text(), "rs-4-2");
  CHECK_EQ(conversion.next.generation, Generation(2));
  CHECK_EQ(conversion.next.shards.size(), 6u);
  fs.check_sound();

  REQUIRE_EQ(outcome(fs.commit(conversion)), "ok");
  const auto done = fs.last_block("/log");
  CHECK_FALSE(done.log);
  CHECK_EQ(done.epoch, Epoch(0));
  CHECK_EQ(done.generation, Generation(2));
  CHECK_EQ(done.policy.text(), "rs-4-2");
  CHECK_EQ(done.shards.size(), 6u);
  CHECK_EQ(done.shards[0].checksum, 9);
  CHECK_EQ(fs.machine.counters().append_blocks, 0);
  CHECK_EQ(fs.machine.counters().former_generations, 1);
  CHECK_EQ(fs.machine.counters().garbage_bytes, 3000);
  fs.check_sound();

  fs.sweep();
  CHECK_EQ(fs.machine.counters().former_generations, 0);
  CHECK_EQ(fs.machine.counters().garbage_bytes, 0);
  CHECK_FALSE(fs.machine.tables().block(block.block.block)->append.has_value());
}

TEST_CASE("only the first life of a primary may append, and only until the seal begins") {
  Appends fs;
  const auto block = fs.opened("/log");
  REQUIRE_EQ(outcome(fs.activate(block, 5)), "ok");
  CHECK_EQ(outcome(fs.activate(block, 5)), "ok");
  CHECK_EQ(outcome(fs.activate(block, 6)), "precondition");
  CHECK_EQ(outcome(fs.activate(block, 0)), "invalid");
  ActivateAppend other{.file = block.file,
                       .block = block.block.block,
                       .epoch = Epoch(1),
                       .node = block.block.shards[1].node,
                       .activation = 5};
  CHECK_EQ(outcome(fs.lead(other)), "precondition");
  CHECK_EQ(outcome(fs.begin_append(block, 6)), "precondition");
  REQUIRE_EQ(outcome(fs.begin_append(block, 5)), "ok");
  CHECK_EQ(outcome(fs.activate(block, 5)), "ok");
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  CHECK_EQ(outcome(fs.activate(block, 5)), "precondition");
  REQUIRE_EQ(outcome(fs.fix(block, 10)), "ok");
  CHECK_EQ(outcome(fs.activate(block, 5)), "precondition");
}

TEST_CASE("a block that not all replicas have begun has no records, and is given up at once") {
  Appends fs;
  REQUIRE(fs.put("/f", {100}).has_value());
  const auto block = fs.opened("/f");
  REQUIRE_EQ(outcome(fs.activate(block)), "ok");
  const auto sealed = fs.seal(block);
  REQUIRE_EQ(outcome(sealed), "ok");
  CHECK(std::holds_alternative<Done>(*sealed));
  CHECK_EQ(outcome(fs.begin_append(block)), "not_found");
  CHECK_FALSE(fs.machine.stat("/f")->appending);
  CHECK_EQ(fs.machine.stat("/f")->length, 100);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1);
  fs.sweep();
  // The next one's primary knows that there are no records before, whatever its number.
  const auto first = [&](const AppendOpened& opened) {
    return std::get<AppendActivated>(*fs.begin_append(opened)).first;
  };
  const auto next = fs.opened("/f");
  CHECK_EQ(next.ordinal, 2);
  CHECK(first(next));
  REQUIRE_EQ(outcome(fs.seal(next)), "ok");
  REQUIRE_EQ(outcome(fs.fix(next, 10)), "ok");
  CHECK_FALSE(first(fs.opened("/f")));
}

TEST_CASE("of two replicas either alone has what was acknowledged, of three any two") {
  Appends fs(2, "rep-2");
  const auto block = fs.begun("/log");
  CHECK_EQ(block.block.shards.size(), 2u);
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  CHECK_EQ(outcome(fs.fix(block, 10, {})), "precondition");
  REQUIRE_EQ(outcome(fs.fix(block, 10, {1})), "ok");
  CHECK_EQ(fs.last_block("/log").shards.size(), 1u);
  fs.check_sound();
}

TEST_CASE("a length is fixed once, at the epoch of the seal, with a quorum of the replicas") {
  Appends fs;
  const auto block = fs.begun("/log");
  CHECK_EQ(outcome(fs.fix(block, 10, {0, 1}, 1)), "precondition");
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  CHECK_EQ(outcome(fs.fix(block, 10, {0, 1}, 1)), "precondition");
  CHECK_EQ(outcome(fs.fix(block, 10, {0, 1}, 3)), "precondition");
  CHECK_EQ(outcome(fs.fix(block, 10, {1})), "precondition");
  CHECK_EQ(outcome(fs.fix(block, 10, {1, 1})), "invalid");
  CHECK_EQ(outcome(fs.fix(block, 10, {1, 3})), "invalid");
  CHECK_EQ(outcome(fs.fix(block, limits::kMiB + 1)), "invalid");
  CHECK_EQ(outcome(fs.fix(block, limits::kMiB, {0, 1, 2})), "ok");
  // Again, whatever is said.
  CHECK_EQ(outcome(fs.fix(block, 10)), "ok");
  CHECK_EQ(fs.machine.stat("/log")->length, limits::kMiB);
  CHECK_EQ(outcome(fs.seal(block)), "ok");
  CHECK(std::holds_alternative<Done>(*fs.seal(block)));
  fs.check_sound();
}

TEST_CASE("a block that got no bytes leaves the file as it was") {
  Appends fs;
  REQUIRE(fs.put("/f", {100}).has_value());
  const auto block = fs.begun("/f");
  CHECK_EQ(block.block.file_offset, 100);
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  REQUIRE_EQ(outcome(fs.fix(block, 0)), "ok");
  CHECK_EQ(fs.machine.stat("/f")->length, 100);
  CHECK_EQ(fs.machine.stat("/f")->blocks, 1);
  CHECK_EQ(outcome(fs.fix(block, 0)), "not_found");
  CHECK_EQ(outcome(fs.seal(block)), "not_found");
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1);
  fs.sweep();
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0);
  // Ordinals are not used again.
  CHECK_EQ(fs.opened("/f").ordinal, 2);
}

TEST_CASE("a primary is told which block was before, as long as its logs are there") {
  Appends fs;
  const auto previous = [&](const std::string& path) {
    const auto block = fs.opened(path);
    const auto active = fs.activate(block);
    REQUIRE_EQ(outcome(active), "ok");
    return std::get<AppendActivated>(*active).previous;
  };
  const auto first = fs.append("/log", 10);
  auto known = previous("/log");
  REQUIRE(known.has_value());
  CHECK_EQ(known->block, first.block.block);
  CHECK_EQ(known->generation, Generation(1));
  CHECK_EQ(known->ordinal, 1);
  CHECK_EQ(known->length, 10);
  CHECK_EQ(known->holders.size(), 2u);
  CHECK_FALSE(known->holders[0].address.empty());

  // A block without bytes is none.
  const auto empty = fs.begun("/log");
  REQUIRE_EQ(outcome(fs.seal(empty)), "ok");
  REQUIRE_EQ(outcome(fs.fix(empty, 0)), "ok");
  known = previous("/log");
  REQUIRE(known.has_value());
  CHECK_EQ(known->block, first.block.block);

  // Converted, its logs are there until they are ordered deleted.
  REQUIRE_EQ(outcome(fs.commit(std::get<ConversionBegun>(*fs.begin(first.block.block)))), "ok");
  known = previous("/log");
  REQUIRE(known.has_value());
  CHECK_EQ(known->holders.size(), 2u);
  REQUIRE(fs.lead(OrderDeletion{.blocks = {}, .former = {{first.block.block, Generation(1)}}})
              .has_value());
  CHECK_FALSE(previous("/log").has_value());
}

TEST_CASE("a file of bytes in its inode may be appended to, and is cut, copied and joined after") {
  Appends fs;
  REQUIRE(fs.put_inline("/f", "head").has_value());
  const auto block = fs.append("/f", 100);
  CHECK_EQ(block.block.file_offset, 4);
  const auto location = fs.machine.locate("/f", {});
  CHECK_EQ(location->content, "head");
  CHECK_EQ(location->length, 104);
  REQUIRE_EQ(location->blocks.size(), 1u);
  CHECK_EQ(location->blocks[0].file_offset, 4);
  CHECK_NE(location->contents, 0u);
  CHECK_FALSE(fs.machine.stat("/f")->is_inline());
  fs.check_sound();

  REQUIRE_EQ(outcome(fs.ask(Copy{.from = "/f", .to = "/copy", .version = {}})), "ok");
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/f", .length = 50})), "ok");
  CHECK_EQ(fs.machine.locate("/f", {})->blocks.at(0).length, 46);
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/f", .length = 2})), "ok");
  CHECK_EQ(fs.machine.locate("/f", {})->content, "he");
  CHECK(fs.machine.stat("/f")->is_inline());
  fs.check_sound();
  REQUIRE(fs.put("/tail", {7}).has_value());
  REQUIRE_EQ(outcome(fs.ask(Concatenate{.path = "/copy", .sources = {"/tail"}})), "ok");
  CHECK_EQ(fs.machine.stat("/copy")->length, 111);
  REQUIRE_EQ(outcome(fs.ask(Concatenate{.path = "/f", .sources = {"/copy"}})), "ok");
  CHECK_EQ(fs.machine.locate("/f", {})->content, "hehead");
  CHECK_EQ(fs.machine.locate("/f", {})->blocks.at(1).file_offset, 106);
  fs.check_sound();
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  CHECK_EQ(copy->digest(), fs.machine.digest());
  REQUIRE_EQ(outcome(fs.remove("/f")), "ok");
  fs.sweep();
  CHECK_EQ(fs.machine.counters().blocks, 0);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0);
}

TEST_CASE("what is appended to is not copied, cut or joined until it is sealed") {
  Appends fs;
  REQUIRE(fs.put("/other", {10}).has_value());
  const auto block = fs.begun("/f");
  for (const bool sealing : {false, true}) {
    if (sealing) REQUIRE_EQ(outcome(fs.seal(block)), "ok");
    CHECK_EQ(outcome(fs.ask(Copy{.from = "/f", .to = "/copy", .version = {}})), "unavailable");
    CHECK_EQ(outcome(fs.ask(Truncate{.path = "/f", .length = 0})), "unavailable");
    CHECK_EQ(outcome(fs.ask(Concatenate{.path = "/f", .sources = {"/other"}})), "unavailable");
    CHECK_EQ(outcome(fs.ask(Concatenate{.path = "/other", .sources = {"/f"}})), "unavailable");
  }
  REQUIRE_EQ(outcome(fs.fix(block, 5)), "ok");
  CHECK_EQ(outcome(fs.ask(Copy{.from = "/f", .to = "/copy", .version = {}})), "ok");
  CHECK_EQ(outcome(fs.ask(Concatenate{.path = "/other", .sources = {"/f"}})), "ok");
  fs.check_sound();
  // A log that several files have is converted for all of them.
  const auto begun = fs.begin(block.block.block);
  REQUIRE_EQ(outcome(begun), "ok");
  REQUIRE_EQ(outcome(fs.commit(std::get<ConversionBegun>(*begun))), "ok");
  CHECK_EQ(fs.last_block("/copy").generation, Generation(2));
  CHECK_EQ(fs.last_block("/other").generation, Generation(2));
  fs.check_sound();
  // A copy has block numbers of its own.
  CHECK_EQ(fs.opened("/copy").ordinal, 1);
}

TEST_CASE("a file is renamed while it is appended to, and what its directories hold stays right") {
  Appends fs;
  REQUIRE(fs.make_directory("/a").has_value());
  REQUIRE(fs.make_directory("/b").has_value());
  const auto block = fs.begun("/a/f");
  REQUIRE_EQ(outcome(fs.move("/a/f", "/b/g")), "ok");
  fs.check_sound();
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  REQUIRE(check_invariants(*copy).has_value());
  REQUIRE_EQ(outcome(fs.fix(block, 30)), "ok");
  CHECK_EQ(fs.machine.use("/a")->use.bytes, 0);
  CHECK_EQ(fs.machine.use("/b")->use.bytes, 30);
  CHECK_EQ(fs.machine.use("/")->use.bytes, 30);
  fs.check_sound();
}

TEST_CASE("a removed file's block takes no more appends, and goes as others do") {
  for (const int how : {0, 1, 2}) {
    CAPTURE(how);
    Appends fs;
    REQUIRE(fs.make_directory("/d").has_value());
    const auto block = fs.opened("/d/f");
    REQUIRE_EQ(outcome(fs.activate(block)), "ok");
    if (how == 0) REQUIRE_EQ(outcome(fs.remove("/d/f")), "ok");
    if (how == 1) REQUIRE_EQ(outcome(fs.put_inline("/d/f", "new")), "ok");
    if (how == 2) REQUIRE_EQ(outcome(fs.remove("/d", true)), "ok");
    fs.check_sound();
    while (fs.machine.removal_pending()) (void)fs.lead(RemoveStep{.limit = 1});
    CHECK_EQ(outcome(fs.activate(block)), "not_found");
    CHECK_EQ(outcome(fs.seal(block)), "not_found");
    CHECK_EQ(outcome(fs.fix(block, 10)), "not_found");
    CHECK_EQ(fs.machine.append_blocks({}, 10).size(), 0u);
    fs.sweep();
    CHECK_EQ(fs.machine.counters().garbage_blocks, 0);
  }
}

TEST_CASE("fewer servers give fewer replicas, and those that cannot be reached come last") {
  Appends fs(3, "rep-1");
  const auto first = fs.begun("/f");
  const NodeId lost = first.block.shards[0].node;
  REQUIRE_EQ(outcome(fs.seal(first)), "ok");
  REQUIRE_EQ(outcome(fs.fix(first, 1)), "ok");
  const auto avoiding = fs.ask(
      OpenAppend{.path = "/f", .create = false, .policy = {}, .attributes = {}, .avoid = {lost}});
  REQUIRE_EQ(outcome(avoiding), "ok");
  CHECK_EQ(std::get<AppendOpened>(*avoiding).block.shards.size(), 3u);
  CHECK_EQ(std::get<AppendOpened>(*avoiding).block.shards[2].node, lost);
  fs.set_state(1, NodeState::kDead);
  CHECK_EQ(fs.opened("/g").block.shards.size(), 2u);
  fs.set_state(2, NodeState::kDead);
  CHECK_EQ(fs.opened("/h").block.shards.size(), 1u);
  CHECK_EQ(fs.last_block("/h").policy.text(), "rep-1");
  fs.set_state(3, NodeState::kDead);
  CHECK_EQ(outcome(fs.open("/i")), "unavailable");
  // What is open stays so: a seal finds out what is there.
  CHECK_EQ(outcome(fs.open("/h")), "ok");
  CHECK_EQ(outcome(fs.open("/nothing", false)), "not_found");
  CHECK_EQ(outcome(fs.open("/", false)), "precondition");
  fs.check_sound();
}

TEST_CASE("no block is opened on fewer servers than survive what a put of the policy survives") {
  for (const auto& [policy, needed] :
       {std::pair("rs-4-2", 2), std::pair("rep-3", 2), std::pair("rs-6-4", 3)}) {
    CAPTURE(policy);
    Appends fs(10, policy);
    for (int node = 10; node > needed; --node) fs.set_state(node, NodeState::kDead);
    const auto least = fs.opened("/f");
    CHECK_EQ(least.block.shards.size(), needed);
    fs.set_state(needed, NodeState::kDead);
    CHECK_EQ(outcome(fs.open("/g")), "unavailable");
    CHECK_EQ(outcome(fs.open("/g", false)), "not_found");  // nor was the file made
    fs.set_state(needed, NodeState::kLive);
    CHECK_EQ(fs.opened("/g").block.shards.size(), needed);
    fs.check_sound();
  }
}

TEST_CASE("another attempt to convert gets another generation, and the one before is deleted") {
  Appends fs(7);
  const auto block = fs.append("/f", 100);
  const BlockId id = block.block.block;
  const auto first = std::get<ConversionBegun>(*fs.begin(id, 1));
  CHECK((std::get<ConversionBegun>(*fs.begin(id, 1)) == first));
  const auto second = std::get<ConversionBegun>(*fs.begin(id, 2, {first.next.shards[0].node}));
  CHECK_EQ(second.next.generation, Generation(3));
  const auto places = nodes(second.next);
  CHECK(std::ranges::find(places, first.next.shards[0].node) == places.end());
  fs.check_sound();
  CHECK_EQ(outcome(fs.commit(first)), "precondition");
  CHECK_EQ(outcome(fs.commit(second, 4)), "precondition");
  CHECK_EQ(outcome(fs.commit(second, 5)), "ok");
  CHECK_EQ(outcome(fs.commit(second, 5)), "ok");
  CHECK_EQ(outcome(fs.begin(id, 3)), "precondition");
  CHECK_EQ(fs.machine.counters().blocks_below_full_width, 1);
  CHECK_EQ(fs.machine.formers({}, 1).size(), 2u);
  fs.check_sound();
  fs.sweep();
  CHECK_EQ(fs.machine.formers({}, 1).size(), 0u);
  CHECK_EQ(outcome(fs.commit(second, 5)), "ok");
}

TEST_CASE("given up generations are bounded, and there is room again when they are deleted") {
  Appends fs;
  const BlockId id = fs.append("/f", 100).block.block;
  for (uint64_t attempt = 1; attempt <= 1 + limits::kFormerGenerationsMax; ++attempt) {
    REQUIRE_EQ(outcome(fs.begin(id, attempt)), "ok");
  }
  CHECK_EQ(outcome(fs.begin(id, 99)), "unavailable");
  CHECK_EQ(outcome(fs.begin(id, 0)), "invalid");
  fs.sweep();
  const auto begun = fs.begin(id, 99);
  REQUIRE_EQ(outcome(begun), "ok");
  CHECK_EQ(std::get<ConversionBegun>(*begun).next.generation, Generation(7));
  fs.set_state(1, NodeState::kDead);
  fs.set_state(2, NodeState::kDead);
  CHECK_EQ(outcome(fs.begin(id, 100)), "unavailable");
  fs.check_sound();
}

TEST_CASE("nothing that a row still needs is ever ordered deleted or forgotten") {
  Appends fs;
  const auto block = fs.append("/f", 100);
  const BlockId id = block.block.block;
  const auto begun = std::get<ConversionBegun>(*fs.begin(id, 1));
  const auto before = fs.machine.tables().block(id);
  const auto try_all = [&] {
    (void)fs.lead(OrderDeletion{
        .blocks = {id},
        .former = {
            {id, Generation(0)}, {id, Generation(1)}, {id, Generation(2)}, {id, Generation(3)}}});
    for (uint32_t node = 1; node <= 6; ++node) {
      for (uint64_t generation = 0; generation <= 3; ++generation) {
        for (uint32_t index = 0; index < 6; ++index) {
          (void)fs.lead(AckDeleted{
              .node = NodeId(node),
              .shards = {{.block = id, .index = index, .generation = Generation(generation)}}});
        }
      }
    }
  };
  try_all();
  CHECK((fs.machine.tables().block(id) == before));
  REQUIRE_EQ(outcome(fs.commit(begun)), "ok");
  const auto converted = fs.machine.tables().block(id);
  try_all();  // the logs are former now, and forgotten
  const auto after = fs.machine.tables().block(id);
  CHECK_FALSE(after->append.has_value());
  CHECK((after->shards == converted->shards));
  CHECK_EQ(after->state, BlockState::kSealed);
  fs.check_sound();
}

TEST_CASE("a server that is gone needs to delete nothing") {
  Appends fs;
  const auto block = fs.append("/f", 100);
  REQUIRE_EQ(outcome(fs.commit(std::get<ConversionBegun>(*fs.begin(block.block.block)))), "ok");
  const auto former = fs.machine.formers({}, 1).at(0);
  REQUIRE_EQ(former.shards.size(), 3u);
  fs.acknowledge(former.name.block, former.shards);
  CHECK_EQ(fs.machine.formers({}, 1).at(0).shards.size(), 3u);
  for (const auto& shard : former.shards) fs.set_state(shard.node.value, NodeState::kGone);
  fs.acknowledge(former.name.block, former.shards);
  CHECK(fs.machine.formers({}, 1).empty());
  fs.check_sound();
}

TEST_CASE("a block that is removed while it is converted is deleted with all its generations") {
  Appends fs;
  const auto block = fs.append("/f", 100);
  REQUIRE_EQ(outcome(fs.begin(block.block.block, 1)), "ok");
  const auto begun = std::get<ConversionBegun>(*fs.begin(block.block.block, 2));
  REQUIRE_EQ(outcome(fs.remove("/f")), "ok");
  fs.check_sound();
  CHECK_EQ(outcome(fs.commit(begun)), "not_found");
  CHECK_EQ(outcome(fs.begin(block.block.block, 3)), "not_found");
  const auto garbage = fs.machine.garbage({}, 1).at(0);
  CHECK_EQ(garbage.shards.size(), 3u + 6 + 6);
  CHECK_EQ(fs.machine.counters().former_generations, 0);
  fs.sweep();
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0);
  CHECK_FALSE(fs.machine.tables().block(block.block.block).has_value());
}

TEST_CASE("a server that says no generation means the one in the row") {
  Appends fs;
  const auto block = fs.append("/f", 100);
  REQUIRE_EQ(outcome(fs.remove("/f")), "ok");
  const auto garbage = fs.machine.garbage({}, 1).at(0);
  REQUIRE(fs.lead(OrderDeletion{.blocks = {garbage.block}}).has_value());
  for (const auto& shard : garbage.shards) {
    REQUIRE(fs.lead(AckDeleted{.node = shard.node,
                               .shards = {{.block = garbage.block, .index = shard.index}}})
                .has_value());
  }
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0);
  CHECK_EQ(block.ordinal, 1);
}

TEST_CASE("a used up quota refuses to open a block, but never to fix a length") {
  Appends fs;
  REQUIRE(fs.make_directory("/d").has_value());
  const auto quota = [&](std::optional<uint64_t> bytes, std::optional<uint64_t> entries) {
    return outcome(fs.ask(SetQuota{.path = "/d", .quota = {.bytes = bytes, .entries = entries}}));
  };
  REQUIRE_EQ(quota(50, {}), "ok");
  const auto block = fs.append("/d/f", 100);
  CHECK_EQ(fs.machine.use("/d")->use.bytes, 100);
  CHECK_EQ(outcome(fs.open("/d/f")), "no_space");
  REQUIRE_EQ(quota({}, 1), "ok");
  CHECK_EQ(outcome(fs.open("/d/f")), "ok");
  CHECK_EQ(outcome(fs.open("/d/g")), "no_space");
  CHECK_EQ(block.ordinal, 1);
}

TEST_CASE("who may not write a file may not append to it") {
  Appends fs;
  const Asker ada{.user = "ada", .groups = {}};
  const Asker bob{.user = "bob", .groups = {}};
  const OpenAppend open{.path = "/f", .create = true, .policy = {}, .attributes = {}};
  REQUIRE_EQ(outcome(ask_as(fs, ada, open)), "ok");
  CHECK_EQ(fs.machine.stat("/f")->inode.owner, "ada");
  CHECK_EQ(outcome(ask_as(fs, bob, open)), "denied");
  CHECK_EQ(outcome(ask_as(fs, ada, open)), "ok");
}

TEST_CASE("an open block is located by every range that reaches the end of the others") {
  Appends fs;
  REQUIRE(fs.put("/f", {100, 50}).has_value());
  (void)fs.opened("/f");
  const auto states = [&](uint64_t offset, uint64_t length) {
    std::string out;
    for (const auto& b : fs.machine.locate("/f", {offset, length})->blocks) {
      out += b.state == LocatedState::kSealed ? 's' : 'o';
    }
    return out;
  };
  CHECK_EQ(states(0, UINT64_MAX), "sso");
  CHECK_EQ(states(0, 149), "ss");
  CHECK_EQ(states(0, 150), "sso");
  CHECK_EQ(states(100, 50), "so");
  CHECK_EQ(states(0, 10), "s");
  CHECK_EQ(states(150, 10), "o");
  CHECK_EQ(states(1000, 10), "o");
  CHECK_EQ(fs.machine.locate("/f", {0, UINT64_MAX})->length, 150);
}

TEST_CASE("an answer to a repeated request to open is the answer that was given") {
  Appends fs;
  const auto first = fs.opened("/f");
  const Command command{
      .client = fs.client,
      .request = fs.request,
      .acknowledged_below = fs.request,
      .wall = {},
      .operation =
          OpenAppend{.path = "/f", .create = true, .policy = {}, .attributes = {}, .avoid = {}}};
  REQUIRE_EQ(outcome(fs.seal(first)), "ok");
  const auto again = fs.apply(command);
  REQUIRE_EQ(outcome(again), "ok");
  CHECK((std::get<AppendOpened>(*again) == first));
}

}  // namespace dogfs::metadata
