#include "sim/check/linearizability.h"

#include "tests/sim/check/forged_history.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

Violations judge(const Forged& forged) {
  Violations violations;
  check_linearizability(forged.history, forged.log, violations);
  return violations;
}

uint64_t linearizability_breaches(const Forged& forged) {
  const Violations violations = judge(forged);
  CHECK_EQ(violations.count(Oracle::kExactlyOnce), 0);
  return violations.count(Oracle::kLinearizability);
}

TEST_CASE("a history that one order explains breaks nothing") {
  Forged forged;
  forged.make_directory("/d", 1);
  forged.put("/d/a", "one", 2);
  forged.get("/d/a", "one", 2);
  forged.rename("/d/a", "/d/b", 5);
  const size_t missing = forged.begin({.act = Act::kGet, .path = "/d/a"});
  forged.refused(missing, Code::kNotFound, 6);
  const size_t list = forged.begin({.act = Act::kList, .path = "/d"});
  forged.done(list, 6).names = {"b"};
  const size_t stat = forged.begin({.act = Act::kStat, .path = "/d/b"});
  forged.done(stat, 6).length = 3;
  forged.remove("/d/b", 7);
  CHECK(judge(forged).empty());
}

TEST_CASE("a read of a state that had been replaced before it began is refuted") {
  Forged forged;
  forged.put("/a", "old", 1);
  forged.put("/a", "new", 2);
  forged.get("/a", "old", 1);  // an isolated leader's answer
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("a read that does not fit the state it names is refuted") {
  Forged forged;
  forged.put("/a", "old", 1);
  forged.put("/a", "new", 2);
  forged.get("/a", "old", 2);
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("not found, while it is there, is refuted with and without a position") {
  for (const uint64_t position : {3, 0}) {
    Forged forged;
    forged.put("/a", "x", 3);
    const size_t get = forged.begin({.act = Act::kGet, .path = "/a"});
    forged.refused(get, Code::kNotFound, position);
    CHECK_EQ(linearizability_breaches(forged), 1);
  }
}

TEST_CASE("an answer without a position is accepted if some state within its time explains it") {
  Forged forged;
  forged.put("/a", "x", 3);
  const size_t get = forged.begin({.act = Act::kGet, .path = "/a"});
  forged.remove("/a", 4);
  forged.refused(get, Code::kNotFound);
  CHECK(judge(forged).empty());
  const size_t late = forged.begin({.act = Act::kStat, .path = "/a"});
  forged.done(late, 0).length = 1;
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("a wrong listing, a wrong length and a wrong kind are refuted") {
  Forged forged;
  forged.make_directory("/d", 1);
  forged.put("/d/a", "x", 2);
  const size_t list = forged.begin({.act = Act::kList, .path = "/d"});
  forged.done(list, 2).names = {"a", "b"};
  const size_t length = forged.begin({.act = Act::kStat, .path = "/d/a"});
  forged.done(length, 2).length = 9;
  const size_t kind = forged.begin({.act = Act::kStat, .path = "/d"});
  forged.done(kind, 2).length = 0;
  CHECK_EQ(linearizability_breaches(forged), 3);
}

TEST_CASE("a change that was answered before another began comes before it") {
  Forged forged;
  const size_t first = forged.begin({.act = Act::kMakeDirectory, .path = "/a"});
  forged.done(first, 2);
  const size_t second = forged.begin({.act = Act::kMakeDirectory, .path = "/b"});
  forged.done(second, 1);
  forged.commit(1, metadata::MakeDirectory{.path = "/b"});
  forged.commit(2, metadata::MakeDirectory{.path = "/a"});
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("an acknowledged change that the log does not hold is refuted") {
  Forged forged;
  const size_t number = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.done(number, 8);
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("what the state machine answered is compared with the model") {
  Forged forged;
  forged.put("/a", "x", 1);
  forged.commit(2, metadata::MakeDirectory{.path = "/a/b"}, fail(Code::kNotFound, ""));
  CHECK(judge(forged).empty());
  forged.commit(3, metadata::Remove{.path = "/a"}, fail(Code::kNotFound, ""));
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("an unknown change may have happened or not, but once") {
  Forged forged;
  const size_t number = forged.begin({.act = Act::kPut, .path = "/a", .content = content_of("x")});
  forged.unknown(number);
  CHECK(judge(forged).empty());
  forged.commit(1, Forged::publish("/a", 1));
  forged.get("/a", "x", 1);
  CHECK(judge(forged).empty());
  forged.commit(2, Forged::publish("/a", 1));
  CHECK_EQ(judge(forged).count(Oracle::kExactlyOnce), 1);
}

TEST_CASE("a refused change that was applied all the same is seen") {
  Forged forged;
  const size_t number = forged.begin({.act = Act::kMakeDirectory, .path = "/a"});
  forged.refused(number, Code::kUnavailable);
  CHECK(judge(forged).empty());
  forged.commit(1, metadata::MakeDirectory{.path = "/a"});
  CHECK_EQ(judge(forged).count(Oracle::kExactlyOnce), 1);
}

TEST_CASE("a repeated request takes effect where it first stands, and is answered alike") {
  Forged forged;
  forged.put("/a", "x", 1);
  const size_t number = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.commit(2, metadata::Remove{.path = "/a"}, {}, 50);
  forged.commit(3, metadata::Remove{.path = "/a"}, {}, 50);
  forged.done(number, 3);
  CHECK(judge(forged).empty());
  forged.commit(4, metadata::Remove{.path = "/a"}, fail(Code::kNotFound, ""), 50);
  CHECK_EQ(judge(forged).count(Oracle::kExactlyOnce), 1);
}

TEST_CASE("the model keeps the rules of rename") {
  TreeModel tree;
  CHECK(tree.make_directory("/d/e", true));
  CHECK(tree.publish("/f", {.length = 1, .contents = {}}));
  CHECK(!tree.rename("/d", "/d/e/x"));
  CHECK(!tree.rename("/f", "/d"));
  CHECK(!tree.rename("/d", "/f"));
  CHECK(!tree.rename("/none", "/x"));
  CHECK(!tree.rename("/d/e", "/none/x"));
  CHECK(tree.rename("/f", "/d/e/f"));
  CHECK(tree.make_directory("/empty", false));
  CHECK(!tree.rename("/empty", "/d"));
  CHECK(tree.rename("/d", "/empty"));
  CHECK(tree.find("/empty/e/f") != nullptr);
  CHECK(tree.find("/d") == nullptr);
  CHECK(!tree.remove("/empty", false));
  CHECK(tree.remove("/empty", true));
}

}  // namespace
}  // namespace dogfs::sim
