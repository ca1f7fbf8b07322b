#include <string>
#include <vector>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

// The leader counts so many seconds. Returns how many names went.
uint32_t pass(ClusterFixture& fs, uint64_t seconds) {
  uint64_t from = fs.machine.trash_clock();
  uint32_t gone = 0;
  for (uint64_t to = from + seconds;; from = to) {
    const auto step = fs.lead(AdvanceTrash{.from = from, .to = to});
    REQUIRE(step.has_value());
    gone += std::get<StepTaken>(*step).entries;
    if (!std::get<StepTaken>(*step).more) break;
  }
  while (fs.machine.removal_pending()) REQUIRE(fs.lead(RemoveStep{.limit = 5}).has_value());
  const auto sound = check_invariants(fs.machine);
  CHECK_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
  return gone;
}

std::string only_name(const ClusterFixture& fs, const std::string& path) {
  const auto listing = fs.machine.list(path, "", 2);
  REQUIRE(listing.has_value());
  REQUIRE_EQ(listing->entries.size(), 1u);
  return listing->entries[0].name;
}

void turn_on(ClusterFixture& fs, uint64_t seconds) {
  REQUIRE(fs.ask(SetTrash{.seconds = seconds}).has_value());
}

TEST_CASE("without a trash, which is how a cluster begins, what is removed is gone") {
  ClusterFixture fs;
  REQUIRE(fs.put_inline("/f", "x").has_value());
  REQUIRE(fs.remove("/f").has_value());
  CHECK_EQ(fs.names("/"), "");
  CHECK_EQ(fs.machine.counters().files, 0u);
  CHECK_FALSE(fs.machine.trash_pending());
}

TEST_CASE("what is removed lies in the trash whole, and can be taken back") {
  ClusterFixture fs;
  turn_on(fs, 100);
  REQUIRE(fs.make_directory("/d/e", true).has_value());
  REQUIRE(fs.put("/d/e/f", {100}).has_value());
  CHECK_EQ(outcome(fs.remove("/d")), "precondition");
  REQUIRE(fs.remove("/d", true).has_value());
  CHECK_EQ(fs.names("/"), ".trash/");
  CHECK(fs.machine.trash_pending());
  CHECK_EQ(pass(fs, 99), 0u);
  const std::string name = only_name(fs, "/.trash");
  CHECK(name.ends_with("-d"));
  REQUIRE_EQ(outcome(fs.move("/.trash/" + name, "/back")), "ok");
  CHECK_EQ(fs.names("/back/e"), "f");
  CHECK_EQ(pass(fs, 1000), 0u);
  CHECK_EQ(fs.machine.counters().files, 1u);
  CHECK_EQ(fs.machine.use("/back")->use.bytes, 100u);
}

TEST_CASE("what was not taken back in time goes for good, the oldest first") {
  ClusterFixture fs;
  turn_on(fs, 100);
  for (const char* path : {"/a", "/b"}) {
    REQUIRE(fs.put(path, {100}).has_value());
    REQUIRE(fs.remove(path).has_value());
    pass(fs, 60);
  }
  CHECK(only_name(fs, "/.trash").ends_with("-b"));
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
  CHECK_EQ(pass(fs, 39), 0u);
  CHECK_EQ(pass(fs, 1), 1u);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 2u);
  CHECK_FALSE(fs.machine.trash_pending());
}

TEST_CASE("removed forever, or out of the trash, is gone at once") {
  ClusterFixture fs;
  turn_on(fs, 100);
  REQUIRE(fs.put_inline("/f", "x").has_value());
  REQUIRE(fs.ask(Remove{.path = "/f", .recursive = false, .forever = true}).has_value());
  CHECK_EQ(fs.names("/"), "");
  REQUIRE(fs.put_inline("/f", "x").has_value());
  REQUIRE(fs.remove("/f").has_value());
  REQUIRE(fs.remove("/.trash/" + only_name(fs, "/.trash")).has_value());
  CHECK_EQ(fs.names("/.trash"), "");
  REQUIRE(fs.put_inline("/f", "x").has_value());
  REQUIRE(fs.remove("/f").has_value());
  REQUIRE(fs.remove("/.trash", true).has_value());
  CHECK_EQ(fs.names("/"), "");
  pass(fs, 1);
  CHECK_EQ(fs.machine.counters().files, 0u);
}

TEST_CASE("trash counts for no quota, and one that is turned off is emptied") {
  ClusterFixture fs;
  turn_on(fs, 100);
  REQUIRE(fs.make_directory("/q").has_value());
  REQUIRE(fs.put("/q/f", {100}).has_value());
  REQUIRE(fs.ask(SetQuota{.path = "/q", .quota = {.bytes = 100, .entries = 1}}).has_value());
  REQUIRE(fs.remove("/q/f").has_value());
  CHECK_EQ(outcome(fs.put("/q/g", {100})), "ok");
  CHECK_EQ(outcome(fs.move("/.trash/" + only_name(fs, "/.trash"), "/q/f")), "no_space");
  turn_on(fs, 0);
  CHECK_EQ(pass(fs, 0), 1u);
}

TEST_CASE("names of any length fit, cut between characters, and strange ones stop nothing") {
  ClusterFixture fs;
  turn_on(fs, 100);
  std::string name;
  while (name.size() + 3 <= limits::kNameBytesMax) name += "\xe2\x82\xac";
  REQUIRE(fs.put_inline("/" + name, "x").has_value());
  REQUIRE(fs.remove("/" + name).has_value());
  CHECK_LE(only_name(fs, "/.trash").size(), limits::kNameBytesMax);
  CHECK(fs.machine.stat("/.trash/" + only_name(fs, "/.trash")).has_value());
  CHECK_EQ(pass(fs, 100), 1u);
}

// A cluster that had the directory when it was none of the trash's, with these names in it.
ClusterFixture with_names(const std::vector<std::string>& names) {
  ClusterFixture fs(6, "rs-4-2", 1);
  REQUIRE(fs.make_directory("/.trash").has_value());
  for (const std::string& name : names) {
    REQUIRE_EQ(outcome(fs.make_directory("/.trash/" + name)), "ok");
  }
  REQUIRE(fs.lead(SetClusterVersion{.version = 2}).has_value());
  return fs;
}

TEST_CASE("names that no removal gave are left alone, and stop none from going") {
  std::vector<std::string> names = {"0",
                                    "000000000000",
                                    "000000000000!",
                                    "000000000000x",
                                    "000000000000\xc3\xa9",
                                    "00000000000A-b",
                                    "00000000001\xc3\xa9",
                                    "000\xc3\xa9",
                                    "fffffffffff",
                                    "ffffffffffffg",
                                    "zzz",
                                    "\xc3\xa9"};
  for (size_t i = 0; i <= limits::kRemoveStepMax; ++i) names.push_back(fmt::format("!{:04}", i));
  ClusterFixture fs = with_names(names);
  turn_on(fs, 100);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(fs.put_inline("/f", "x").has_value());
    REQUIRE_EQ(outcome(fs.remove("/f")), "ok");
    pass(fs, i % 3);
  }
  CHECK_EQ(fs.machine.use("/.trash")->use.entries, names.size() + 20);
  CHECK_EQ(pass(fs, 100), 20u);
  CHECK_EQ(fs.machine.use("/.trash")->use.entries, names.size());
  CHECK(fs.machine.stat("/.trash/000\xc3\xa9").has_value());
}

TEST_CASE("nothing is made or moved into the trash by hand, nor in its place") {
  ClusterFixture fs;
  turn_on(fs, 100);
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put_inline("/f", "x").has_value());
  CHECK_EQ(outcome(fs.make_directory("/.trash")), "invalid");
  CHECK_EQ(outcome(fs.put_inline("/.trash", "x")), "invalid");
  CHECK_EQ(outcome(fs.move("/d", "/.trash")), "invalid");
  CHECK_EQ(fs.names("/"), "d/ f");
  REQUIRE(fs.put_inline("/g", "x").has_value());
  REQUIRE_EQ(outcome(fs.remove("/g")), "ok");
  for (const std::string& path :
       {std::string("/.trash/x"), "/.trash/" + only_name(fs, "/.trash")}) {
    CHECK_EQ(outcome(fs.put_inline(path, "x")), "invalid");
    CHECK_EQ(outcome(fs.put(path, {10})), "invalid");
    CHECK_EQ(outcome(fs.move("/f", path)), "invalid");
    CHECK_EQ(outcome(fs.ask(Copy{.from = "/f", .to = path, .version = {}})), "invalid");
  }
  CHECK_EQ(outcome(fs.make_directory("/.trash/x", true)), "invalid");
  CHECK_EQ(outcome(fs.make_directory("/.trashy")), "ok");
  CHECK_EQ(outcome(fs.make_directory("/d/.trash")), "ok");
}

TEST_CASE("a file in the place of the trash makes no removal final: it is refused") {
  ClusterFixture fs(6, "rs-4-2", 1);
  REQUIRE(fs.put("/.trash", {10}).has_value());
  REQUIRE(fs.put("/f", {10}).has_value());
  REQUIRE(fs.lead(SetClusterVersion{.version = 2}).has_value());
  CHECK_EQ(outcome(fs.ask(SetTrash{.seconds = 100})), "precondition");
  CHECK_EQ(outcome(fs.ask(SetTrash{.seconds = 0})), "ok");
  CHECK_EQ(outcome(fs.move("/.trash", "/away")), "ok");
  turn_on(fs, 100);
  CHECK_EQ(outcome(fs.remove("/f")), "ok");
  CHECK_EQ(fs.names("/"), ".trash/ away");
}

const Asker kAda{.user = "ada", .groups = {"crew"}};
const Asker kOdd{.user = "../a-b", .groups = {"crew"}};

TEST_CASE("who removed something takes it back, and nobody else reaches it") {
  const Asker* const people[] = {&kAda, &kOdd};
  for (const bool first : {false, true}) {
    const Asker& owner = *people[first ? 0 : 1];
    const Asker& other = *people[first ? 1 : 0];
    ClusterFixture fs;
    turn_on(fs, 100);
    REQUIRE(ask_as(fs, other, MakeDirectory{.path = "/o", .policy = {}}).has_value());
    REQUIRE(ask_as(fs, other, Remove{.path = "/o"}).has_value());  // the first to remove
    pass(fs, 1);
    REQUIRE(ask_as(fs, owner, MakeDirectory{.path = "/d", .policy = {}}).has_value());
    REQUIRE(fs.put_inline("/d/f", "x").has_value());
    REQUIRE_EQ(outcome(ask_as(fs, owner, Remove{.path = "/d", .recursive = true})), "ok");
    const auto listing = fs.machine.list("/.trash", "", 10, &other);
    REQUIRE(listing.has_value());
    REQUIRE_EQ(listing->entries.size(), 2u);
    const std::string path = "/.trash/" + listing->entries[1].name;
    CHECK(path.ends_with("-d"));
    for (const std::string& at : {path, path + "/f"}) {
      CAPTURE(at);
      CHECK_EQ(fs.machine.stat(at, &other).error().code, Code::kDenied);
      CHECK(fs.machine.stat(at, &owner).has_value());
      CHECK_EQ(outcome(ask_as(fs, other, Rename{.from = at, .to = "/mine"})), "denied");
      CHECK_EQ(outcome(ask_as(fs, other, Remove{.path = at, .recursive = true})), "denied");
    }
    CHECK_EQ(fs.machine.list(path, "", 10, &other).error().code, Code::kDenied);
    CHECK_EQ(outcome(ask_as(fs, owner, Rename{.from = path, .to = "/back"})), "ok");
    CHECK_EQ(fs.names("/back"), "f");
    // The cluster's own may take anything.
    CHECK_EQ(outcome(fs.move("/.trash/" + only_name(fs, "/.trash"), "/o")), "ok");
  }
}

TEST_CASE("the trash itself is nobody's to take, and what the cluster's own removed is its own") {
  ClusterFixture fs = with_names({});
  SetAttributes owned;
  owned.path = "/.trash";
  owned.owner = "odd";
  REQUIRE(fs.ask(owned).has_value());  // who made it when it was no trash yet
  turn_on(fs, 100);
  REQUIRE(fs.put_inline("/f~ada-x", "x").has_value());
  REQUIRE(fs.remove("/f~ada-x").has_value());
  CHECK(fs.machine.stat("/.trash")->inode.owner.empty());
  const std::string path = "/.trash/" + only_name(fs, "/.trash");
  CHECK_EQ(outcome(ask_as(fs, kAda, Rename{.from = path, .to = "/mine"})), "denied");
  CHECK_EQ(outcome(ask_as(fs, kAda, Rename{.from = "/.trash", .to = "/mine"})), "denied");
  CHECK_EQ(outcome(ask_as(fs, kAda, Remove{.path = "/.trash", .recursive = true})), "denied");
  owned.owner = "ada";
  CHECK_EQ(outcome(ask_as(fs, kAda, owned)), "denied");
  CHECK_EQ(outcome(fs.move(path, "/f")), "ok");
}

TEST_CASE(
    "the clock moves once for each count, and more than a step can drop is left for the next") {
  ClusterFixture fs;
  turn_on(fs, 1);
  CHECK_EQ(outcome(fs.lead(AdvanceTrash{.from = 5, .to = 6})), "precondition");
  CHECK_EQ(outcome(fs.lead(AdvanceTrash{.from = 0, .to = UINT64_MAX})), "invalid");
  const size_t count = limits::kTrashStepMax + 50;
  for (size_t i = 0; i < count; ++i) {
    REQUIRE(fs.put_inline("/f", "x").has_value());
    REQUIRE(fs.remove("/f").has_value());
  }
  const auto step = fs.lead(AdvanceTrash{.from = 0, .to = 1});
  CHECK_EQ(std::get<StepTaken>(*step).entries, limits::kTrashStepMax);
  CHECK(std::get<StepTaken>(*step).more);
  CHECK_EQ(outcome(fs.lead(AdvanceTrash{.from = 0, .to = 1})), "precondition");
  CHECK_EQ(pass(fs, 0), 50u);
}

}  // namespace
}  // namespace dogfs::metadata
