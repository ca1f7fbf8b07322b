// Compaction of packs: which blocks are to be, what is asked of them, and the moves.
#include <string>
#include <vector>

#include "tests/core/namespace/packs_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

struct Compacting : Packs {
  explicit Compacting(uint32_t version = kLatestClusterVersion) : Packs(version) {}

  std::vector<BlockId> sparse() const {
    std::vector<BlockId> out;
    for (const auto& block : machine.sparse_blocks({}, 10)) out.push_back(block.block);
    return out;
  }
  // A file, and all that is done for it in the background.
  Response drop(const std::string& path) {
    auto removed = remove(path);
    while (machine.removal_pending()) (void)lead(RemoveStep{.limit = 10});
    check_sound();
    return removed;
  }
  // A settled block with /a [0, 100), /b [100, 400) and /c [400, 1000), and another that is open.
  struct Blocks {
    AppendOpened from;
    AppendOpened to;
  };
  Blocks two() {
    const auto from = begun();
    REQUIRE_EQ(pack("/a", from, 0, 100), "ok");
    REQUIRE_EQ(pack("/b", from, 100, 300), "ok");
    REQUIRE_EQ(pack("/c", from, 400, 600), "ok");
    settle(from, 1000);
    return {from, begun(1)};
  }
  // "/a: 0+100 /b: ...": what the answer says that files have.
  std::string referrers(BlockId block) const {
    const auto answer = machine.referrers(block, {});
    if (!answer) return std::string(code_name(answer.error().code));
    std::string out;
    for (const auto& file : answer->files) {
      out += out.empty() ? "" : ", ";
      for (const auto& range : file.ranges)
        out += fmt::format("{}+{} ", range.offset, range.length);
    }
    return out;
  }
};

}  // namespace

TEST_CASE("a block of a pack is sparse when it is settled and files have less than half of it") {
  Compacting fs;
  const auto block = fs.begun();
  const BlockId id = block.block.block;
  REQUIRE_EQ(fs.pack("/a", block, 0, 499), "ok");
  REQUIRE_EQ(fs.pack("/b", block, 499, 1), "ok");
  REQUIRE_EQ(outcome(fs.seal(block)), "ok");
  REQUIRE_EQ(outcome(fs.fix(block, 1000)), "ok");
  REQUIRE_EQ(outcome(fs.drop("/b")), "ok");
  fs.check_sound();
  CHECK(fs.sparse().empty());  // its logs are what it is
  fs.convert(id);
  fs.check_sound();
  CHECK(fs.sparse().empty());  // they are still there
  fs.forget_formers();
  fs.check_sound();
  CHECK((fs.sparse() == std::vector{id}));
  CHECK_EQ(fs.machine.sparse_blocks({}, 10)[0].nodes.size(), 6u);

  // A second file that refers to the same bytes needs them as much.
  REQUIRE_EQ(outcome(fs.ask(Copy{.from = "/a", .to = "/copy", .version = {}})), "ok");
  fs.check_sound();
  CHECK(fs.sparse().empty());
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/copy", .length = 0})), "ok");
  fs.check_sound();
  CHECK_EQ(fs.sparse().size(), 1u);
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  CHECK(check_invariants(*copy).has_value());
  CHECK_EQ(copy->sparse_blocks({}, 10).size(), 1u);
  REQUIRE_EQ(outcome(fs.drop("/a")), "ok");
  fs.check_sound();
  CHECK(fs.sparse().empty());  // garbage
  CHECK_EQ(fs.garbage(), 1u);
}

TEST_CASE("exactly half of a block is enough to leave it alone") {
  Compacting fs;
  const auto block = fs.begun();
  REQUIRE_EQ(fs.pack("/a", block, 0, 500), "ok");
  fs.settle(block, 1000);
  CHECK(fs.sparse().empty());
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/a", .length = 499})), "ok");
  CHECK_EQ(fs.sparse().size(), 1u);
}

TEST_CASE("moved bytes are of the other block, the file is the same, the last leaves garbage") {
  Compacting fs;
  const auto [from, to] = fs.two();
  const BlockId old = from.block.block;
  const auto before = fs.machine.stat("/a").value();
  const uint64_t name = fs.machine.locate("/a", {})->contents;
  CHECK_EQ(fs.move_bytes(fs.move_of("/a", to, 50)), "ok");
  CHECK((fs.machine.stat("/a").value() == before));
  CHECK_EQ(fs.machine.locate("/a", {})->contents, name);
  CHECK_EQ(fs.block_of("/a").block, to.block.block);
  CHECK_EQ(fs.block_of("/a").block_offset, 50u);
  CHECK_EQ(fs.block_of("/a").length, 100u);
  CHECK_EQ(fs.referrers(old), "100+300 , 400+600 ");
  CHECK_EQ(fs.move_bytes(fs.move_of("/b", to, 150)), "ok");
  CHECK_EQ(fs.garbage(), 0u);
  CHECK_EQ(fs.machine.counters().packed_bytes, 1000u);
  const auto last = fs.move_of("/c", to, 450);
  CHECK_EQ(fs.move_bytes(last), "ok");
  CHECK_EQ(fs.garbage(), 1u);
  CHECK_EQ(fs.referrers(old), "not_found");
  CHECK_EQ(fs.move_bytes(last), "not_found");
  CHECK_EQ(fs.machine.counters().packed_bytes, 1000u);
  CHECK_EQ(fs.machine.counters().pack_bytes, 0u);

  // What was moved is never cut off, and may be moved again.
  REQUIRE_EQ(outcome(fs.seal(to)), "ok");
  CHECK_EQ(outcome(fs.fix(to, 1049)), "precondition");
  REQUIRE_EQ(outcome(fs.fix(to, 1050)), "ok");
  fs.convert(to.block.block);
  fs.forget_formers();
  const auto third = fs.begun(2);
  CHECK_EQ(fs.move_bytes(fs.move_of("/c", third, 0)), "ok");
}

TEST_CASE(
    "a move that comes twice, or for what is not so any more, is refused and changes nothing") {
  Compacting fs;
  const auto [from, to] = fs.two();
  const auto move = fs.move_of("/b", to, 0);
  const auto refused = [&](const MovePacked& wrong) {
    const auto rows = fs.machine.tables().rows().digest();
    const auto out = fs.move_bytes(wrong);
    CHECK_EQ(fs.machine.tables().rows().digest(), rows);
    return out;
  };
  auto wrong = move;
  wrong.length = 0;
  CHECK_EQ(refused(wrong), "invalid");
  wrong.length = 299;  // a part of the extent
  CHECK_EQ(refused(wrong), "precondition");
  wrong.length = 301;
  CHECK_EQ(refused(wrong), "precondition");
  wrong = move;
  wrong.from_offset = 101;
  CHECK_EQ(refused(wrong), "precondition");
  wrong = move;
  wrong.file = fs.file_of("/a");
  CHECK_EQ(refused(wrong), "precondition");
  wrong.file.file = InodeId(999);
  CHECK_EQ(refused(wrong), "not_found");
  wrong = move;
  wrong.from = BlockId(999);
  CHECK_EQ(refused(wrong), "not_found");
  wrong.from = to.block.block;  // takes records itself
  CHECK_EQ(refused(wrong), "precondition");
  wrong = move;
  wrong.block = from.block.block;  // is converted, and takes nothing any more
  CHECK_EQ(refused(wrong), "unavailable");
  wrong.block = BlockId(999);
  CHECK_EQ(refused(wrong), "unavailable");
  wrong = move;
  wrong.pack.file = InodeId(999);
  CHECK_EQ(refused(wrong), "unavailable");
  wrong = move;
  wrong.block_offset = limits::kMiB - 299;
  CHECK_EQ(refused(wrong), "unavailable");
  wrong.block_offset = UINT64_MAX;
  CHECK_EQ(refused(wrong), "unavailable");
  const auto other = fs.open(0, "rep-3");
  REQUIRE_EQ(outcome(other), "ok");
  REQUIRE_EQ(outcome(fs.begin_append(std::get<AppendOpened>(*other))), "ok");
  wrong = fs.move_of("/b", std::get<AppendOpened>(*other), 0);  // of another policy
  CHECK_EQ(refused(wrong), "unavailable");

  CHECK_EQ(fs.move_bytes(move), "ok");
  CHECK_EQ(refused(move), "precondition");
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/c", .length = 10})), "ok");
  auto late = fs.move_of("/c", to, 300);
  late.length = 600;  // as it was before it was cut
  CHECK_EQ(refused(late), "precondition");
  const auto gone = fs.move_of("/a", to, 300);
  REQUIRE_EQ(outcome(fs.remove("/a")), "ok");
  REQUIRE(fs.machine.removal_pending());
  CHECK_EQ(refused(gone), "not_found");  // it is being taken apart
}

TEST_CASE("only sealed and converted blocks of packs are moved from") {
  Compacting fs;
  const auto from = fs.begun();
  const auto to = fs.begun(1);
  REQUIRE_EQ(fs.pack("/a", from, 0, 100), "ok");
  const auto move = fs.move_of("/a", to, 0);
  CHECK_EQ(fs.move_bytes(move), "precondition");
  REQUIRE_EQ(outcome(fs.seal(from)), "ok");
  REQUIRE_EQ(outcome(fs.fix(from, 300)), "ok");
  CHECK_EQ(fs.move_bytes(move), "precondition");
  CHECK_EQ(fs.referrers(from.block.block), "precondition");
  fs.convert(from.block.block);
  CHECK_EQ(fs.move_bytes(move), "precondition");
  fs.forget_formers();
  REQUIRE_EQ(outcome(fs.put("/plain", {500})), "ok");
  const auto plain = fs.move_of("/plain", to, 0);
  CHECK_EQ(fs.move_bytes(plain), "precondition");
  CHECK_EQ(fs.referrers(plain.from), "precondition");
  CHECK_EQ(fs.move_bytes(move), "ok");
}

TEST_CASE("copies, cut and joined files are moved stretch by stretch") {
  Compacting fs;
  const auto [from, to] = fs.two();
  const BlockId old = from.block.block;
  for (const char* copy : {"/copy", "/cut", "/joined", "/twice"}) {
    REQUIRE_EQ(outcome(fs.ask(Copy{.from = "/b", .to = copy, .version = {}})), "ok");
  }
  REQUIRE_EQ(outcome(fs.ask(Truncate{.path = "/cut", .length = 10})), "ok");
  REQUIRE_EQ(outcome(fs.ask(Concatenate{.path = "/joined", .sources = {"/a", "/twice"}})), "ok");
  REQUIRE_EQ(outcome(fs.drop("/c")), "ok");
  fs.check_sound();
  CHECK_EQ(fs.referrers(old), "100+300 , 100+300 , 100+10 , 0+100 100+300 ");

  // /joined is b a b: both of its equal extents go at once.
  MovePacked move{.file = fs.file_of("/joined"),
                  .from = old,
                  .from_offset = 100,
                  .length = 300,
                  .pack = to.file,
                  .block = to.block.block,
                  .block_offset = 0};
  CHECK_EQ(fs.move_bytes(move), "ok");
  CHECK_EQ(fs.move_bytes(move), "precondition");
  const auto joined = fs.machine.locate("/joined", {});
  REQUIRE_EQ(joined->blocks.size(), 3u);
  CHECK_EQ(joined->blocks[0].block, to.block.block);
  CHECK_EQ(joined->blocks[1].block, old);
  CHECK_EQ(joined->blocks[2].block, to.block.block);
  CHECK_EQ(joined->blocks[2].file_offset, 400u);
  move.from_offset = 0;
  move.length = 100;
  move.block_offset = 300;
  CHECK_EQ(fs.move_bytes(move), "ok");
  // Others have the bytes that are stored already.
  CHECK_EQ(fs.move_bytes(fs.move_of("/b", to, 0)), "ok");
  CHECK_EQ(fs.move_bytes(fs.move_of("/copy", to, 0)), "ok");
  CHECK_EQ(fs.garbage(), 0u);
  CHECK_EQ(fs.move_bytes(fs.move_of("/cut", to, 0)), "ok");
  CHECK_EQ(fs.garbage(), 1u);
  REQUIRE_EQ(outcome(fs.drop("/joined")), "ok");
}

TEST_CASE("files in the trash, and those that are appended to, are moved like others") {
  Compacting fs;
  const auto [from, to] = fs.two();
  REQUIRE_EQ(outcome(fs.ask(SetTrash{.seconds = 1000})), "ok");
  const auto removed = fs.move_of("/a", to, 0);
  REQUIRE_EQ(outcome(fs.remove("/a")), "ok");
  CHECK_EQ(fs.move_bytes(removed), "ok");
  const auto appended = fs.move_of("/b", to, 100);
  const auto opened =
      fs.ask(OpenAppend{.path = "/b", .create = false, .policy = {}, .attributes = {}});
  REQUIRE_EQ(outcome(opened), "ok");
  CHECK_EQ(fs.move_bytes(appended), "ok");
  const auto location = fs.machine.locate("/b", {});
  REQUIRE_EQ(location->blocks.size(), 2u);
  CHECK_EQ(location->blocks[0].block, to.block.block);
  CHECK(location->blocks[1].open_end());
  CHECK_EQ(fs.referrers(from.block.block), "400+600 ");
}

TEST_CASE("who has bytes of a block is told in pages, and to nobody who names himself") {
  Compacting fs;
  const auto block = fs.begun();
  const size_t files = limits::kReferrersPerAnswer + 10;
  for (size_t i = 0; i < files; ++i) {
    REQUIRE_EQ(outcome(fs.ask(Packs::small(fmt::format("/{}", i), block, i, 1))), "ok");
  }
  fs.settle(block, files);
  const BlockId id = block.block.block;
  const auto first = fs.machine.referrers(id, {});
  REQUIRE(first.has_value());
  CHECK_EQ(first->block.block, id);
  CHECK_EQ(first->block.length, files);
  CHECK_EQ(first->block.block_length, files);
  CHECK_EQ(first->block.shards.size(), 6u);
  CHECK_EQ(first->files.size(), limits::kReferrersPerAnswer);
  CHECK(first->more);
  CHECK_EQ(first->last, first->files.back().file.file);
  const auto second = fs.machine.referrers(id, first->last);
  REQUIRE(second.has_value());
  CHECK_EQ(second->files.size(), 10u);
  CHECK_FALSE(second->more);
  CHECK(first->files.back().file.file < second->files.front().file.file);
  const Asker ada{.user = "ada", .groups = {}};
  CHECK_EQ(fs.machine.answer(ReferrersQuery{.block = id, .after = {}}, &ada).error().code,
           Code::kDenied);
  CHECK(fs.machine.answer(ReferrersQuery{.block = id, .after = {}}).has_value());
}

TEST_CASE(
    "a page of those who have bytes of a block ends, too, behind a file with several stretches") {
  Compacting fs;
  const auto block = fs.begun();
  const size_t files = limits::kReferrersPerAnswer + 10;
  for (size_t i = 0; i < files; ++i) {
    REQUIRE_EQ(outcome(fs.ask(Packs::small(fmt::format("/{}", i), block, i, 1))), "ok");
  }
  fs.settle(block, files);
  // The file that the page would end with gets the stretch of another.
  const auto last = fmt::format("/{}", limits::kReferrersPerAnswer - 1);
  REQUIRE_EQ(outcome(fs.ask(
                 Concatenate{.path = last, .sources = {fmt::format("/{}", files - 1)}, .at = {}})),
             "ok");
  const auto first = fs.machine.referrers(block.block.block, {});
  REQUIRE(first.has_value());
  CHECK(first->more);
  CHECK_LE(first->files.size(), limits::kReferrersPerAnswer);
  CHECK_EQ(first->files.back().ranges.size(), 2u);
  const auto second = fs.machine.referrers(block.block.block, first->last);
  REQUIRE(second.has_value());
  CHECK_FALSE(second->more);
  CHECK_EQ(first->files.size() + second->files.size(), files - 1);
}

TEST_CASE("bytes are not moved for who names himself") {
  Compacting fs;
  const auto [from, to] = fs.two();
  const auto move = fs.move_of("/a", to, 50);
  const auto refused = fs.apply({.client = {},
                                 .request = {},
                                 .acknowledged_below = {},
                                 .wall = {},
                                 .operation = move,
                                 .asker = Asker{.user = "ada", .groups = {}}});
  CHECK_EQ(outcome(refused), "denied");
  CHECK_EQ(fs.block_of("/a").block, from.block.block);
}

TEST_CASE("nothing is moved before the cluster's version allows it") {
  Compacting fs(3);
  const auto [from, to] = fs.two();
  const auto move = fs.move_of("/a", to, 0);
  CHECK_EQ(fs.move_bytes(move), "unsupported");
  REQUIRE_EQ(outcome(fs.lead(SetClusterVersion{.version = 4})), "ok");
  CHECK_EQ(fs.move_bytes(move), "ok");
}

}  // namespace dogfs::metadata
