#include "sim/check/durability.h"

#include "sim/check/floors.h"

#include "tests/sim/check/forged_history.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

uint64_t losses(const Forged& forged, const FinalReads& reads) {
  Violations violations;
  check_durability(forged.history, reads, violations);
  return violations.count(Oracle::kDurability);
}

TEST_CASE("an acknowledged file that is missing, unreadable, other or not read is a loss") {
  Forged forged;
  forged.put("/a", "one", 1);
  CHECK_EQ(losses(forged, {{"/a", content_of("one")}}), 0);
  CHECK_EQ(losses(forged, {{"/a", fail(Code::kNotFound, "")}}), 1);
  CHECK_EQ(losses(forged, {{"/a", fail(Code::kCorrupt, "")}}), 1);
  CHECK_EQ(losses(forged, {{"/a", content_of("two")}}), 1);
  CHECK_EQ(losses(forged, {}), 1);
}

TEST_CASE("an acknowledged overwrite, rename or removal moves the demand") {
  Forged forged;
  forged.put("/d/a", "one", 1);
  forged.put("/d/a", "two", 2);
  forged.put("/c", "three", 3);
  forged.rename("/d", "/e", 4);
  forged.remove("/c", 5);
  CHECK_EQ(losses(forged, {{"/e/a", content_of("two")}}), 0);
  CHECK_EQ(losses(forged, {{"/e/a", content_of("one")}}), 1);
  CHECK_EQ(losses(forged, {{"/d/a", content_of("two")}}), 1);
}

TEST_CASE("nothing is demanded where an unknown operation may still act") {
  Forged forged;
  forged.put("/d/a", "one", 1);
  forged.put("/b", "two", 2);
  forged.unknown(forged.begin({.act = Act::kRemove, .path = "/d", .recursive = true}));
  CHECK_EQ(losses(forged, {{"/b", content_of("two")}}), 0);
  CHECK_EQ(losses(forged, {}), 1);
  forged.unknown(forged.begin({.act = Act::kRename, .path = "/x", .to = "/b"}));
  CHECK_EQ(losses(forged, {}), 0);
}

// The first put was applied at 10, but its reply was lost; its repetition was answered at 20.
Forged answered_late() {
  Forged forged;
  const size_t first = forged.begin({.act = Act::kPut, .path = "/d/a"});
  forged.history.at(first).content = content_of("one");
  const size_t second = forged.begin({.act = Act::kPut, .path = "/d/a"});
  forged.history.at(second).content = content_of("two");
  forged.done(second, 15);
  forged.done(first, 20);
  return forged;
}

TEST_CASE("positions do not order changes of a file that ran at the same time") {
  Forged forged = answered_late();
  CHECK_EQ(losses(forged, {{"/d/a", content_of("two")}}), 0);
  CHECK_EQ(losses(forged, {{"/d/a", content_of("one")}}), 0);
  forged.rename("/d", "/e", 25);  // nor what came of them
  CHECK_EQ(losses(forged, {{"/e/a", content_of("two")}}), 0);
  forged.put("/e/a", "three", 30);
  CHECK_EQ(losses(forged, {{"/e/a", content_of("two")}}), 1);
}

TEST_CASE("changes of other files at the same time take no demand away") {
  Forged forged;
  const size_t other = forged.begin({.act = Act::kRename, .path = "/d/ab", .to = "/d/ac"});
  const size_t parent = forged.begin({.act = Act::kMakeDirectory, .path = "/d", .parents = true});
  forged.put("/d/a", "one", 1);
  forged.done(other, 2);
  forged.done(parent, 3);
  CHECK_EQ(losses(forged, {}), 1);
}

TEST_CASE("a file under a directory that was renamed at the same time is not demanded") {
  Forged forged;
  forged.put("/d/a", "one", 1);
  const size_t rename = forged.begin({.act = Act::kRename, .path = "/d", .to = "/e"});
  forged.put("/d/a", "two", 2);
  forged.done(rename, 3);
  CHECK_EQ(losses(forged, {{"/e/a", content_of("one")}}), 0);
  CHECK_EQ(losses(forged, {}), 0);
}

TEST_CASE("bytes that no put wrote, or not yet, are wrong") {
  const auto wrong = [](const Forged& forged) {
    Violations violations;
    check_bytes(forged.history, {}, violations);
    return violations.count(Oracle::kWrongBytes);
  };
  Forged forged;
  forged.get("/a", "early", 0);
  CHECK_EQ(wrong(forged), 1);
  forged.put("/a", "early", 1);
  CHECK_EQ(wrong(forged), 1);
  forged.get("/a", "early", 1);
  CHECK_EQ(wrong(forged), 1);
  forged.get("/a", "earl", 1);
  CHECK_EQ(wrong(forged), 2);
}

TEST_CASE("a get that finds damage within the budget is a loss at once") {
  const auto damages = [](const Forged& forged) {
    Violations violations;
    check_damage(forged.history, violations);
    return violations.count(Oracle::kDurability);
  };
  Forged forged;
  forged.put("/a", "one", 1);
  forged.put("/b", "two", 2);
  forged.refused(forged.begin({.act = Act::kGet, .path = "/a"}), Code::kUnavailable);
  CHECK_EQ(damages(forged), 0);
  const size_t replaced = forged.begin({.act = Act::kGet, .path = "/a"});
  forged.put("/a", "new", 3);
  forged.refused(replaced, Code::kCorrupt);
  CHECK_EQ(damages(forged), 0);
  const size_t beside = forged.begin({.act = Act::kGet, .path = "/a"});
  forged.put("/b", "new", 4);
  forged.refused(beside, Code::kCorrupt);
  CHECK_EQ(damages(forged), 1);
}

TEST_CASE("a range below a floor is told, a short range is not judged") {
  CHECK(below_floors({}, kFloorSeedsMin - 1).empty());
  const auto shortfalls = below_floors({}, kFloorSeedsMin);
  CHECK_EQ(shortfalls.size(), floors().size());
  Tally plenty;
  for (const Floor& floor : floors()) plenty[std::string(floor.figure)] = floor.per_thousand_seeds;
  CHECK(below_floors(plenty, 1000).empty());
  plenty.begin()->second -= 1;
  CHECK_EQ(below_floors(plenty, 1000).size(), 1);
}

TEST_CASE("what oracles gave up too often is told") {
  Tally tally;
  for (const Floor& ceiling : ceilings())
    tally[std::string(ceiling.figure)] = ceiling.per_thousand_seeds;
  CHECK(above_ceilings(tally, 1000).empty());
  tally.begin()->second += 1;
  CHECK_EQ(above_ceilings(tally, 1000).size(), 1);
  CHECK(above_ceilings(tally, kFloorSeedsMin - 1).empty());
}

TEST_CASE("an acknowledged cut or join changes what is demanded, to the byte") {
  Forged forged;
  forged.put_made("/a", 40, 1, 1);
  forged.put_made("/b", 30, 2, 2);
  forged.truncate("/a", 20, 3);
  CHECK_EQ(losses(forged, {{"/a", Forged::made(20, 1)}, {"/b", Forged::made(30, 2)}}), 0);
  CHECK_EQ(losses(forged, {{"/a", Forged::made(40, 1)}, {"/b", Forged::made(30, 2)}}), 1);
  forged.concatenate("/a", {"/b"}, 4);
  const Content whole =
      content_of(std::string(make_bytes(20, 1).text()) + std::string(make_bytes(30, 2).text()));
  CHECK_EQ(losses(forged, {{"/a", whole}}), 0);
  CHECK_EQ(losses(forged, {{"/a", Forged::made(20, 1)}}), 1);
}

TEST_CASE("a join that may yet be done takes all demands on its parts away") {
  Forged forged;
  forged.put_made("/a", 40, 1, 1);
  forged.put_made("/b", 30, 2, 2);
  forged.put_made("/c", 30, 3, 3);
  Operation join{.act = Act::kConcatenate, .path = "/a"};
  join.sources = {"/b"};
  forged.unknown(forged.begin(join));
  CHECK_EQ(losses(forged, {{"/c", Forged::made(30, 3)}}), 0);
  CHECK_EQ(losses(forged, {}), 1);
  forged.concatenate("/c", {"/b"}, 4);  // of which nobody knows the whole
  CHECK_EQ(losses(forged, {}), 0);
}

TEST_CASE("bytes that were made of those of puts are not wrong, others are") {
  Forged forged;
  forged.put_made("/a", 40, 1, 1);
  forged.get("/a", Forged::made(20, 1), 1);
  Pieces half = pieces_of(forged.history.at(0));
  half.cut(20);
  for (const auto& [made, wrong] :
       {std::pair(std::vector<Pieces>{half}, 0), std::pair(std::vector<Pieces>(), 1)}) {
    Violations violations;
    check_bytes(forged.history, made, violations);
    CHECK_EQ(violations.count(Oracle::kWrongBytes), wrong);
  }
}

TEST_CASE("a quota that may yet be set takes no demand away") {
  Forged forged;
  forged.put_made("/d/a", 40, 1, 1);
  forged.unknown(forged.begin({.act = Act::kSetQuota, .path = "/d"}));
  CHECK_EQ(losses(forged, {}), 1);
}

}  // namespace
}  // namespace dogfs::sim
