#include <algorithm>
#include <string>
#include <vector>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

void check_sound(const ClusterFixture& fs) {
  const auto sound = check_invariants(fs.machine);
  CHECK_MESSAGE(sound.has_value(), (sound ? std::string() : sound.error().message));
}

TEST_CASE("mkdir answers as POSIX does") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f").has_value());
  struct Row {
    const char* path;
    bool parents;
    const char* outcome;
  };
  for (const Row& row :
       {Row{"/a", false, "ok"}, Row{"/a", false, "exists"}, Row{"/a", true, "ok"},
        Row{"/x/y", false, "not_found"}, Row{"/x/y/z", true, "ok"}, Row{"/x/y", true, "ok"},
        Row{"/f", false, "exists"}, Row{"/f", true, "exists"}, Row{"/f/a", false, "precondition"},
        Row{"/f/a", true, "precondition"}, Row{"/", false, "exists"}, Row{"/", true, "ok"},
        Row{"a", false, "invalid"}, Row{"/a/", false, "invalid"}, Row{"/a/..", false, "invalid"}}) {
    CAPTURE(row.path);
    CAPTURE(row.parents);
    CHECK_EQ(outcome(fs.make_directory(row.path, row.parents)), row.outcome);
  }
  CHECK_EQ(fs.names("/"), "a/ f x/");
  CHECK_EQ(fs.names("/x"), "y/");
  CHECK_EQ(fs.names("/x/y"), "z/");
  check_sound(fs);
}

TEST_CASE("a directory's policy holds for what is made below it") {
  ClusterFixture fs;
  const auto rep3 = placement::Policy::parse("rep-3").value();
  CHECK_EQ(outcome(fs.ask(MakeDirectory{.path = "/r", .parents = false, .policy = rep3})), "ok");
  REQUIRE(fs.make_directory("/r/deep").has_value());
  REQUIRE(fs.put("/r/deep/f", {10}).has_value());
  REQUIRE(fs.put("/g", {10}).has_value());
  CHECK_EQ(fs.machine.stat("/r/deep/f")->policy.text(), "rep-3");
  CHECK_EQ(fs.machine.stat("/r/deep")->policy.text(), "rep-3");
  CHECK_EQ(fs.machine.stat("/g")->policy.text(), "rs-4-2");
  CHECK_EQ(fs.machine.stat("/")->policy.text(), "rs-4-2");
  const MakeDirectory again{.path = "/r", .parents = true, .policy = rep3};
  CHECK_EQ(outcome(fs.ask(again)), "ok");
  const MakeDirectory other{.path = "/r/deep", .parents = true, .policy = rep3};
  CHECK_EQ(outcome(fs.ask(other)), "exists");
}

TEST_CASE("a policy that the cluster is too small for is refused") {
  ClusterFixture fs(6);
  const auto wide = placement::Policy::parse("rs-6-3").value();
  const auto reply = fs.ask(MakeDirectory{.path = "/w", .parents = false, .policy = wide});
  CHECK_EQ(outcome(reply), "precondition");
  CHECK_NE(reply.error().message.find("too small for rs-6-3"), std::string::npos);
  CHECK_EQ(fs.names("/"), "");
}

TEST_CASE("rename answers as POSIX does") {
  struct Row {
    const char* from;
    const char* to;
    const char* outcome;
  };
  // Before each: /f /g (files), /d/ (empty), /e/ (empty), /full/x (file), /full/sub/
  for (const Row& row : {
           Row{"/f", "/new", "ok"},
           Row{"/f", "/f", "ok"},
           Row{"/f", "/g", "ok"},
           Row{"/f", "/d/f", "ok"},
           Row{"/f", "/d", "exists"},
           Row{"/f", "/full", "exists"},
           Row{"/d", "/e", "ok"},
           Row{"/d", "/new", "ok"},
           Row{"/d", "/d", "ok"},
           Row{"/full", "/e", "ok"},
           Row{"/d", "/full", "precondition"},
           Row{"/full/sub", "/full", "precondition"},
           Row{"/d", "/f", "exists"},
           Row{"/d", "/d/x", "invalid"},
           Row{"/full", "/full/sub/y", "invalid"},
           Row{"/full", "/full/sub", "invalid"},
           Row{"/", "/x", "invalid"},
           Row{"/f", "/", "exists"},
           Row{"/none", "/x", "not_found"},
           Row{"/f", "/none/x", "not_found"},
           Row{"/f", "/g/x", "precondition"},
           Row{"/f/x", "/y", "precondition"},
           Row{"/full/x", "/x", "ok"},
           Row{"f", "/x", "invalid"},
       }) {
    CAPTURE(row.from);
    CAPTURE(row.to);
    ClusterFixture fs;
    for (const char* path : {"/d", "/e", "/full", "/full/sub"}) {
      REQUIRE(fs.make_directory(path).has_value());
    }
    for (const char* path : {"/f", "/g", "/full/x"}) REQUIRE(fs.put(path, {9}).has_value());
    const auto rows = fs.machine.tables().rows().size();
    const auto source = fs.machine.stat(row.from);
    CHECK_EQ(outcome(fs.move(row.from, row.to)), row.outcome);
    check_sound(fs);
    if (std::string(row.outcome) != "ok") {
      CHECK_EQ(fs.machine.tables().rows().size(), rows);
      continue;
    }
    CHECK((fs.machine.stat(row.to)->id == source->id));
    if (std::string(row.from) != row.to) CHECK_FALSE(fs.machine.stat(row.from).has_value());
  }
}

TEST_CASE("two renames that cross cannot make a loop") {
  ClusterFixture fs;
  for (const char* path : {"/a", "/b", "/a/x", "/b/y"})
    REQUIRE(fs.make_directory(path).has_value());
  CHECK_EQ(outcome(fs.move("/a", "/b/y/a")), "ok");
  CHECK_EQ(outcome(fs.move("/b", "/a/x/b")), "not_found");
  CHECK_EQ(outcome(fs.move("/b", "/b/y/a/x/b")), "invalid");
  CHECK_EQ(fs.names("/b/y/a"), "x/");
  check_sound(fs);
}

TEST_CASE("what lies deeper than paths go is reached by moving a directory upwards") {
  ClusterFixture fs;
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "/d";
  for (const char* top : {"/a", "/b", "/c"}) {
    REQUIRE(fs.make_directory(top + deep, true).has_value());
  }
  REQUIRE(fs.put("/a" + deep + "/f", {100}).has_value());
  REQUIRE_EQ(outcome(fs.move("/a", "/b" + deep + "/a")), "ok");
  REQUIRE_EQ(outcome(fs.move("/b", "/c" + deep + "/b")), "ok");
  check_sound(fs);
  CHECK_EQ(fs.machine.use("/c")->use.bytes, 100u);
  CHECK_EQ(fs.machine.use("/c")->use.entries, 603u);
  const auto too_deep = fs.machine.stat("/c" + deep + "/b" + deep + "/a");
  REQUIRE_FALSE(too_deep.has_value());
  CHECK(too_deep.error().message.find("move a directory") != std::string::npos);
  REQUIRE_EQ(outcome(fs.move("/c" + deep + "/b/d", "/d")), "ok");
  CHECK_EQ(fs.machine.use("/d")->use.bytes, 100u);
  REQUIRE_EQ(outcome(fs.move(deep + "/a", "/a")), "ok");
  CHECK(fs.machine.stat("/a" + deep + "/f").has_value());
  check_sound(fs);
}

TEST_CASE("an open file handle stays valid when the file and its directory move") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/a").has_value());
  REQUIRE(fs.put("/a/f", {100}).has_value());
  const auto before = fs.machine.locate("/a/f", {});
  REQUIRE(fs.move("/a/f", "/g").has_value());
  REQUIRE(fs.move("/a", "/b").has_value());
  CHECK((fs.machine.locate(before->file, {}) == before));
  CHECK((fs.machine.locate("/g", {}) == before));
  // The home is a name for a slot: it may be removed while the file lives elsewhere.
  REQUIRE(fs.remove("/b").has_value());
  CHECK((fs.machine.locate("/g", {}) == before));
  check_sound(fs);
}

TEST_CASE("remove takes a file or an empty directory, and a tree only when told") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d/e", true).has_value());
  REQUIRE(fs.put("/f", {5}).has_value());
  REQUIRE(fs.put("/d/g", {5}).has_value());
  CHECK_EQ(outcome(fs.remove("/")), "invalid");
  CHECK_EQ(outcome(fs.remove("/none")), "not_found");
  CHECK_EQ(outcome(fs.remove("/f/x")), "precondition");
  CHECK_EQ(outcome(fs.remove("/d")), "precondition");
  CHECK_EQ(outcome(fs.remove("/d/e")), "ok");
  CHECK_EQ(outcome(fs.remove("/f")), "ok");
  CHECK_EQ(outcome(fs.remove("/f")), "not_found");
  CHECK_EQ(outcome(fs.remove("/d", true)), "ok");
  CHECK_EQ(fs.names("/"), "");
  check_sound(fs);
}

TEST_CASE("pages of a listing show every name that was there throughout exactly once") {
  ClusterFixture fs;
  const auto name = [](int i) { return fmt::format("/n{:03}", i); };
  for (int i = 0; i < 200; i += 2) REQUIRE(fs.make_directory(name(i)).has_value());
  std::vector<std::string> seen;
  std::string after;
  for (int page = 0;; ++page) {
    const auto listing = fs.machine.list("/", after, 7);
    REQUIRE(listing.has_value());
    for (const auto& entry : listing->entries) seen.push_back(entry.name);
    if (!listing->more) break;
    after = listing->entries.back().name;
    // Between pages, names come and go on both sides, and the last one shown goes as well.
    REQUIRE(fs.make_directory(name((page * 31) % 100 * 2 + 1)).has_value());
    REQUIRE(fs.remove("/" + after).has_value());
  }
  CHECK(std::ranges::is_sorted(seen));
  CHECK(std::ranges::adjacent_find(seen) == seen.end());
  for (int i = 0; i < 200; i += 2) {
    CHECK(std::ranges::binary_search(seen, name(i).substr(1)));
  }
}

TEST_CASE("names sort by their bytes, and one name may be another's prefix") {
  ClusterFixture fs;
  for (const char* path : {"/b", "/a", "/ab", "/B", "/a.", "/\xc3\xa4"}) {
    REQUIRE(fs.make_directory(path).has_value());
  }
  CHECK_EQ(fs.names("/"), "B/ a/ a./ ab/ b/ \xc3\xa4/");
  const auto listing = fs.machine.list("/", "a", 2);
  REQUIRE_EQ(listing->entries.size(), 2u);
  CHECK_EQ(listing->entries[0].name, "a.");
  CHECK(listing->more);
}

TEST_CASE("reads of what is not there say what is wrong") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f").has_value());
  CHECK_EQ(fs.machine.stat("/none").error().code, Code::kNotFound);
  CHECK_EQ(fs.machine.stat("/f/x").error().code, Code::kPrecondition);
  CHECK_EQ(fs.machine.stat("bad").error().code, Code::kInvalid);
  CHECK_EQ(fs.machine.list("/none", "", 1).error().code, Code::kNotFound);
  CHECK_EQ(fs.machine.list("/f", "", 1).error().code, Code::kPrecondition);
  CHECK_EQ(fs.machine.locate("/none", {}).error().code, Code::kNotFound);
  CHECK_EQ(fs.machine.locate("/", {}).error().code, Code::kPrecondition);
}

}  // namespace
}  // namespace dogfs::metadata
