// Copies that share blocks, and files that are cut or joined.
#include <string>

#include "core/namespace/cluster_version.h"

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

constexpr auto kIfAbsent = PublishCondition::kIfAbsent;

Response copy(ClusterFixture& fs, const std::string& from, const std::string& to,
              PublishCondition condition = PublishCondition::kOverwrite) {
  return fs.ask(Copy{.from = from, .to = to, .condition = condition, .version = {}});
}
Response cut(ClusterFixture& fs, const std::string& path, uint64_t length) {
  return fs.ask(Truncate{.path = path, .length = length});
}
Response join(ClusterFixture& fs, const std::string& path, std::vector<std::string> sources) {
  return fs.ask(Concatenate{.path = path, .sources = std::move(sources)});
}

// "12@0 7@100": lengths and offsets in their blocks of a file's extents.
std::string extents(const ClusterFixture& fs, const std::string& path) {
  const auto location = fs.machine.locate(path, {});
  if (!location) return std::string(code_name(location.error().code));
  std::string out;
  for (const auto& block : location->blocks)
    out += fmt::format("{}{}@{}", out.empty() ? "" : " ", block.length, block.block_offset);
  return out;
}

// Takes apart what was dropped, and demands that the state is sound.
void settle(ClusterFixture& fs) {
  while (fs.machine.removal_pending()) REQUIRE(fs.lead(RemoveStep{.limit = 3}).has_value());
  const auto sound = check_invariants(fs.machine);
  REQUIRE_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
}

TEST_CASE("a copy has the same bytes and is another file") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f", {100, 50}).has_value());
  REQUIRE(fs.put_inline("/small", "bytes").has_value());
  REQUIRE_EQ(outcome(copy(fs, "/f", "/d/copy")), "ok");
  REQUIRE_EQ(outcome(copy(fs, "/small", "/d/small")), "ok");
  CHECK_EQ(fs.machine.locate("/d/copy", {})->blocks.size(), 2u);
  CHECK((fs.machine.locate("/d/copy", {})->blocks == fs.machine.locate("/f", {})->blocks));
  CHECK_NE(fs.machine.stat("/d/copy")->id, fs.machine.stat("/f")->id);
  CHECK_EQ(fs.machine.locate("/d/small", {})->content, "bytes");
  CHECK_EQ(fs.machine.counters().blocks, 2u);
  settle(fs);
}

TEST_CASE("blocks live until the last file that shares them is gone, whichever that is") {
  for (const bool first_goes_first : {true, false}) {
    CAPTURE(first_goes_first);
    ClusterFixture fs;
    REQUIRE(fs.put("/f", {100, 50}).has_value());
    REQUIRE(copy(fs, "/f", "/g").has_value());
    REQUIRE(copy(fs, "/g", "/h").has_value());
    REQUIRE(fs.remove(first_goes_first ? "/f" : "/h").has_value());
    settle(fs);
    CHECK_EQ(fs.machine.counters().garbage_blocks, 0u);
    REQUIRE(fs.remove("/g").has_value());
    settle(fs);
    CHECK_EQ(fs.machine.counters().garbage_blocks, 0u);
    const std::string last = first_goes_first ? "/h" : "/f";
    CHECK_EQ(extents(fs, last), "100@0 50@0");
    REQUIRE(fs.remove(last).has_value());
    settle(fs);
    CHECK_EQ(fs.machine.counters().garbage_blocks, 2u);
    CHECK_EQ(fs.machine.counters().blocks, 0u);
  }
}

TEST_CASE("a copy into another slot is dropped in the background, and its blocks go with it") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(copy(fs, "/f", "/d/g").has_value());
  REQUIRE(fs.remove("/f").has_value());
  settle(fs);
  REQUIRE(fs.remove("/d", true).has_value());
  settle(fs);
  CHECK_EQ(fs.machine.counters().files, 0u);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
}

TEST_CASE("a copy replaces an older copy, and itself it cannot be") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(copy(fs, "/f", "/g").has_value());
  REQUIRE(copy(fs, "/f", "/g").has_value());
  REQUIRE(copy(fs, "/g", "/f").has_value());
  settle(fs);
  CHECK_EQ(fs.machine.counters().files, 2u);
  CHECK_EQ(fs.machine.counters().blocks, 1u);
  CHECK_EQ(outcome(copy(fs, "/f", "/f")), "invalid");
  CHECK_EQ(outcome(copy(fs, "/f", "/g", kIfAbsent)), "exists");
}

TEST_CASE("a copy is refused where a file could not be put, and of what is no file") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f", {100}).has_value());
  CHECK_EQ(outcome(copy(fs, "/none", "/g")), "not_found");
  CHECK_EQ(outcome(copy(fs, "/d", "/g")), "precondition");
  CHECK_EQ(outcome(copy(fs, "/f", "/d")), "exists");
  CHECK_EQ(outcome(copy(fs, "/f", "/none/g")), "not_found");
  CHECK_EQ(fs.names("/"), "d/ f");
}

TEST_CASE("garbage that a file refers to is never ordered away") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(copy(fs, "/f", "/g").has_value());
  const BlockId block = fs.machine.locate("/f", {})->blocks[0].block;
  REQUIRE(fs.remove("/f").has_value());
  REQUIRE(fs.lead(OrderDeletion{.blocks = {block}}).has_value());
  CHECK((fs.machine.tables().block(block)->state == BlockState::kSealed));
  settle(fs);
}

TEST_CASE("a file is cut at every byte, and what lies behind is given back") {
  for (const uint64_t length : {0u, 1u, 99u, 100u, 101u, 149u, 150u, 151u, 159u, 160u}) {
    CAPTURE(length);
    ClusterFixture fs;
    REQUIRE(fs.put("/f", {100, 50, 10}).has_value());
    const auto version = fs.machine.stat("/f")->version();
    REQUIRE_EQ(outcome(cut(fs, "/f", length)), "ok");
    CHECK_EQ(fs.machine.stat("/f")->length, length);
    CHECK_EQ((fs.machine.stat("/f")->version() == version), length == 160);
    CHECK_EQ(fs.machine.counters().blocks, length == 0     ? 0u
                                           : length <= 100 ? 1u
                                           : length <= 150 ? 2u
                                                           : 3u);
    settle(fs);
  }
  ClusterFixture fs;
  REQUIRE(fs.put_inline("/f", "bytes").has_value());
  REQUIRE_EQ(outcome(cut(fs, "/f", 2)), "ok");
  CHECK_EQ(fs.machine.locate("/f", {})->content, "by");
  CHECK_EQ(outcome(cut(fs, "/f", 3)), "invalid");
  CHECK_EQ(outcome(cut(fs, "/none", 0)), "not_found");
  CHECK_EQ(outcome(cut(fs, "/", 0)), "precondition");
  settle(fs);
}

TEST_CASE("a cut copy leaves the other whole") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {100, 50}).has_value());
  REQUIRE(copy(fs, "/f", "/g").has_value());
  REQUIRE(cut(fs, "/g", 20).has_value());
  CHECK_EQ(extents(fs, "/f"), "100@0 50@0");
  CHECK_EQ(extents(fs, "/g"), "20@0");
  REQUIRE(fs.remove("/f").has_value());
  settle(fs);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
  CHECK_EQ(extents(fs, "/g"), "20@0");
}

TEST_CASE("files are joined in order, and are no more") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(fs.put("/d/a", {10, 20}).has_value());
  REQUIRE(fs.put_inline("/empty", "").has_value());
  REQUIRE(fs.put("/b", {5}).has_value());
  REQUIRE(cut(fs, "/b", 3).has_value());
  REQUIRE_EQ(outcome(join(fs, "/f", {"/d/a", "/empty", "/b"})), "ok");
  CHECK_EQ(extents(fs, "/f"), "100@0 10@0 20@0 3@0");
  CHECK_EQ(fs.machine.locate("/f", {.offset = 130, .length = 1})->blocks[0].file_offset, 130u);
  CHECK_EQ(fs.names("/"), "d/ f");
  CHECK_EQ(fs.names("/d"), "");
  settle(fs);
  REQUIRE(fs.remove("/f").has_value());
  settle(fs);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 4u);
}

TEST_CASE("files are joined only where the first one is as long as it is thought to be") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(fs.put("/a", {10}).has_value());
  const auto join_at = [&](uint64_t at) {
    return outcome(fs.ask(Concatenate{.path = "/f", .sources = {"/a"}, .at = at}));
  };
  CHECK_EQ(join_at(0), "precondition");
  CHECK_EQ(join_at(101), "precondition");
  CHECK_EQ(extents(fs, "/f"), "100@0");
  CHECK_EQ(fs.names("/"), "a f");
  CHECK_EQ(join_at(100), "ok");
  CHECK_EQ(extents(fs, "/f"), "100@0 10@0");
}

TEST_CASE("a file is joined with a copy of itself, and cut again") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(copy(fs, "/f", "/g").has_value());
  REQUIRE(copy(fs, "/f", "/h").has_value());
  REQUIRE_EQ(outcome(join(fs, "/f", {"/g"})), "ok");
  CHECK_EQ(extents(fs, "/f"), "100@0 100@0");
  settle(fs);
  REQUIRE(cut(fs, "/f", 100).has_value());
  settle(fs);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 0u);
  REQUIRE(fs.remove("/h").has_value());
  REQUIRE(fs.remove("/f").has_value());
  settle(fs);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
}

TEST_CASE("small files are joined within the limit, and not with large ones") {
  ClusterFixture fs;
  REQUIRE(fs.put_inline("/f", "one ").has_value());
  REQUIRE(fs.put_inline("/g", "two").has_value());
  REQUIRE(fs.put("/large", {100}).has_value());
  CHECK_EQ(outcome(join(fs, "/f", {"/large"})), "precondition");
  CHECK_EQ(outcome(join(fs, "/large", {"/f"})), "precondition");
  REQUIRE_EQ(outcome(join(fs, "/f", {"/g"})), "ok");
  CHECK_EQ(fs.machine.locate("/f", {})->content, "one two");
  REQUIRE(fs.put_inline("/g", std::string(ClusterFixture::kInlineBytes, 'x')).has_value());
  CHECK_EQ(outcome(join(fs, "/f", {"/g"})), "too_large");
  settle(fs);
}

TEST_CASE("what cannot be joined is refused, and nothing changes") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f", {100}).has_value());
  REQUIRE(fs.put("/g", {100}).has_value());
  CHECK_EQ(outcome(join(fs, "/f", {})), "invalid");
  CHECK_EQ(outcome(join(fs, "/f", {"/f"})), "invalid");
  CHECK_EQ(outcome(join(fs, "/f", {"/g", "/g"})), "invalid");
  CHECK_EQ(outcome(join(fs, "/f", {"/g", "/none"})), "not_found");
  CHECK_EQ(outcome(join(fs, "/f", {"/d"})), "precondition");
  CHECK_EQ(outcome(join(fs, "/none", {"/f"})), "not_found");
  CHECK_EQ(fs.names("/"), "d/ f g");
  CHECK_EQ(extents(fs, "/f"), "100@0");
}

uint64_t name_of(const ClusterFixture& fs, const std::string& path,
                 StateMachine::Range range = {}) {
  return fs.machine.locate(path, range)->contents;
}

TEST_CASE("what names the bytes of a file changes when it is cut or replaced, and never else") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {100, 50}).has_value());
  const uint64_t name = name_of(fs, "/f");
  CHECK_NE(name, 0u);
  CHECK_EQ(name_of(fs, "/f", {.offset = 100, .length = 10}), name);
  REQUIRE_EQ(outcome(copy(fs, "/f", "/copy")), "ok");
  CHECK_NE(name_of(fs, "/copy"), name);
  REQUIRE_EQ(outcome(fs.move("/f", "/g")), "ok");
  REQUIRE_EQ(outcome(join(fs, "/g", {"/copy"})), "ok");
  CHECK_EQ(fs.machine.stat("/g")->length, 300u);
  CHECK_EQ(name_of(fs, "/g"), name);
  // Cut, and as long as before: other bytes may stand in their place.
  REQUIRE_EQ(outcome(cut(fs, "/g", 300)), "ok");
  CHECK_EQ(name_of(fs, "/g"), name);
  REQUIRE_EQ(outcome(cut(fs, "/g", 120)), "ok");
  const uint64_t shorter = name_of(fs, "/g");
  CHECK_NE(shorter, name);
  REQUIRE(fs.put("/more", {180}).has_value());
  REQUIRE_EQ(outcome(join(fs, "/g", {"/more"})), "ok");
  CHECK_EQ(name_of(fs, "/g"), shorter);
  REQUIRE_EQ(outcome(cut(fs, "/g", 290)), "ok");
  CHECK_NE(name_of(fs, "/g"), shorter);
  CHECK_NE(name_of(fs, "/g"), name);
  REQUIRE_EQ(outcome(copy(fs, "/g", "/copy")), "ok");
  CHECK_EQ(fs.machine.tables().file(fs.machine.locate("/copy", {})->file)->cuts, 0u);
  const uint64_t last = name_of(fs, "/g");
  REQUIRE(fs.put("/g", {290}).has_value());
  CHECK_NE(name_of(fs, "/g"), last);
  settle(fs);
}

TEST_CASE("before the cluster's version says so, cuts are not counted, and places name bytes") {
  ClusterFixture fs(6, "rs-4-2", kCutsVersion - 1);
  REQUIRE(fs.put("/f", {100, 50}).has_value());
  const uint64_t name = name_of(fs, "/f", {.offset = 0, .length = 100});
  REQUIRE_EQ(outcome(cut(fs, "/f", 120)), "ok");
  CHECK_EQ(name_of(fs, "/f", {.offset = 0, .length = 100}), name);
  CHECK_NE(name_of(fs, "/f"), name);
  CHECK_EQ(fs.machine.tables().file(fs.machine.locate("/f", {})->file)->cuts, 0u);
  settle(fs);
}

}  // namespace
}  // namespace dogfs::metadata
