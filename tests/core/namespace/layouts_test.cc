// Policies, blocks and cells of the cluster, of directories and of files.
#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

constexpr uint64_t kMiB = limits::kMiB;

placement::Policy policy(const char* text) { return placement::Policy::parse(text).value(); }

Response set(ClusterFixture& fs, const std::string& path, const Layout& layout,
             bool inherit = false) {
  return fs.ask(SetLayout{.path = path, .layout = layout, .inherit = inherit});
}

// "rs-4-2@0 1MiB@0 64KiB@0": what is in force, and at which level of the path it is said.
std::string in_force(const ClusterFixture& fs, const std::string& path) {
  const auto found = fs.machine.stat(path);
  if (!found) return std::string(code_name(found.error().code));
  return fmt::format("{}@{} {}MiB@{} {}KiB@{}", found->policy.text(), found->layout_from.policy,
                     found->block_bytes / kMiB, found->layout_from.block_bytes,
                     found->cell_bytes / limits::kKiB, found->layout_from.cell_bytes);
}

void check_sound(const ClusterFixture& fs) {
  const auto sound = check_invariants(fs.machine);
  REQUIRE_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
}

}  // namespace

TEST_CASE("what a directory does not say is as above it, and above all as the cluster") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/a/b/c", true).has_value());
  CHECK_EQ(in_force(fs, "/"), "rs-4-2@0 1MiB@0 64KiB@0");
  CHECK_EQ(in_force(fs, "/a/b/c"), "rs-4-2@0 1MiB@0 64KiB@0");

  REQUIRE_EQ(outcome(set(fs, "/a", {.policy = policy("rep-3"), .block_bytes = 8 * kMiB})), "ok");
  REQUIRE_EQ(outcome(set(fs, "/a/b", {.cell_bytes = 4096})), "ok");
  CHECK_EQ(in_force(fs, "/"), "rs-4-2@0 1MiB@0 64KiB@0");
  CHECK_EQ(in_force(fs, "/a"), "rep-3@2 8MiB@2 64KiB@0");
  CHECK_EQ(in_force(fs, "/a/b"), "rep-3@2 8MiB@2 4KiB@3");
  CHECK_EQ(in_force(fs, "/a/b/c"), "rep-3@2 8MiB@2 4KiB@3");
  const auto listed = fs.machine.list("/a/b", "", 10)->entries.at(0).attributes;
  CHECK((listed == *fs.machine.stat("/a/b/c")));

  // What is absent stays, unless all is to be forgotten.
  REQUIRE_EQ(outcome(set(fs, "/a", {.block_bytes = 4 * kMiB})), "ok");
  CHECK_EQ(in_force(fs, "/a"), "rep-3@2 4MiB@2 64KiB@0");
  REQUIRE_EQ(outcome(set(fs, "/a", {.block_bytes = 2 * kMiB}, true)), "ok");
  CHECK_EQ(in_force(fs, "/a"), "rs-4-2@0 2MiB@2 64KiB@0");
  REQUIRE_EQ(outcome(set(fs, "/a", {}, true)), "ok");
  CHECK_EQ(in_force(fs, "/a/b"), "rs-4-2@0 1MiB@0 4KiB@3");
  check_sound(fs);
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  CHECK_EQ(copy->stat("/a/b")->cell_bytes, 4096);
  check_invariants(*copy).value();
}

TEST_CASE("the root says it for the whole cluster, and the status shows it") {
  ClusterFixture fs;
  REQUIRE_EQ(outcome(set(fs, "/", {.policy = policy("rep-2"), .block_bytes = 64 * kMiB})), "ok");
  REQUIRE(fs.make_directory("/a").has_value());
  CHECK_EQ(in_force(fs, "/a"), "rep-2@1 64MiB@1 64KiB@0");
  CHECK_EQ(in_force(fs, "/"), "rep-2@1 64MiB@1 64KiB@0");
  const auto status = std::get<ClusterStatus>(*fs.machine.answer(StatusQuery{}));
  CHECK_EQ(status.settings.policy.text(), "rep-2");
  CHECK_EQ(status.settings.block_bytes, 64 * kMiB);
  CHECK_EQ(fs.machine.settings().policy.text(), "rs-4-2");
  REQUIRE_EQ(outcome(set(fs, "/", {}, true)), "ok");
  CHECK_EQ(in_force(fs, "/a"), "rs-4-2@0 1MiB@0 64KiB@0");
}

TEST_CASE("a file keeps what it was made with, whatever its directory says later") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/d/before", {100}).has_value());
  REQUIRE_EQ(outcome(set(fs, "/d",
                         {.policy = policy("rep-2"), .block_bytes = 4 * kMiB, .cell_bytes = 4096})),
             "ok");
  const auto started = fs.ask(StartUpload{.path = "/d/f", .policy = {}});
  REQUIRE_EQ(outcome(started), "ok");
  const auto upload = std::get<UploadStarted>(*started);
  CHECK_EQ(upload.policy.text(), "rep-2");
  CHECK_EQ(upload.block_bytes, 4 * kMiB);
  CHECK_EQ(upload.cell_bytes, 4096);
  const auto allocate = [&](uint64_t length) {
    return fs.ask(AllocateBlocks{
        .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {length}});
  };
  CHECK_EQ(outcome(allocate(4 * kMiB + 1)), "invalid");
  const auto blocks = allocate(4 * kMiB);
  REQUIRE_EQ(outcome(blocks), "ok");
  const auto& block = std::get<BlocksAllocated>(*blocks).blocks[0];
  REQUIRE(fs.commit(upload, block, 2).has_value());
  REQUIRE_EQ(outcome(fs.publish(upload, "/d/f", 4 * kMiB)), "ok");
  CHECK_EQ(in_force(fs, "/d/f"), "rep-2@3 4MiB@3 4KiB@3");
  CHECK_EQ(in_force(fs, "/d/before"), "rs-4-2@3 1MiB@3 64KiB@3");
  REQUIRE_EQ(outcome(set(fs, "/d", {}, true)), "ok");
  CHECK_EQ(in_force(fs, "/d/f"), "rep-2@3 4MiB@3 4KiB@3");
  CHECK_EQ(fs.machine.locate("/d/f", {})->blocks.at(0).cell_bytes, 4096);
  CHECK_EQ(fs.machine.locate("/d/before", {})->blocks.at(0).cell_bytes, 64 * 1024);

  // Joined, each block keeps its own.
  REQUIRE_EQ(outcome(fs.ask(Concatenate{.path = "/d/before", .sources = {"/d/f"}})), "ok");
  CHECK_EQ(fs.machine.locate("/d/before", {})->blocks.at(0).cell_bytes, 64 * 1024);
  CHECK_EQ(fs.machine.locate("/d/before", {})->blocks.at(1).cell_bytes, 4096);
  check_sound(fs);
}

TEST_CASE("one file may be made in other blocks and cells, and what is appended follows") {
  ClusterFixture fs;
  PutInline put{.path = "/small", .policy = policy("rep-1"), .content = "x", .attributes = {}};
  put.block_bytes = 2 * kMiB;
  put.cell_bytes = 8192;
  REQUIRE_EQ(outcome(fs.ask(put)), "ok");
  CHECK_EQ(in_force(fs, "/small"), "rep-1@2 2MiB@2 8KiB@2");
  const auto opened =
      fs.ask(OpenAppend{.path = "/small", .create = false, .policy = {}, .attributes = {}});
  REQUIRE_EQ(outcome(opened), "ok");
  const auto& append = std::get<AppendOpened>(*opened);
  CHECK_EQ(append.capacity, 2 * kMiB);
  REQUIRE(fs.begin_append(append).has_value());
  REQUIRE(fs.lead(BeginSeal{.file = append.file, .block = append.block.block}).has_value());
  REQUIRE(fs.lead(FixAppend{.file = append.file,
                            .block = append.block.block,
                            .epoch = Epoch(2),
                            .length = 10,
                            .holders = {0, 1}})
              .has_value());
  const auto begun = fs.lead(BeginConversion{
      .block = append.block.block, .generation = Generation(1), .attempt = 1, .avoid = {}});
  REQUIRE_EQ(outcome(begun), "ok");
  const auto& conversion = std::get<ConversionBegun>(*begun);
  CHECK_EQ(conversion.cell_bytes, 8192);
  CHECK_EQ(conversion.policy.text(), "rep-1");
  REQUIRE(fs.lead(CommitConversion{.block = append.block.block,
                                   .generation = conversion.next.generation,
                                   .shards = {{.index = 0, .checksum = 1}}})
              .has_value());
  CHECK_EQ(fs.machine.locate("/small", {})->blocks.at(0).cell_bytes, 8192);
  check_sound(fs);
}

TEST_CASE("what cannot be is refused, saying what can") {
  ClusterFixture fs(6, "rs-4-2");
  REQUIRE(fs.put("/f", {100}).has_value());
  CHECK_EQ(outcome(set(fs, "/", {.block_bytes = kMiB - 1})), "invalid");
  CHECK_EQ(outcome(set(fs, "/", {.block_bytes = 512 * kMiB + 1})), "invalid");
  CHECK_EQ(outcome(set(fs, "/", {.cell_bytes = 0})), "invalid");
  CHECK_EQ(outcome(set(fs, "/", {.cell_bytes = uint32_t(kMiB) + 1})), "invalid");
  CHECK_EQ(outcome(set(fs, "/", {.block_bytes = 512 * kMiB, .cell_bytes = 16})), "invalid");
  CHECK_EQ(outcome(set(fs, "/f", {.block_bytes = 2 * kMiB})), "precondition");
  CHECK_EQ(outcome(set(fs, "/none", {})), "not_found");
  CHECK_EQ(outcome(ask_as(fs, {.user = "ada", .groups = {}}, SetLayout{.path = "/", .layout = {}})),
           "denied");
  fs.set_state(2, placement::NodeState::kDead);
  const auto large = set(fs, "/", {.policy = policy("rs-10-4")});
  CHECK_EQ(outcome(large), "precondition");
  const std::string& said = large.error().message;
  CAPTURE(said);
  CHECK(said.find("needs 14 chunk servers and has 6 (5 live, in 5 zones)") != said.npos);
  CHECK(said.find("rs-5-1 or rep-3 would fit") != said.npos);
  CHECK_EQ(in_force(fs, "/"), "rs-4-2@0 1MiB@0 64KiB@0");

  // Two directories may each say a part that does not go with the other's.
  REQUIRE(fs.make_directory("/a/b", true).has_value());
  REQUIRE_EQ(outcome(set(fs, "/a/b", {.cell_bytes = 16})), "ok");
  REQUIRE_EQ(outcome(set(fs, "/a", {.block_bytes = 512 * kMiB})), "ok");
  CHECK_EQ(outcome(fs.ask(StartUpload{.path = "/a/b/f", .policy = {}})), "invalid");
}

TEST_CASE("rows of files and blocks in the cluster's own layout are as small as they were") {
  ClusterFixture fs;
  const auto bytes = [&] {
    REQUIRE(fs.put("/f", {100}).has_value());
    const auto location = fs.machine.locate("/f", {});
    const Tables& tables = fs.machine.tables();
    return encode(*tables.file(location->file)).size() +
           encode(*tables.block(location->blocks.at(0).block)).size();
  };
  const size_t usual = bytes();
  REQUIRE_EQ(outcome(set(fs, "/", {.block_bytes = 4 * kMiB, .cell_bytes = 4096})), "ok");
  CHECK_GT(bytes(), usual);
  // Said, but the same as the cluster's.
  REQUIRE_EQ(outcome(set(fs, "/", {.block_bytes = kMiB, .cell_bytes = 64 * 1024})), "ok");
  CHECK_EQ(bytes(), usual);
}

}  // namespace dogfs::metadata
