// Packs: small files in shared append blocks, from the record to the garbage.
#include <string>
#include <vector>

#include "tests/core/namespace/packs_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {

TEST_CASE("a packed file has its bytes in the pack's block while that is open, sealed, converted") {
  Packs fs;
  const auto block = fs.begun();
  CHECK_EQ(fs.pack("/a", block, 0, 1000), "ok");
  CHECK_EQ(fs.pack("/b", block, 1000, 500), "ok");
  CHECK_EQ(fs.machine.stat("/a")->length, 1000u);
  CHECK_FALSE(fs.machine.stat("/a")->appending);
  auto here = fs.block_of("/b");
  CHECK_EQ(here.block, block.block.block);
  CHECK_EQ(here.block_offset, 1000u);
  CHECK_EQ(here.length, 500u);
  CHECK_EQ(here.block_length, 1500u);
  CHECK_EQ(here.state, LocatedState::kAppending);
  CHECK_FALSE(here.open_end());
  CHECK_EQ(here.shards.size(), 3u);

  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  CHECK_EQ(fs.pack("/c", block, 1500, 1), "ok");
  REQUIRE_EQ(outcome(fs.fix(block, 1600)), "ok");
  fs.check_sound();
  CHECK_EQ(fs.pack("/d", block, 1599, 1), "ok");
  CHECK_EQ(fs.pack("/e", block, 1599, 2), "unavailable");
  here = fs.block_of("/b");
  CHECK_EQ(here.state, LocatedState::kSealed);
  CHECK_EQ(here.block_length, 1600u);
  fs.convert(block.block.block);
  fs.check_sound();
  CHECK_EQ(fs.block_of("/b").policy.text(), "rs-4-2");
  CHECK_EQ(fs.block_of("/b").block_offset, 1000u);
  CHECK_EQ(fs.machine.counters().packed_bytes, 1502u);
  CHECK_EQ(fs.machine.counters().pack_bytes, 1600u);
}

TEST_CASE("acknowledged bytes of a file are never cut off when a pack's block is sealed") {
  Packs fs;
  const auto block = fs.begun();
  REQUIRE_EQ(fs.pack("/a", block, 100, 50), "ok");
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  CHECK_EQ(outcome(fs.fix(block, 149)), "precondition");
  CHECK_EQ(outcome(fs.fix(block, 0)), "precondition");
  fs.check_sound();
  CHECK_EQ(outcome(fs.fix(block, 150)), "ok");
  fs.check_sound();
}

TEST_CASE("a pack's block is garbage with the last file that refers to it, however that goes") {
  Packs fs;
  const auto block = fs.begun();
  REQUIRE_EQ(fs.pack("/a", block, 0, 100), "ok");
  REQUIRE_EQ(fs.pack("/b", block, 100, 100), "ok");
  REQUIRE_EQ(outcome(fs.ask(Copy{.from = "/a", .to = "/copy", .version = {}})), "ok");
  fs.check_sound();
  CHECK_EQ(fs.machine.counters().packed_bytes, 300u);
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/copy", .length = 30})), "ok");
  fs.check_sound();
  CHECK_EQ(fs.machine.counters().packed_bytes, 230u);
  REQUIRE_EQ(outcome(fs.ask(Concatenate{.path = "/copy", .sources = {"/a"}})), "ok");
  fs.check_sound();
  CHECK_EQ(fs.machine.stat("/copy")->length, 130u);
  CHECK_EQ(fs.machine.counters().packed_bytes, 230u);
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/copy", .length = 31})), "ok");
  fs.check_sound();
  CHECK_EQ(fs.machine.counters().packed_bytes, 131u);
  REQUIRE_EQ(outcome(fs.remove("/b")), "ok");
  REQUIRE_EQ(outcome(fs.remove("/copy")), "ok");
  while (fs.machine.removal_pending()) (void)fs.lead(RemoveStep{.limit = 1});
  fs.check_sound();
  // The pack still has it, to append to.
  CHECK_EQ(fs.garbage(), 0u);
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  REQUIRE_EQ(outcome(fs.fix(block, 200)), "ok");
  fs.check_sound();
  CHECK_EQ(fs.garbage(), 1u);
  CHECK_EQ(fs.pack("/late", block, 0, 10), "unavailable");
  // The next block begins at 0 again, and the one before is known to its primary.
  const auto next = fs.begun();
  CHECK_EQ(next.ordinal, 2u);
  CHECK_EQ(next.block.file_offset, 0u);
}

TEST_CASE("a file is packed only into a begun block of that pack and of its own policy") {
  Packs fs;
  const auto reply = fs.open();
  const auto block = std::get<AppendOpened>(*reply);
  CHECK_EQ(fs.pack("/a", block, 0, 10), "unavailable");  // not begun
  REQUIRE_EQ(outcome(fs.begin_append(block)), "ok");
  auto wrong = block;
  wrong.file.file = InodeId(99);
  CHECK_EQ(fs.pack("/a", wrong, 0, 10), "unavailable");
  CHECK_EQ(fs.pack("/a", block, 0, 0), "invalid");
  CHECK_EQ(fs.pack("/a", block, 0, limits::kPackedBytesMax + 1), "invalid");
  CHECK_EQ(fs.pack("/a", block, limits::kMiB, 1), "unavailable");
  CHECK_EQ(fs.pack("/a", block, UINT64_MAX, 1), "unavailable");
  auto other = Packs::small("/a", block, 0, 10);
  other.policy = placement::Policy::parse("rep-3").value();
  CHECK_EQ(outcome(fs.ask(other)), "unavailable");
  // An ordinary append block is none of a pack, whoever asks.
  const auto log =
      fs.ask(OpenAppend{.path = "/log", .create = true, .policy = {}, .attributes = {}});
  REQUIRE_EQ(outcome(fs.begin_append(std::get<AppendOpened>(*log))), "ok");
  CHECK_EQ(fs.pack("/a", std::get<AppendOpened>(*log), 0, 1), "unavailable");
  CHECK_EQ(fs.machine.stat("/a").error().code, Code::kNotFound);
  CHECK_EQ(fs.pack("/a", block, 0, 10), "ok");
}

TEST_CASE("a packed put keeps to conditions, quotas and what stands in its way") {
  Packs fs;
  const auto block = fs.begun();
  REQUIRE_EQ(outcome(fs.make_directory("/d")), "ok");
  CHECK_EQ(fs.pack("/d", block, 0, 10), "exists");
  CHECK_EQ(fs.pack("/none/a", block, 0, 10), "not_found");
  REQUIRE_EQ(outcome(fs.ask(SetQuota{.path = "/d", .quota = {.bytes = 15, .entries = {}}})), "ok");
  CHECK_EQ(fs.pack("/d/a", block, 0, 10), "ok");
  CHECK_EQ(fs.pack("/d/b", block, 0, 10), "no_space");
  CHECK_EQ(fs.pack("/d/a", block, 20, 15), "ok");
  CHECK_EQ(fs.machine.use("/d")->use.bytes, 15u);
  auto absent = Packs::small("/d/a", block, 0, 1);
  absent.condition = PublishCondition::kIfAbsent;
  CHECK_EQ(outcome(fs.ask(absent)), "exists");
}

TEST_CASE("packs are nobody's: not listed, not counted, and not changed by hand") {
  Packs fs;
  REQUIRE_EQ(outcome(fs.ask(SetQuota{.path = "/", .quota = {.bytes = {}, .entries = 1}})), "ok");
  const auto block = fs.begun();
  REQUIRE_EQ(fs.pack("/a", block, 0, 10), "ok");
  CHECK_EQ(fs.names("/"), "a");
  CHECK_EQ(fs.machine.use("/")->use.entries, 1u);
  CHECK_EQ(fs.machine.counters().files, 1u);
  CHECK_EQ(fs.machine.counters().directories, 1u);
  CHECK_EQ(fs.names("/.packs"), "rs-4-2.0");
  const std::string pack = "/.packs/rs-4-2.0";
  CHECK_EQ(outcome(fs.remove(pack)), "invalid");
  CHECK_EQ(outcome(fs.remove("/.packs", true)), "invalid");
  CHECK_EQ(outcome(fs.move(pack, "/mine")), "invalid");
  CHECK_EQ(outcome(fs.move("/.packs", "/mine")), "invalid");
  CHECK_EQ(outcome(fs.move("/a", "/.packs/a")), "invalid");
  CHECK_EQ(outcome(fs.put_inline(pack, "x")), "invalid");
  CHECK_EQ(outcome(fs.put_inline("/.packs/x", "x")), "invalid");
  CHECK_EQ(outcome(fs.make_directory("/.packs/x")), "invalid");
  CHECK_EQ(outcome(fs.ask(Copy{.from = pack, .to = "/b", .version = {}})), "invalid");
  CHECK_EQ(outcome(fs.ask(Truncate{.path = pack, .length = 0})), "invalid");
  CHECK_EQ(outcome(fs.ask(Concatenate{.path = "/a", .sources = {pack}})), "invalid");
  CHECK_EQ(outcome(fs.ask(SetQuota{.path = "/.packs", .quota = {}})), "invalid");
  CHECK_EQ(outcome(fs.ask(SetLayout{.path = "/.packs", .layout = {}})), "invalid");
  CHECK_EQ(outcome(fs.ask(SetAttributes{.path = "/.packs", .labels = {}})), "invalid");
  for (const char* name : {"/.packs/x", "/.packs/rs-4-2.8", "/.packs/rs-4-2.00", "/.packs/rs-4-2",
                           "/.packs/rs-4-2.0/a", "/.packs"}) {
    CHECK_EQ(
        outcome(fs.ask(OpenAppend{.path = name, .create = true, .policy = {}, .attributes = {}})),
        "invalid");
  }
  const Asker ada{.user = "ada", .groups = {}};
  CHECK_EQ(fs.machine.locate(pack, {}, &ada).error().code, Code::kDenied);
  CHECK(fs.machine.locate("/a", {}, &ada).has_value());
  fs.check_sound();
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  CHECK(check_invariants(*copy).has_value());
  CHECK_EQ(copy->digest(), fs.machine.digest());
}

TEST_CASE(
    "a directory that was there before packs stays its owner's, and small files go elsewhere") {
  Packs fs(2);
  REQUIRE_EQ(outcome(fs.make_directory("/.packs")), "ok");
  REQUIRE_EQ(outcome(fs.lead(SetClusterVersion{.version = 3})), "ok");
  CHECK_EQ(outcome(fs.ask(MakeDirectory{.path = "/.packs", .parents = true, .policy = {}})),
           "exists");
  CHECK_EQ(fs.names("/"), ".packs/");
  CHECK_EQ(outcome(fs.open()), "precondition");
  CHECK_EQ(fs.names("/.packs"), "");
  fs.check_sound();
  CHECK_EQ(outcome(fs.move("/.packs", "/mine")), "ok");
  CHECK_EQ(outcome(fs.open()), "ok");
  CHECK_EQ(fs.names("/"), "mine/");
  fs.check_sound();
}

TEST_CASE("an open block of a pack has replicas for the losses that a put of its policy survives") {
  struct Row {
    const char* policy;
    size_t replicas;
  };
  for (const Row& row : {Row{"rep-1", 1}, Row{"rep-3", 3}, Row{"rs-2-1", 3}, Row{"rs-4-2", 3},
                         Row{"rs-3-3", 5}, Row{"rep-5", 5}}) {
    CAPTURE(row.policy);
    Packs fs;
    const auto opened = fs.open(0, row.policy);
    REQUIRE_EQ(outcome(opened), "ok");
    CHECK_EQ(std::get<AppendOpened>(*opened).block.shards.size(), row.replicas);
    for (const uint32_t node : {1u, 2u, 3u, 4u}) fs.set_state(node, placement::NodeState::kSuspect);
    CHECK_EQ(outcome(fs.open(1, row.policy)), row.replicas <= 2 ? "ok" : "precondition");
  }
  Packs fs;
  CHECK_EQ(outcome(fs.open(0, "rs-1-5")), "precondition");
  fs.check_sound();
}

TEST_CASE("what a file has in a pack is kept in the row of its reference") {
  const ReferrerRow row{.home = InodeId(7), .bytes = 70'000};
  CHECK((decode<ReferrerRow>(encode(row)) == row));
  CHECK_FALSE(decode<ReferrerRow>(encode(row) + "x").has_value());
  const ReferrerRow plain{.home = InodeId(7)};
  CHECK((decode<ReferrerRow>(encode(plain)) == plain));
  CHECK_FALSE(decode<ReferrerRow>(encode(plain) + std::string(1, 2)).has_value());
}

TEST_CASE("a packed file can be appended to, and keeps its bytes before the new ones") {
  Packs fs;
  const auto block = fs.begun();
  REQUIRE_EQ(fs.pack("/a", block, 7, 100), "ok");
  const auto opened =
      fs.ask(OpenAppend{.path = "/a", .create = false, .policy = {}, .attributes = {}});
  REQUIRE_EQ(outcome(opened), "ok");
  CHECK_EQ(std::get<AppendOpened>(*opened).block.file_offset, 100u);
  fs.check_sound();
  const auto location = fs.machine.locate("/a", {});
  REQUIRE_EQ(location->blocks.size(), 2u);
  CHECK_FALSE(location->blocks[0].open_end());
  CHECK(location->blocks[1].open_end());
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  REQUIRE_EQ(outcome(fs.fix(block, 107)), "ok");
  fs.check_sound();
  CHECK_EQ(fs.machine.stat("/a")->length, 100u);
}

}  // namespace dogfs::metadata
