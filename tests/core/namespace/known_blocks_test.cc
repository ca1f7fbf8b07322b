// Digests of blocks, and files that share blocks by them.
#include "core/namespace/known_blocks.h"

#include <string>

#include "tests/core/namespace/cluster_fixture.h"
#include "tests/core/namespace/packs_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

using placement::NodeState;

Response set_mode(ClusterFixture& fs, const std::string& path, ContentMode mode) {
  return fs.ask(SetLayout{.path = path, .layout = {.content_mode = mode}});
}

// /v shares blocks, and so do the directories below it that say nothing else.
struct Volume : ClusterFixture {
  Volume() {
    REQUIRE(make_directory("/v/a", true).has_value());
    REQUIRE(make_directory("/v/b").has_value());
    REQUIRE(make_directory("/other").has_value());
    REQUIRE_EQ(outcome(set_mode(*this, "/v", ContentMode::kDedup)), "ok");
  }

  UploadStarted start(const std::string& path, const char* policy = nullptr) {
    StartUpload operation{.path = path, .policy = {}};
    if (policy != nullptr) operation.policy = placement::Policy::parse(policy).value();
    const auto reply = ask(operation);
    REQUIRE(reply.has_value());
    return std::get<UploadStarted>(*reply);
  }
  PlacedBlock allocate(const UploadStarted& upload, uint64_t offset, uint64_t length) {
    const auto reply = ask(AllocateBlocks{
        .file = upload.file, .epoch = upload.epoch, .file_offset = offset, .lengths = {length}});
    REQUIRE(reply.has_value());
    return std::get<BlocksAllocated>(*reply).blocks.at(0);
  }
  Response commit(const UploadStarted& upload, const PlacedBlock& block, const char* content,
                  size_t durable) {
    CommittedBlock committed = ClusterFixture::committed(block, durable);
    if (content != nullptr) committed.digest = Sha256::of(content);
    return ask(CommitBlocks{.file = upload.file, .epoch = upload.epoch, .blocks = {committed}});
  }
  // Of a block of 100 bytes.
  BlockId store(const UploadStarted& upload, uint64_t offset, const char* content) {
    const PlacedBlock block = allocate(upload, offset, 100);
    REQUIRE_EQ(outcome(commit(upload, block, content, block.shards.size())), "ok");
    return block.block;
  }
  Response ask_for(const UploadStarted& upload, uint64_t offset, std::vector<const char*> contents,
                   uint64_t length = 100) {
    UseBlocks use{.file = upload.file, .epoch = upload.epoch, .file_offset = offset, .blocks = {}};
    for (const char* content : contents)
      use.blocks.push_back({.length = length, .digest = Sha256::of(content)});
    return ask(use);
  }
  // How many of them the upload has got.
  uint32_t used(const UploadStarted& upload, uint64_t offset, std::vector<const char*> contents,
                uint64_t length = 100) {
    const auto reply = ask_for(upload, offset, std::move(contents), length);
    REQUIRE(reply.has_value());
    return std::get<BlocksUsed>(*reply).blocks;
  }
  // A file with one block.
  BlockId put_known(const std::string& path, const char* content) {
    const auto upload = start(path);
    const BlockId block = store(upload, 0, content);
    REQUIRE_EQ(outcome(publish(upload, path, 100)), "ok");
    return block;
  }
  // Whether a new file there would share the block.
  bool knows(const char* content, const std::string& path = "/v/asked",
             const char* policy = nullptr) {
    const auto upload = start(path, policy);
    const bool known = used(upload, 0, {content}) == 1;
    REQUIRE(ask(AbandonUpload{.file = upload.file, .epoch = upload.epoch}).has_value());
    settle();
    return known;
  }
  // Takes apart what was dropped, and demands that the state is sound, here and in a copy.
  void settle() {
    while (machine.removal_pending()) REQUIRE(lead(RemoveStep{.limit = 3}).has_value());
    const auto sound = check_invariants(machine);
    REQUIRE_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
    auto copy = copy_through_snapshot(machine, 100);
    REQUIRE(copy.has_value());
    REQUIRE_EQ(copy->digest(), machine.digest());
    REQUIRE((copy->counters() == machine.counters()));
  }
  Counters counters() const { return machine.counters(); }
};

}  // namespace

TEST_CASE("what directories say of content is inherited, shown, and told to who writes") {
  Volume fs;
  REQUIRE_EQ(outcome(set_mode(fs, "/v/b", ContentMode::kSha256)), "ok");
  const auto in_force = [&](const char* path) {
    const auto found = fs.machine.stat(path);
    return fmt::format("{}@{}", static_cast<int>(found->content_mode),
                       found->layout_from.content_mode);
  };
  CHECK_EQ(in_force("/"), "0@0");
  CHECK_EQ(in_force("/v"), "2@2");
  CHECK_EQ(in_force("/v/a"), "2@2");
  CHECK_EQ(in_force("/v/b"), "1@3");
  CHECK_EQ(in_force("/other"), "0@0");
  CHECK_EQ(static_cast<int>(fs.start("/v/a/f").content_mode), 2);
  CHECK_EQ(static_cast<int>(fs.start("/v/b/f").content_mode), 1);
  CHECK_EQ(static_cast<int>(fs.start("/other/f").content_mode), 0);
  REQUIRE_EQ(outcome(fs.ask(SetLayout{.path = "/v", .layout = {}, .inherit = true})), "ok");
  CHECK_EQ(in_force("/v/a"), "0@0");
  fs.settle();
}

TEST_CASE("a block keeps the digest that it was committed with, and who locates it is told") {
  Volume fs;
  const auto upload = fs.start("/other/f");
  const auto block = fs.allocate(upload, 0, 100);
  REQUIRE_EQ(outcome(fs.commit(upload, block, "x", 5)), "ok");
  CHECK_EQ(outcome(fs.commit(upload, block, "x", 6)), "ok");
  CHECK_EQ(outcome(fs.commit(upload, block, "y", 6)), "precondition");
  CHECK_EQ(outcome(fs.commit(upload, block, nullptr, 6)), "precondition");
  fs.store(upload, 100, nullptr);
  REQUIRE_EQ(outcome(fs.publish(upload, "/other/f", 200)), "ok");
  const auto located = fs.machine.locate("/other/f", {});
  CHECK((located->blocks.at(0).digest == Sha256::of("x")));
  CHECK_FALSE(located->blocks.at(1).digest.has_value());
  CHECK_EQ(fs.counters().known_blocks, 0u);
  CHECK_EQ(fs.counters().block_bytes, 200u);
  fs.settle();
}

TEST_CASE("a block that the volume knows is shared, and garbage with its last file") {
  Volume fs;
  const BlockId block = fs.put_known("/v/a/f", "x");
  CHECK_EQ(fs.counters().known_blocks, 1u);
  const auto upload = fs.start("/v/b/g");
  CHECK_EQ(fs.used(upload, 0, {"x"}), 1u);
  REQUIRE_EQ(outcome(fs.publish(upload, "/v/b/g", 100)), "ok");
  CHECK_EQ(fs.machine.locate("/v/b/g", {})->blocks.at(0).block, block);
  CHECK_EQ(fs.counters().blocks, 1u);
  CHECK_EQ(fs.counters().block_bytes, 100u);
  fs.settle();
  REQUIRE_EQ(outcome(fs.remove("/v/a/f")), "ok");
  fs.settle();
  CHECK(fs.knows("x"));
  REQUIRE_EQ(outcome(fs.remove("/v/b/g")), "ok");
  fs.settle();
  CHECK_EQ(fs.counters().garbage_blocks, 1u);
  CHECK_EQ(fs.counters().known_blocks, 0u);
  CHECK_FALSE(fs.knows("x"));
}

TEST_CASE("only the volume of a file counts, and what directories say when it is asked") {
  Volume fs;
  fs.put_known("/v/a/f", "x");
  fs.put_known("/other/f", "y");
  CHECK(fs.knows("x"));
  CHECK_FALSE(fs.knows("x", "/other/g"));
  CHECK_FALSE(fs.knows("y", "/other/g"));
  // A volume in a volume knows only its own.
  REQUIRE_EQ(outcome(set_mode(fs, "/v/b", ContentMode::kDedup)), "ok");
  CHECK_FALSE(fs.knows("x", "/v/b/g"));
  REQUIRE_EQ(outcome(set_mode(fs, "/v/b", ContentMode::kSha256)), "ok");
  CHECK_FALSE(fs.knows("x", "/v/b/g"));
  REQUIRE_EQ(outcome(fs.ask(SetLayout{.path = "/v/b", .layout = {}, .inherit = true})), "ok");
  CHECK(fs.knows("x", "/v/b/g"));
  // A moved directory takes along what it knows.
  REQUIRE_EQ(outcome(fs.move("/v", "/w")), "ok");
  CHECK(fs.knows("x", "/w/a/g"));
  fs.settle();
}

TEST_CASE("a block is used only in the layout that the file has, and whole") {
  Volume fs;
  fs.put_known("/v/a/f", "x");
  CHECK_FALSE(fs.knows("x", "/v/g", "rs-3-1"));
  const auto upload = fs.start("/v/g");
  CHECK_EQ(fs.used(upload, 0, {"x"}, 99), 0u);
  REQUIRE_EQ(outcome(fs.ask(SetLayout{.path = "/v/a", .layout = {.cell_bytes = 4096}})), "ok");
  CHECK_FALSE(fs.knows("x", "/v/a/g"));
  CHECK(fs.knows("x", "/v/b/g"));
  // What came in another layout is known from then on.
  const auto other = fs.start("/v/h", "rs-3-1");
  fs.store(other, 0, "x");
  fs.settle();
  CHECK(fs.knows("x", "/v/g", "rs-3-1"));
  CHECK_FALSE(fs.knows("x"));
}

TEST_CASE("a block is known at full width only, and not used while a server of it is in doubt") {
  Volume fs;
  const auto upload = fs.start("/v/f");
  const auto block = fs.allocate(upload, 0, 100);
  REQUIRE_EQ(outcome(fs.commit(upload, block, "x", 5)), "ok");
  CHECK_EQ(fs.counters().known_blocks, 0u);
  CHECK_FALSE(fs.knows("x"));
  REQUIRE_EQ(outcome(fs.commit(upload, block, "x", 6)), "ok");
  CHECK(fs.knows("x"));
  for (const NodeState state : {NodeState::kSuspect, NodeState::kDead}) {
    fs.set_state(1, state);
    CHECK_FALSE(fs.knows("x"));
    fs.set_state(1, NodeState::kLive);
    CHECK(fs.knows("x"));
  }
  const auto& shard = block.shards.at(2);
  const auto judged = [&](bool sound) {
    return fs.lead(JudgeShards{.node = shard.node,
                               .shards = {{.block = block.block,
                                           .index = shard.index,
                                           .generation = block.generation,
                                           .sound = sound,
                                           .checksum = 1000 + shard.index}}});
  };
  REQUIRE(judged(false).has_value());
  CHECK_FALSE(fs.knows("x"));
  REQUIRE(judged(true).has_value());
  CHECK(fs.knows("x"));
}

TEST_CASE("another block takes the place of one that cannot be used any more") {
  Volume fs;
  const BlockId first = fs.put_known("/v/f", "x");
  const auto located = fs.machine.locate("/v/f", {});
  const auto& shard = located->blocks.at(0).shards.at(0);
  REQUIRE(fs.lead(JudgeShards{.node = shard.node,
                              .shards = {{.block = first,
                                          .index = shard.index,
                                          .generation = Generation(1),
                                          .sound = false}}})
              .has_value());
  const BlockId second = fs.put_known("/v/g", "x");
  fs.settle();
  CHECK_EQ(fs.counters().known_blocks, 1u);
  const auto upload = fs.start("/v/h");
  CHECK_EQ(fs.used(upload, 0, {"x"}), 1u);
  REQUIRE_EQ(outcome(fs.publish(upload, "/v/h", 100)), "ok");
  CHECK_EQ(fs.machine.locate("/v/h", {})->blocks.at(0).block, second);
  // The first is garbage with its file, and the volume goes on knowing the other.
  REQUIRE_EQ(outcome(fs.remove("/v/f")), "ok");
  fs.settle();
  CHECK_EQ(fs.counters().garbage_blocks, 1u);
  CHECK(fs.knows("x"));
}

TEST_CASE("a block that is disowned is never given again, and its files keep it") {
  Volume fs;
  const auto upload = fs.start("/v/f");
  const auto block = fs.allocate(upload, 0, 100);
  REQUIRE_EQ(outcome(fs.commit(upload, block, "x", 6)), "ok");
  const auto disown = [&](BlockId id, const char* content) {
    return outcome(fs.lead(DisownBlock{.block = id, .digest = Sha256::of(content)}));
  };
  // Only what the row says can be disowned, and nothing that is not there.
  CHECK_EQ(disown(block.block, "y"), "ok");
  CHECK_EQ(disown(BlockId(777), "x"), "ok");
  CHECK(fs.knows("x"));
  CHECK_EQ(disown(block.block, "x"), "ok");
  fs.settle();
  CHECK_EQ(fs.counters().known_blocks, 0u);
  CHECK_FALSE(fs.knows("x"));
  // Its writer says once more that it is whole.
  CHECK_EQ(outcome(fs.commit(upload, block, "x", 6)), "ok");
  CHECK_FALSE(fs.knows("x"));
  REQUIRE_EQ(outcome(fs.publish(upload, "/v/f", 100)), "ok");
  // Who reads it is told as before.
  CHECK((fs.machine.locate("/v/f", {})->blocks.at(0).digest == Sha256::of("x")));
  // Another takes its place, and that one goes its own way when the first is disowned again.
  const BlockId second = fs.put_known("/v/g", "x");
  CHECK_EQ(disown(block.block, "x"), "ok");
  fs.settle();
  CHECK(fs.knows("x"));
  REQUIRE_EQ(outcome(fs.remove("/v/f")), "ok");
  fs.settle();
  CHECK(fs.knows("x"));
  CHECK_EQ(fs.counters().garbage_blocks, 1u);
  CHECK_EQ(disown(block.block, "x"), "ok");
  CHECK_EQ(disown(second, "x"), "ok");
  fs.settle();
  CHECK_FALSE(fs.knows("x"));
}

TEST_CASE("files that share a disowned block keep it until the last of them goes") {
  Volume fs;
  const BlockId block = fs.put_known("/v/f", "x");
  const auto upload = fs.start("/v/g");
  CHECK_EQ(fs.used(upload, 0, {"x"}), 1u);
  REQUIRE(fs.lead(DisownBlock{.block = block, .digest = Sha256::of("x")}).has_value());
  fs.settle();
  REQUIRE_EQ(outcome(fs.publish(upload, "/v/g", 100)), "ok");
  REQUIRE_EQ(outcome(fs.remove("/v/f")), "ok");
  fs.settle();
  CHECK_EQ(fs.machine.locate("/v/g", {})->blocks.at(0).block, block);
  CHECK_EQ(fs.counters().garbage_blocks, 0u);
  REQUIRE_EQ(outcome(fs.remove("/v/g")), "ok");
  fs.settle();
  CHECK_EQ(fs.counters().garbage_blocks, 1u);
}

TEST_CASE("of several blocks those before the first unknown one are used, each as it comes") {
  Volume fs;
  fs.put_known("/v/f", "x");
  fs.put_known("/v/g", "y");
  const auto upload = fs.start("/v/h");
  CHECK_EQ(fs.used(upload, 0, {"x", "y", "x", "none", "y"}), 3u);
  fs.settle();
  fs.store(upload, 300, "none");
  CHECK_EQ(fs.used(upload, 400, {"none"}), 1u);
  REQUIRE_EQ(outcome(fs.publish(upload, "/v/h", 500)), "ok");
  fs.settle();
  CHECK_EQ(fs.counters().blocks, 3u);
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/v/h", .length = 150})), "ok");
  fs.settle();
  CHECK_EQ(fs.counters().garbage_blocks, 1u);
  CHECK_FALSE(fs.knows("none"));
  REQUIRE_EQ(outcome(fs.ask(Concatenate{.path = "/v/h", .sources = {"/v/f"}})), "ok");
  REQUIRE_EQ(outcome(fs.ask(Copy{.from = "/v/h", .to = "/other/h", .version = {}})), "ok");
  REQUIRE_EQ(outcome(fs.remove("/v/h")), "ok");
  fs.settle();
  CHECK(fs.knows("x"));
  REQUIRE_EQ(outcome(fs.remove("/other/h")), "ok");
  REQUIRE_EQ(outcome(fs.remove("/v/g")), "ok");
  fs.settle();
  CHECK_EQ(fs.counters().blocks, 0u);
  CHECK_EQ(fs.counters().known_blocks, 0u);
}

TEST_CASE("an upload that is given up gives back what it used, and what others used of it stays") {
  Volume fs;
  const auto first = fs.start("/v/f");
  fs.store(first, 0, "x");
  const auto second = fs.start("/v/g");
  CHECK_EQ(fs.used(second, 0, {"x"}), 1u);
  // The one that stored it ends before it is published.
  REQUIRE(fs.lead(ExpireLease{.file = first.file, .epoch = first.epoch}).has_value());
  fs.settle();
  CHECK_EQ(fs.counters().garbage_blocks, 0u);
  REQUIRE(fs.lead(ExpireLease{.file = second.file, .epoch = second.epoch}).has_value());
  fs.settle();
  CHECK_EQ(fs.counters().garbage_blocks, 1u);
  CHECK_EQ(fs.counters().known_blocks, 0u);
}

TEST_CASE("an upload whose directory was removed shares nothing any more") {
  Volume fs;
  fs.put_known("/v/f", "x");
  const auto upload = fs.start("/v/a/g");
  REQUIRE_EQ(outcome(fs.remove("/v/a", true)), "ok");
  CHECK_EQ(fs.used(upload, 0, {"x"}), 0u);
  fs.settle();
  CHECK_EQ(fs.used(upload, 0, {"x"}), 0u);
  fs.store(upload, 0, "y");
  fs.settle();
  CHECK_EQ(fs.counters().known_blocks, 1u);
}

TEST_CASE("asking for blocks is refused like allocating them") {
  Volume fs;
  fs.put_known("/v/f", "x");
  const auto upload = fs.start("/v/g");
  CHECK_EQ(outcome(fs.ask_for(upload, 0, {})), "invalid");
  CHECK_EQ(outcome(fs.ask_for(upload, 0,
                              std::vector<const char*>(limits::kBlocksPerAllocation + 1, "x"))),
           "invalid");
  CHECK_EQ(outcome(fs.ask_for(upload, 0, {"x"}, 0)), "invalid");
  CHECK_EQ(outcome(fs.ask_for(upload, 0, {"x"}, limits::kMiB + 1)), "invalid");
  CHECK_EQ(outcome(fs.ask_for(upload, 100, {"x"})), "precondition");
  auto other = upload;
  other.epoch = Epoch(2);
  CHECK_EQ(outcome(fs.ask_for(other, 0, {"x"})), "precondition");
  other = upload;
  other.file.file = InodeId(77);
  CHECK_EQ(outcome(fs.ask_for(other, 0, {"x"})), "unavailable");
  const ClientId owner = std::exchange(fs.client, fs.new_client());
  CHECK_EQ(outcome(fs.ask_for(upload, 0, {"x"})), "precondition");
  fs.client = owner;
  REQUIRE_EQ(fs.used(upload, 0, {"x"}), 1u);
  // It is committed: what is allocated comes behind it.
  const auto before = fs.ask(AllocateBlocks{
      .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {100}});
  CHECK_EQ(outcome(before), "precondition");
  CHECK_EQ(outcome(fs.publish(upload, "/v/g", 200)), "precondition");
  REQUIRE_EQ(outcome(fs.publish(upload, "/v/g", 100)), "ok");
  CHECK_EQ(outcome(fs.ask_for(upload, 100, {"x"})), "precondition");
  fs.settle();
}

TEST_CASE("small files of a volume are not packed, and those that fit their inode stay there") {
  Packs fs;
  REQUIRE(fs.make_directory("/v").has_value());
  const auto pack = fs.begun();
  REQUIRE_EQ(outcome(set_mode(fs, "/v", ContentMode::kSha256)), "ok");
  CHECK_EQ(fs.pack("/v/f", pack, 0, 500), "ok");
  REQUIRE_EQ(outcome(set_mode(fs, "/v", ContentMode::kDedup)), "ok");
  CHECK_EQ(fs.pack("/v/g", pack, 500, 500), "unavailable");
  CHECK_EQ(outcome(fs.put_inline("/v/g", "small")), "ok");
  CHECK_EQ(fs.machine.counters().blocks, 1u);
}

TEST_CASE("digests, and what directories say of them, came with cluster version 4") {
  ClusterFixture fs(6, "rs-4-2", 3);
  CHECK_EQ(outcome(set_mode(fs, "/", ContentMode::kSha256)), "unsupported");
  const auto started = fs.ask(StartUpload{.path = "/f", .policy = {}});
  REQUIRE(started.has_value());
  const auto upload = std::get<UploadStarted>(*started);
  CHECK_EQ(outcome(fs.ask(UseBlocks{.file = upload.file,
                                    .epoch = upload.epoch,
                                    .file_offset = 0,
                                    .blocks = {{.length = 1, .digest = {}}}})),
           "unsupported");
  CommitBlocks commit{.file = upload.file, .epoch = upload.epoch, .blocks = {}};
  commit.blocks.push_back({.block = {}, .generation = {}, .shards = {}, .digest = Sha256::of("x")});
  CHECK_EQ(outcome(fs.ask(commit)), "unsupported");
  commit.blocks.back().digest.reset();
  CHECK_EQ(outcome(fs.ask(commit)), "precondition");
}

TEST_CASE("blocks are disowned from cluster version 5 on") {
  ClusterFixture before(6, "rs-4-2", 4);
  CHECK_EQ(outcome(before.lead(DisownBlock{})), "unsupported");
  ClusterFixture fs(6, "rs-4-2", 5);
  CHECK_EQ(outcome(fs.lead(DisownBlock{})), "ok");
}

}  // namespace dogfs::metadata
