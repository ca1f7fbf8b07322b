#include "sim/check/final_tree.h"

#include "tests/sim/check/forged_history.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

TreeModel tree_of(const Forged& forged) {
  Violations violations;
  TreeModel tree = check_linearizability(forged.history, forged.log, violations).tree;
  CHECK(violations.empty());
  return tree;
}

FoundEntry directory() { return {}; }
FoundEntry file(std::string_view bytes) {
  return {.is_directory = false, .length = bytes.size(), .content = content_of(bytes)};
}

Violations judge(const Forged& forged, const FinalTree& found, Demand demand = Demand::kReadable) {
  Violations violations;
  check_final_tree(tree_of(forged), found, demand, violations);
  return violations;
}

Forged two_files() {
  Forged forged;
  forged.make_directory("/d", 1);
  forged.put("/d/a", "one", 2);
  forged.put("/b", "two", 3);
  return forged;
}

const FinalTree kTwoFiles{{"/d", directory()}, {"/d/a", file("one")}, {"/b", file("two")}};

TEST_CASE("a tree that is found as the log left it is right, and its files are counted") {
  Violations violations;
  CHECK_EQ(check_final_tree(tree_of(two_files()), kTwoFiles, Demand::kReadable, violations), 2);
  CHECK(violations.empty());
}

TEST_CASE("what is missing at the end is a loss, a directory too") {
  for (const char* path : {"/d", "/d/a", "/b"}) {
    FinalTree found = kTwoFiles;
    found.erase(path);
    CHECK_EQ(judge(two_files(), found).count(Oracle::kDurability), 1);
  }
}

TEST_CASE("other bytes or another length at the end are a loss") {
  for (const char* bytes : {"six", "twofold", ""}) {
    FinalTree found = kTwoFiles;
    found.at("/b") = file(bytes);
    CHECK_EQ(judge(two_files(), found).count(Oracle::kDurability), 1);
    CHECK_EQ(judge(two_files(), found, Demand::kNoLies).count(Oracle::kDurability), 1);
  }
}

TEST_CASE("a file that cannot be read at the end is a loss where all must be readable") {
  FinalTree found = kTwoFiles;
  found.at("/b").content = fail(Code::kCorrupt, "");
  CHECK_EQ(judge(two_files(), found).count(Oracle::kDurability), 1);
  CHECK(judge(two_files(), found, Demand::kNoLies).empty());
}

TEST_CASE("what nobody made, or of the other kind, is refuted") {
  FinalTree found = kTwoFiles;
  found.emplace("/d/c", directory());
  CHECK_EQ(judge(two_files(), found).count(Oracle::kLinearizability), 1);
  found = kTwoFiles;
  found.at("/b") = directory();
  CHECK_EQ(judge(two_files(), found).count(Oracle::kLinearizability), 1);
}

TEST_CASE("an unknown put that the log holds is demanded, and its bytes are known") {
  Forged forged = two_files();
  const size_t number = forged.begin({.act = Act::kPut, .path = "/b"});
  forged.history.at(number).content = content_of("new");
  forged.unknown(number);
  CHECK(judge(forged, kTwoFiles).empty());
  forged.commit(4, Forged::publish("/b", 3));
  CHECK_EQ(judge(forged, kTwoFiles).count(Oracle::kDurability), 1);
  FinalTree found = kTwoFiles;
  found.at("/b") = file("new");
  CHECK(judge(forged, found).empty());
}

TEST_CASE("of two unknown puts of one length either may be found, nothing else") {
  Forged forged = two_files();
  for (const char* bytes : {"new", "old"}) {
    const size_t number = forged.begin({.act = Act::kPut, .path = "/b"});
    forged.history.at(number).content = content_of(bytes);
    forged.unknown(number);
  }
  forged.commit(4, Forged::publish("/b", 3));
  FinalTree found = kTwoFiles;
  for (const char* bytes : {"new", "old"}) {
    found.at("/b") = file(bytes);
    CHECK(judge(forged, found).empty());
  }
  CHECK_EQ(judge(forged, kTwoFiles).count(Oracle::kDurability), 1);
}

TEST_CASE("a file that was cut and joined must be found so at the end") {
  Forged forged;
  forged.put_made("/a", 40, 1, 1);
  forged.put_made("/b", 30, 2, 2);
  forged.truncate("/a", 20, 3);
  forged.concatenate("/a", {"/b"}, 4);
  const std::string first(make_bytes(40, 1).text()), second(make_bytes(30, 2).text());
  CHECK(judge(forged, {{"/a", file(first.substr(0, 20) + second)}}).empty());
  for (const std::string& other :
       {first, second, first.substr(0, 20), second + first.substr(0, 20)})
    CHECK_EQ(judge(forged, {{"/a", file(other)}}).count(Oracle::kDurability), 1);
}

}  // namespace
}  // namespace dogfs::sim
