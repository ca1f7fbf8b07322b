#include "core/namespace/uploads.h"

#include <set>
#include <string>

#include "core/namespace/cluster.h"
#include "core/namespace/directories.h"
#include "core/namespace/sessions.h"

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

using placement::NodeState;

void check_sound(const ClusterFixture& fs) {
  const auto sound = check_invariants(fs.machine);
  CHECK_MESSAGE(sound.has_value(), (sound ? std::string() : sound.error().message));
}

UploadStarted start(ClusterFixture& fs, const std::string& path) {
  const auto reply = fs.ask(StartUpload{.path = path, .policy = {}, .overwrite = true});
  REQUIRE(reply.has_value());
  return std::get<UploadStarted>(*reply);
}

Response allocate(ClusterFixture& fs, const UploadStarted& upload, uint64_t offset,
                  std::vector<uint64_t> lengths) {
  return fs.ask(AllocateBlocks{.file = upload.file,
                               .epoch = upload.epoch,
                               .file_offset = offset,
                               .lengths = std::move(lengths)});
}

std::vector<PlacedBlock> blocks_of(const Response& response) {
  REQUIRE(response.has_value());
  return std::get<BlocksAllocated>(*response).blocks;
}

TEST_CASE("a file is visible only once it is published, and then whole") {
  ClusterFixture fs;
  const auto upload = fs.write("/f", {limits::kMiB, 77});
  REQUIRE(upload.has_value());
  CHECK_EQ(fs.names("/"), "");
  CHECK_EQ(fs.machine.locate(upload->file, {}).error().code, Code::kNotFound);
  CHECK_EQ(fs.machine.counters().uploads, 1u);
  check_sound(fs);

  REQUIRE(fs.publish(*upload, "/f", limits::kMiB + 77).has_value());
  CHECK_EQ(fs.machine.stat("/f")->length, limits::kMiB + 77);
  CHECK_EQ(fs.machine.stat("/f")->blocks, 2u);
  CHECK_EQ(fs.machine.counters().uploads, 0u);
  CHECK_EQ(fs.machine.counters().files, 1u);
  CHECK_EQ(fs.machine.counters().blocks, 2u);
  check_sound(fs);
}

TEST_CASE("a located block names distinct servers, addresses and checksums") {
  ClusterFixture fs(8);
  REQUIRE(fs.put("/f", {limits::kMiB, 500}).has_value());
  const auto location = fs.machine.locate("/f", {.offset = limits::kMiB, .length = 1});
  REQUIRE(location.has_value());
  CHECK_EQ(location->length, limits::kMiB + 500);
  CHECK_EQ(location->cell_bytes, 64u * 1024);
  REQUIRE_EQ(location->blocks.size(), 1u);
  const auto& block = location->blocks[0];
  CHECK_EQ(block.file_offset, limits::kMiB);
  CHECK_EQ(block.length, 500u);
  REQUIRE_EQ(block.shards.size(), 6u);
  std::set<NodeId> nodes;
  for (const auto& shard : block.shards) {
    nodes.insert(shard.node);
    CHECK_EQ(shard.checksum, 1000 + shard.index);
    CHECK_EQ(shard.address, fmt::format("127.0.0.1:{}", 7000 + shard.node.value));
  }
  CHECK_EQ(nodes.size(), 6u);
}

TEST_CASE("a range finds the blocks that it meets") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {100, 100, 100}).has_value());
  struct Row {
    uint64_t offset, length;
    size_t first, count;
  };
  for (const Row& row :
       {Row{0, UINT64_MAX, 0, 3}, Row{0, 1, 0, 1}, Row{99, 1, 0, 1}, Row{99, 2, 0, 2},
        Row{100, 100, 1, 1}, Row{150, 60, 1, 2}, Row{299, 9, 2, 1}, Row{300, 9, 3, 0},
        Row{0, 0, 0, 0}, Row{UINT64_MAX, UINT64_MAX, 3, 0}, Row{50, UINT64_MAX, 0, 3}}) {
    CAPTURE(row.offset);
    CAPTURE(row.length);
    const auto location = fs.machine.locate("/f", {.offset = row.offset, .length = row.length});
    REQUIRE_EQ(location->blocks.size(), row.count);
    if (row.count > 0) CHECK_EQ(location->blocks[0].file_offset, row.first * 100);
    CHECK_FALSE(location->more);
  }
}

TEST_CASE("an empty file needs no blocks") {
  ClusterFixture fs;
  REQUIRE(fs.put("/empty").has_value());
  CHECK_EQ(fs.machine.stat("/empty")->length, 0u);
  CHECK(fs.machine.locate("/empty", {})->blocks.empty());
  check_sound(fs);
}

TEST_CASE("publishing replaces a file whole, and its blocks become garbage") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {400}).has_value());
  const auto old = fs.machine.stat("/f")->id;
  REQUIRE(fs.put("/f", {800, 10}).has_value());
  CHECK_NE(fs.machine.stat("/f")->id, old);
  CHECK_EQ(fs.machine.stat("/f")->length, 810u);
  CHECK_EQ(fs.machine.counters().files, 1u);
  CHECK_EQ(fs.machine.counters().blocks, 2u);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
  CHECK_EQ(fs.machine.counters().garbage_bytes, 600u);  // 6 shards of 400 / 4 bytes
  check_sound(fs);
}

TEST_CASE("publish is refused when the name or directory does not allow it") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/g").has_value());
  const auto root = fs.write("/new", {});
  CHECK_EQ(outcome(fs.publish(*root, "/d", 0)), "exists");
  CHECK_EQ(outcome(fs.publish(*root, "/", 0)), "exists");
  CHECK_EQ(outcome(fs.publish(*root, "/g", 0, PublishCondition::kIfAbsent)), "exists");
  CHECK_EQ(outcome(fs.publish(*root, "/d/new", 0)), "precondition");
  CHECK_EQ(outcome(fs.publish(*root, "/none/new", 0)), "not_found");
  CHECK_EQ(outcome(fs.publish(*root, "/g/new", 0)), "precondition");
  CHECK_EQ(outcome(fs.publish(*root, "new", 0)), "invalid");
  CHECK_EQ(outcome(fs.publish(*root, "/new", 0, PublishCondition::kIfAbsent)), "ok");
  check_sound(fs);

  const auto below = fs.write("/d/f", {10});
  REQUIRE(fs.remove("/d").has_value());
  CHECK_EQ(outcome(fs.publish(*below, "/d/f", 10)), "not_found");
  REQUIRE(fs.make_directory("/d").has_value());
  CHECK_EQ(outcome(fs.publish(*below, "/d/f", 10)), "precondition");
  CHECK_EQ(fs.names("/d"), "");
  check_sound(fs);
}

TEST_CASE("publish demands that the committed blocks make the file, without a gap") {
  ClusterFixture fs;
  const auto upload = start(fs, "/f");
  const auto blocks = blocks_of(allocate(fs, upload, 0, {100, 100, 100}));
  CHECK_EQ(outcome(fs.publish(upload, "/f", 100)), "precondition");
  REQUIRE(fs.commit(upload, blocks[0], 6).has_value());
  REQUIRE(fs.commit(upload, blocks[2], 6).has_value());
  CHECK_EQ(outcome(fs.publish(upload, "/f", 300)), "precondition");
  CHECK_EQ(outcome(fs.publish(upload, "/f", 101)), "precondition");
  auto second = ClusterFixture::committed(blocks[1], 6);
  second.length = 60;
  REQUIRE(fs.ask(CommitBlocks{.file = upload.file, .epoch = upload.epoch, .blocks = {second}}));
  CHECK_EQ(outcome(fs.publish(upload, "/f", 260)), "precondition");
  CHECK_EQ(fs.names("/"), "");
  check_sound(fs);
}

TEST_CASE("a last block may be shorter than allocated, and unused ones are given back") {
  ClusterFixture fs;
  const auto upload = start(fs, "/f");
  const auto blocks = blocks_of(allocate(fs, upload, 0, {100, 100, 100}));
  REQUIRE(fs.commit(upload, blocks[0], 6).has_value());
  auto last = ClusterFixture::committed(blocks[1], 6);
  last.length = 1;
  REQUIRE(fs.ask(CommitBlocks{.file = upload.file, .epoch = upload.epoch, .blocks = {last}}));
  CHECK_EQ(outcome(fs.publish(upload, "/f", 101)), "ok");
  CHECK_EQ(fs.machine.stat("/f")->blocks, 2u);
  CHECK_EQ(fs.machine.locate("/f", {})->blocks[1].length, 1u);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
  check_sound(fs);
}

// A cluster of one chunk server in bare tables, for states that no commands lead to; the entry of a
// client there.
EntryContext found_cluster(Tables& tables) {
  EntryContext entry{.index = LogIndex(1), .wall = {}, .client = {}};
  REQUIRE(apply(tables, entry,
                CreateCluster{.cluster = ClusterId(7),
                              .policy = placement::Policy::parse("rep-1").value(),
                              .block_bytes = limits::kMiB,
                              .cell_bytes = 4096}));
  REQUIRE(apply(tables, entry, ClusterFixture::server(1)));
  entry.client = std::get<ClientRegistered>(*apply(tables, entry, RegisterClient{})).client;
  return entry;
}

TEST_CASE("a slot whose ids are used up refuses files and blocks, and no id is used twice") {
  Tables tables;
  const EntryContext entry = found_cluster(tables);
  SlotRow row = tables.slot(Slot(0));
  row.next_inode = row.next_block = (uint64_t{1} << kCounterBits) - 1;
  tables.put(Slot(0), row);
  const StartUpload start{.path = "/f", .policy = {}};
  const auto upload = std::get<UploadStarted>(*apply(tables, entry, start));
  CHECK_EQ(counter_of(upload.file.file), row.next_inode);
  CHECK_EQ(outcome(apply(tables, entry, start)), "too_large");
  AllocateBlocks allocate{.file = upload.file, .epoch = upload.epoch, .lengths = {1, 1}};
  CHECK_EQ(outcome(apply(tables, entry, allocate)), "too_large");
  allocate.lengths = {1};
  CHECK_EQ(outcome(apply(tables, entry, allocate)), "ok");
  // A directory goes to a slot that has ids left: here its first two choices have none.
  Tables probe;
  for (int i = 0; i < 2; ++i) {
    SlotRow full;
    full.next_inode = uint64_t{1} << kCounterBits;
    tables.put(probe.new_directory_slot(Slot(0)), full);
  }
  REQUIRE(apply(tables, entry, MakeDirectory{.path = "/d"}));
  const InodeId made = tables.dentry(kRootDirectory, "d")->id;
  CHECK_EQ(counter_of(made), SlotRow().next_inode);
  CHECK((slot_of(made) == probe.new_directory_slot(Slot(0))));
}

TEST_CASE("a file of as many blocks as there can be may have its last ones placed anew") {
  Tables tables;
  const EntryContext entry = found_cluster(tables);
  const auto started = apply(tables, entry, StartUpload{.path = "/f", .policy = {}});
  const auto upload = std::get<UploadStarted>(*started);
  const auto ask = [&](uint64_t offset, std::vector<uint64_t> lengths) {
    return outcome(apply(tables, entry,
                         AllocateBlocks{.file = upload.file,
                                        .epoch = upload.epoch,
                                        .file_offset = offset,
                                        .lengths = std::move(lengths)}));
  };
  REQUIRE_EQ(ask(0, {1}), "ok");
  FileRow row = *tables.file(upload.file);
  row.extents.assign(limits::kFileBlocksMax, row.extents[0]);
  tables.put(upload.file, row);
  const uint64_t end = limits::kFileBlocksMax;
  CHECK_EQ(ask(end, {1}), "too_large");
  CHECK_EQ(ask(end - 1, {1, 1}), "too_large");
  CHECK_EQ(ask(end - 1, {1}), "ok");
}

TEST_CASE("publishing gives back a bounded number of unused blocks") {
  ClusterFixture fs(2, "rep-1");
  const auto upload = start(fs, "/f");
  const std::vector<uint64_t> lengths(limits::kBlocksPerAllocation, 1);
  uint64_t end = 0;
  for (; end <= limits::kRemoveStepMax; end += lengths.size()) {
    REQUIRE_EQ(outcome(allocate(fs, upload, end, lengths)), "ok");
  }
  CHECK_EQ(outcome(fs.publish(upload, "/f", 0)), "too_large");
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0u);
  // Some go by being allocated anew, and the rest with the publishing.
  REQUIRE_EQ(outcome(allocate(fs, upload, 500, {1})), "ok");
  CHECK_EQ(fs.machine.counters().garbage_blocks, end - 500);
  CHECK_EQ(outcome(fs.publish(upload, "/f", 0)), "ok");
  CHECK_EQ(fs.machine.counters().garbage_blocks, end + 1);
  check_sound(fs);
}

TEST_CASE("an allocation that does not fit the upload or the limits is refused") {
  ClusterFixture fs;
  const auto upload = start(fs, "/f");
  CHECK_EQ(outcome(allocate(fs, upload, 0, {})), "invalid");
  CHECK_EQ(outcome(allocate(fs, upload, 0, std::vector<uint64_t>(17, 1))), "invalid");
  CHECK_EQ(outcome(allocate(fs, upload, 0, {0})), "invalid");
  CHECK_EQ(outcome(allocate(fs, upload, 0, {limits::kMiB + 1})), "invalid");
  CHECK_EQ(outcome(allocate(fs, upload, 1, {10})), "precondition");
  CHECK_EQ(outcome(allocate(fs, upload, 0, {10})), "ok");
  CHECK_EQ(outcome(allocate(fs, upload, 5, {10})), "precondition");
  CHECK_EQ(outcome(allocate(fs, upload, 10, {10})), "ok");
  CHECK_EQ(fs.machine.counters().blocks, 2u);
}

TEST_CASE("blocks that are not committed can be placed anew, and the old ones become garbage") {
  ClusterFixture fs(8);
  const auto upload = start(fs, "/f");
  const auto first = blocks_of(allocate(fs, upload, 0, {100, 100, 100}));
  REQUIRE(fs.commit(upload, first[0], 6).has_value());
  CHECK_EQ(outcome(allocate(fs, upload, 0, {100})), "precondition");    // committed
  CHECK_EQ(outcome(allocate(fs, upload, 150, {100})), "precondition");  // in the middle of one
  const auto second = blocks_of(allocate(fs, upload, 100, {100, 70}));
  REQUIRE_EQ(second.size(), 2u);
  CHECK_EQ(second[0].file_offset, 100u);
  CHECK_NE(second[0].block, first[1].block);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 2u);
  CHECK_FALSE(fs.commit(upload, first[1], 6).has_value());
  check_sound(fs);
  REQUIRE(fs.commit(upload, second[0], 6).has_value());
  REQUIRE(fs.commit(upload, second[1], 6).has_value());
  REQUIRE(fs.publish(upload, "/f", 270).has_value());
  CHECK_EQ(fs.machine.stat("/f")->blocks, 3u);
  check_sound(fs);
}

TEST_CASE("with one of six servers dead a block is degraded, with two it is refused") {
  ClusterFixture fs(6);
  fs.set_state(3, NodeState::kDead);
  REQUIRE(fs.put("/f", {1000}).has_value());
  CHECK_EQ(fs.machine.locate("/f", {})->blocks[0].shards.size(), 5u);
  CHECK_EQ(fs.machine.counters().blocks_below_full_width, 1u);
  fs.set_state(5, NodeState::kSuspect);
  const auto refused = fs.put("/g", {1000});
  CHECK_EQ(outcome(refused), "unavailable");
  CHECK_NE(refused.error().message.find("5 needed and 4 live"), std::string::npos);
  fs.set_state(3, NodeState::kLive);
  fs.set_state(5, NodeState::kLive);
  REQUIRE(fs.put("/g", {1000}).has_value());
  CHECK_EQ(fs.machine.counters().blocks_below_full_width, 1u);
  check_sound(fs);

  ClusterFixture eight(8);
  eight.set_state(1, NodeState::kDead);
  eight.set_state(2, NodeState::kDead);
  REQUIRE(eight.put("/f", {1000}).has_value());
  CHECK_EQ(eight.machine.counters().blocks_below_full_width, 0u);
}

TEST_CASE("an upload is refused where the cluster is too small for the policy") {
  ClusterFixture fs(5);
  CHECK_EQ(outcome(fs.ask(StartUpload{.path = "/f", .policy = {}, .overwrite = true})),
           "precondition");
  const auto rep3 = placement::Policy::parse("rep-3").value();
  CHECK_EQ(outcome(fs.ask(StartUpload{.path = "/f", .policy = rep3, .overwrite = true})), "ok");
}

TEST_CASE("a commit with fewer than min_shards durable is refused, more can follow later") {
  ClusterFixture fs;
  const auto upload = start(fs, "/f");
  const auto block = blocks_of(allocate(fs, upload, 0, {100}))[0];
  CHECK_EQ(fs.commit(upload, block, 4).error().code, Code::kPrecondition);
  CHECK_EQ(outcome(fs.publish(upload, "/f", 100)), "precondition");
  REQUIRE(fs.commit(upload, block, 5).has_value());
  CHECK_EQ(fs.machine.counters().blocks_below_full_width, 1u);
  REQUIRE(fs.commit(upload, block, 6).has_value());
  CHECK_EQ(fs.machine.counters().blocks_below_full_width, 0u);
  REQUIRE(fs.publish(upload, "/f", 100).has_value());
  CHECK_EQ(fs.commit(upload, block, 6).error().code, Code::kPrecondition);
  check_sound(fs);
}

TEST_CASE("a commit must agree with what was allocated and committed before") {
  ClusterFixture fs;
  const auto upload = start(fs, "/f");
  const auto other = start(fs, "/g");
  const auto block = blocks_of(allocate(fs, upload, 0, {100}))[0];
  const auto refused = [&](const UploadStarted& by, auto change) {
    auto commit = ClusterFixture::committed(block, 6);
    change(commit);
    const auto counters = fs.machine.counters();
    const auto reply = fs.ask(CommitBlocks{.file = by.file, .epoch = by.epoch, .blocks = {commit}});
    if (!reply) CHECK((fs.machine.counters() == counters));
    return outcome(reply);
  };
  using Commit = CommittedBlock;
  CHECK_EQ(refused(other, [](Commit&) {}), "precondition");
  CHECK_EQ(refused(upload, [](Commit& c) { c.generation = Generation(2); }), "precondition");
  CHECK_EQ(refused(upload, [](Commit& c) { c.length = 0; }), "precondition");
  CHECK_EQ(refused(upload, [](Commit& c) { c.length = 101; }), "precondition");
  CHECK_EQ(refused(upload, [](Commit& c) { c.file_offset = 1; }), "precondition");
  CHECK_EQ(refused(upload, [](Commit& c) { c.block = BlockId(99); }), "precondition");
  CHECK_EQ(refused(upload, [](Commit& c) { c.shards[5].index = 6; }), "invalid");
  CHECK_EQ(refused(upload, [](Commit& c) { c.shards[5].index = 0; }), "precondition");
  REQUIRE(fs.commit(upload, block, 5).has_value());
  CHECK_EQ(refused(upload, [](Commit& c) { c.shards[2].checksum = 1; }), "precondition");
  CHECK_EQ(refused(upload, [](Commit& c) { c.length = 99; }), "precondition");
  CHECK_EQ(refused(upload, [](Commit&) {}), "ok");
}

TEST_CASE("only the holder of the lease, at its epoch, may write") {
  ClusterFixture fs;
  const auto upload = start(fs, "/f");
  auto stale = upload;
  stale.epoch = upload.epoch.next();
  CHECK_EQ(outcome(allocate(fs, stale, 0, {10})), "precondition");
  CHECK_EQ(outcome(fs.ask(RenewLease{.file = upload.file, .epoch = upload.epoch})), "ok");
  const ClientId first = fs.client;
  fs.client = fs.new_client();
  CHECK_EQ(outcome(allocate(fs, upload, 0, {10})), "precondition");
  CHECK_EQ(outcome(fs.publish(upload, "/f", 0)), "precondition");
  CHECK_EQ(outcome(fs.ask(AbandonUpload{.file = upload.file, .epoch = upload.epoch})),
           "precondition");
  CHECK_EQ(outcome(fs.ask(RenewLease{.file = upload.file, .epoch = upload.epoch})), "precondition");
  fs.client = first;
  CHECK_EQ(outcome(fs.publish(upload, "/f", 0)), "ok");
  CHECK_EQ(outcome(allocate(fs, upload, 0, {10})), "precondition");
}

TEST_CASE("an expired or abandoned upload is fenced, and its blocks become garbage") {
  ClusterFixture fs;
  const auto expired = fs.write("/f", {10});
  const auto wrong = ExpireLease{.file = expired->file, .epoch = expired->epoch.next()};
  CHECK_EQ(outcome(fs.lead(wrong)), "precondition");
  CHECK_EQ(outcome(fs.lead(ExpireLease{.file = expired->file, .epoch = expired->epoch})), "ok");
  CHECK_EQ(outcome(fs.publish(*expired, "/f", 10)), "unavailable");
  CHECK_EQ(outcome(fs.lead(ExpireLease{.file = expired->file, .epoch = expired->epoch})),
           "unavailable");
  const auto abandoned = fs.write("/g", {10});
  const AbandonUpload abandon{.file = abandoned->file, .epoch = abandoned->epoch};
  CHECK_EQ(outcome(fs.ask(abandon)), "ok");
  CHECK_EQ(outcome(fs.publish(*abandoned, "/g", 10)), "unavailable");
  CHECK_EQ(fs.machine.counters().garbage_blocks, 2u);
  CHECK_EQ(fs.machine.counters().uploads, 0u);
  // A published file has no lease to expire.
  const auto published = fs.write("/h", {});
  REQUIRE(fs.publish(*published, "/h", 0).has_value());
  CHECK_EQ(outcome(fs.lead(ExpireLease{.file = published->file, .epoch = published->epoch})),
           "precondition");
  CHECK_EQ(fs.names("/"), "h");
  check_sound(fs);
}

TEST_CASE("an upload where a directory stands, or that must not overwrite, is refused at once") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f").has_value());
  const auto begin = [&](const char* path, bool overwrite) {
    return outcome(fs.ask(StartUpload{.path = path, .policy = {}, .overwrite = overwrite}));
  };
  CHECK_EQ(begin("/d", true), "exists");
  CHECK_EQ(begin("/", true), "exists");
  CHECK_EQ(begin("/f", false), "exists");
  CHECK_EQ(begin("/f", true), "ok");
  CHECK_EQ(begin("/f/x", true), "precondition");
  CHECK_EQ(begin("/none/x", true), "not_found");
  CHECK_EQ(begin("/x\xff", true), "invalid");
}

TEST_CASE("files and blocks take the slot of their directory, and ids are never used twice") {
  ClusterFixture fs;
  std::set<InodeId> inodes;
  std::set<BlockId> blocks;
  std::set<Slot> slots;
  for (int i = 0; i < 20; ++i) {
    const std::string directory = fmt::format("/d{}", i % 10);
    (void)fs.make_directory(directory);
    REQUIRE(fs.put(directory + "/f", {10}).has_value());
    const auto file = fs.machine.stat(directory + "/f");
    const auto block = fs.machine.locate(directory + "/f", {})->blocks[0].block;
    CHECK_EQ(slot_of(file->id), slot_of(file->home));
    CHECK_EQ(slot_of(block), slot_of(file->home));
    CHECK_EQ(file->home, fs.machine.stat(directory)->id);
    CHECK_LT(block, fs.machine.allocation_mark(slot_of(block)));
    slots.insert(slot_of(file->home));
    CHECK(inodes.insert(file->id).second);
    CHECK(blocks.insert(block).second);
    if (i % 2 == 1) REQUIRE(fs.remove(directory, true).has_value());
  }
  CHECK_GT(slots.size(), 5u);
}

TEST_CASE("addresses in an answer are those of the moment") {
  ClusterFixture fs;
  const auto upload = start(fs, "/f");
  const auto block = blocks_of(allocate(fs, upload, 0, {10}))[0];
  auto moved = ClusterFixture::server(block.shards[0].node.value);
  moved.address = "10.1.1.1:9";
  REQUIRE(fs.lead(moved).has_value());
  const Command retry{
      .client = fs.client,
      .request = fs.request,
      .acknowledged_below = {},
      .wall = {},
      .operation = AllocateBlocks{
          .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {10}}};
  const auto again = blocks_of(fs.apply(retry))[0];
  CHECK_EQ(again.block, block.block);
  CHECK_EQ(again.shards[0].address, "10.1.1.1:9");
  CHECK_EQ(again.shards[1].address, block.shards[1].address);
}

}  // namespace
}  // namespace dogfs::metadata
