#include "sim/check/history_search.h"

#include "tests/sim/check/forged_history.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

uint64_t breaches(const Forged& forged) {
  Violations violations;
  const SearchCounts counts = search_history(forged.history, {}, {}, violations);
  CHECK_EQ(counts.undecided, 0);
  return violations.count(Oracle::kLinearizationSearch);
}

// Directories that were made at first and stay, as the clients of a run find them.
void make_stable(Forged& forged) {
  for (const char* path : {"/d0/s", "/d1/s"}) {
    Operation make{.act = Act::kMakeDirectory, .path = path};
    make.parents = true;
    forged.done(forged.begin(make), 0);
  }
}

TEST_CASE("a history that one order explains breaks nothing, whatever positions it names") {
  Forged forged;
  forged.make_directory("/d", 9);
  forged.put("/d/a", "one", 8);
  forged.get("/d/a", "one", 77);
  forged.rename("/d/a", "/d/b", 6);
  forged.refused(forged.begin({.act = Act::kGet, .path = "/d/a"}), Code::kNotFound, 1);
  forged.done(forged.begin({.act = Act::kList, .path = "/d"}), 1).names = {"b"};
  forged.done(forged.begin({.act = Act::kStat, .path = "/d/b"}), 1).length = 3;
  forged.remove("/d/b", 5);
  forged.refused(forged.begin({.act = Act::kRemove, .path = "/d/b"}), Code::kNotFound, 1);
  CHECK_EQ(breaches(forged), 0);
}

TEST_CASE("the answer of an isolated leader is refuted without a log") {
  Forged forged;
  forged.put("/a", "old", 1);
  forged.put("/a", "new", 2);
  forged.get("/a", "old", 1);
  CHECK_EQ(breaches(forged), 1);
}

TEST_CASE("a read that lost an acknowledged change is refuted, of every kind") {
  Forged lost_put;
  lost_put.put("/a", "x", 1);
  lost_put.refused(lost_put.begin({.act = Act::kStat, .path = "/a"}), Code::kNotFound, 2);
  CHECK_EQ(breaches(lost_put), 1);
  Forged lost_directory;
  lost_directory.make_directory("/a", 1);
  lost_directory.done(lost_directory.begin({.act = Act::kList, .path = "/"}), 2);
  CHECK_EQ(breaches(lost_directory), 1);
  Forged lost_remove;
  lost_remove.put("/a", "x", 1);
  lost_remove.remove("/a", 2);
  lost_remove.get("/a", "x", 3);
  CHECK_EQ(breaches(lost_remove), 1);
  Forged lost_rename;
  lost_rename.put("/a", "x", 1);
  lost_rename.rename("/a", "/b", 2);
  lost_rename.get("/a", "x", 3);
  CHECK_EQ(breaches(lost_rename), 1);
}

TEST_CASE("a change that was done twice is refuted by its second answer") {
  Forged forged;
  forged.put("/a", "x", 1);
  forged.remove("/a", 2);
  forged.remove("/a", 3);
  CHECK_EQ(breaches(forged), 1);
}

TEST_CASE("a refusal that no state gives is refuted") {
  Forged forged;
  forged.put("/a", "x", 1);
  forged.refused(forged.begin({.act = Act::kMakeDirectory, .path = "/b"}), Code::kExists, 2);
  CHECK_EQ(breaches(forged), 1);
  Forged put;
  put.refused(put.begin({.act = Act::kPut, .path = "/d/a"}), Code::kExists, 2);
  CHECK_EQ(breaches(put), 1);
  Forged busy;
  busy.refused(busy.begin({.act = Act::kMakeDirectory, .path = "/b"}), Code::kUnavailable);
  busy.refused(busy.begin({.act = Act::kList, .path = "/b"}), Code::kNotFound);
  CHECK_EQ(breaches(busy), 0);
}

TEST_CASE("an unknown change may show at any time, and stays") {
  Forged forged;
  forged.put("/a", "x", 1);
  const size_t rename = forged.begin({.act = Act::kRename, .path = "/a", .to = "/b"});
  forged.unknown(rename);
  forged.get("/a", "x", 2);
  forged.get("/b", "x", 3);
  CHECK_EQ(breaches(forged), 0);
  forged.get("/a", "x", 4);
  CHECK_EQ(breaches(forged), 1);
}

TEST_CASE("concurrent unknown puts may win in any order, but bytes of a put that was not made") {
  Forged forged;
  for (const char* bytes : {"p", "q", "r"})
    forged.unknown(forged.begin({.act = Act::kPut, .path = "/a", .content = content_of(bytes)}));
  forged.get("/a", "q", 1);
  forged.get("/a", "p", 2);
  CHECK_EQ(breaches(forged), 0);
  forged.get("/a", "s", 3);
  CHECK_EQ(breaches(forged), 1);
}

TEST_CASE("paths that nothing joins are judged apart, below directories that stay") {
  Forged forged;
  make_stable(forged);
  for (int i = 0; i < 6; ++i) forged.put("/d0/f" + std::to_string(i), "x", 1);
  forged.rename("/d0/f0", "/d0/f1", 1);
  Violations violations;
  const SearchCounts counts = search_history(forged.history, {}, {}, violations);
  CHECK(violations.empty());
  CHECK_EQ(counts.parts, 7);  // the two that stay, f0 with f1, f2 to f5
}

TEST_CASE("a listing counts in every part that it shows") {
  Forged forged;
  make_stable(forged);
  forged.put("/d0/a", "x", 1);
  forged.put("/d0/b", "x", 1);
  const auto list = [&](std::vector<std::string> names) {
    forged.done(forged.begin({.act = Act::kList, .path = "/d0"}), 1).names = std::move(names);
    return breaches(forged);
  };
  CHECK_EQ(list({"a", "b", "s"}), 0);
  CHECK_EQ(list({"a", "s"}), 1);
  CHECK_EQ(list({"a", "b", "ghost", "s"}), 2);
}

TEST_CASE("a page of a listing is judged by what stands within its range") {
  Forged forged;
  make_stable(forged);
  for (const char* name : {"a", "b", "c", "d"}) forged.put(std::string("/d0/") + name, "x", 1);
  const auto page = [&](std::string after, uint64_t count, std::vector<std::string> names) {
    Operation list{.act = Act::kList, .path = "/d0"};
    list.after = std::move(after);
    list.count = count;
    forged.done(forged.begin(list), 1).names = std::move(names);
    return breaches(forged);
  };
  CHECK_EQ(page("", 2, {"a", "b"}), 0);
  CHECK_EQ(page("b", 2, {"c", "d"}), 0);
  CHECK_EQ(page("d", 2, {"s"}), 0);
  CHECK_EQ(page("a", 2, {"b", "d"}), 1);
}

TEST_CASE("what a search gives up is counted, and passes for nothing") {
  Forged forged;
  std::vector<size_t> puts;
  for (int i = 0; i < 12; ++i)
    puts.push_back(
        forged.begin({.act = Act::kPut, .path = "/a", .content = content_of(std::to_string(i))}));
  for (const size_t put : puts) forged.done(put, 1);
  forged.get("/a", "other", 2);
  forged.put("/b", "x", 3);
  Violations violations;
  const SearchCounts counts = search_history(forged.history, {}, {.steps_max = 500}, violations);
  CHECK_EQ(counts.undecided, 1);
  CHECK_EQ(counts.operations, 1);
  CHECK(violations.empty());
}

TEST_CASE("hints change the way, never the verdict") {
  const std::vector<std::vector<LogIndex>> hints = {
      {}, {LogIndex(1), LogIndex(2)}, {LogIndex(2), LogIndex(1)}, {LogIndex(9), LogIndex(0)}};
  for (const char* last : {"b", "c"}) {
    Forged forged;
    const size_t first = forged.begin({.act = Act::kPut, .path = "/a", .content = content_of("a")});
    const size_t second =
        forged.begin({.act = Act::kPut, .path = "/a", .content = content_of("b")});
    forged.done(first, 1);
    forged.unknown(second);
    forged.get("/a", "a", 2);
    forged.get("/a", last, 3);
    for (const auto& tried : hints) {
      Violations violations;
      search_history(forged.history, tried, {}, violations);
      CHECK_EQ(violations.count(Oracle::kLinearizationSearch), *last == 'b' ? 0 : 1);
    }
  }
}

TEST_CASE("what was cut and joined is read to the byte, or refuted without a log") {
  const auto read = [](const Content& content) {
    Forged forged;
    forged.put_made("/a", 40, 1, 1);
    forged.put_made("/b", 30, 2, 2);
    forged.truncate("/a", 20, 3);
    forged.concatenate("/a", {"/b"}, 4);
    forged.get("/a", content, 5);
    return breaches(forged);
  };
  const auto bytes = [](uint64_t length, uint64_t number) {
    return std::string(make_bytes(length, number).text());
  };
  CHECK_EQ(read(content_of(bytes(20, 1) + bytes(30, 2))), 0);
  CHECK_EQ(read(content_of(bytes(40, 1) + bytes(30, 2))), 1);
  CHECK_EQ(read(content_of(bytes(30, 2) + bytes(20, 1))), 1);
  CHECK_EQ(read(content_of(bytes(50, 1))), 1);
  CHECK_EQ(read(content_of(bytes(20, 1))), 1);
}

TEST_CASE("a lost cut, a join that left its source and one that was done twice are refuted") {
  Forged cut;
  cut.put_made("/a", 40, 1, 1);
  cut.truncate("/a", 20, 2);
  cut.done(cut.begin({.act = Act::kStat, .path = "/a"}), 3).length = 40;
  CHECK_EQ(breaches(cut), 1);
  Forged left;
  left.put_made("/a", 40, 1, 1);
  left.put_made("/b", 30, 2, 2);
  left.concatenate("/a", {"/b"}, 3);
  Forged twice = left;
  left.get("/b", Forged::made(30, 2), 4);
  CHECK_EQ(breaches(left), 1);
  twice.concatenate("/a", {"/b"}, 4);
  CHECK_EQ(breaches(twice), 1);
}

TEST_CASE("small files and large ones do not join, and are told apart by the length of the put") {
  const auto join = [](uint64_t inline_bytes, std::optional<Code> code) {
    Forged forged;
    forged.put_made("/a", 40, 1, 1);
    forged.put_made("/b", 30, 2, 2);
    Operation asked{.act = Act::kConcatenate, .path = "/a"};
    asked.sources = {"/b"};
    const size_t number = forged.begin(asked);
    code ? forged.refused(number, *code, 3) : forged.done(number, 3);
    Violations violations;
    search_history(forged.history, {}, {.inline_bytes = inline_bytes}, violations);
    return violations.empty();
  };
  for (const auto& [inline_bytes, code] :
       std::vector<std::pair<uint64_t, std::optional<Code>>>{{0, std::nullopt},
                                                             {30, Code::kPrecondition},
                                                             {40, Code::kTooLarge},
                                                             {70, std::nullopt}}) {
    for (const std::optional<Code> told :
         {std::optional<Code>(), std::optional(Code::kPrecondition),
          std::optional(Code::kTooLarge)})
      CHECK_EQ(join(inline_bytes, told), told == code);
  }
}

TEST_CASE("a quota is judged without a log, also one that stays unknown") {
  const auto history_of = [](bool known, bool refused, metadata::Use used) {
    Forged forged;
    make_stable(forged);
    forged.put_made("/d0/a", 40, 1, 1);
    Operation set{.act = Act::kSetQuota, .path = "/d0"};
    set.quota.entries = 2;  // with /d0/s
    const size_t quota = forged.begin(set);
    known ? forged.done(quota, 2) : forged.unknown(quota);
    const size_t copy = forged.begin({.act = Act::kCopy, .path = "/d0/a", .to = "/d0/b"});
    refused ? forged.refused(copy, Code::kNoSpace, 3) : forged.done(copy, 3);
    Operation& use = forged.done(forged.begin({.act = Act::kUse, .path = "/d0"}), 4);
    use.used = {.use = used, .quota = {}};
    if (known || refused) use.used.quota.entries = 2;
    return breaches(forged);
  };
  CHECK_EQ(history_of(true, true, {40, 2}), 0);
  CHECK_EQ(history_of(true, false, {80, 3}), 1);
  CHECK_EQ(history_of(false, true, {40, 2}), 0);
  CHECK_EQ(history_of(false, false, {80, 3}), 0);
  CHECK_EQ(history_of(false, false, {40, 3}), 1);
  CHECK_EQ(history_of(true, true, {40, 3}), 1);
}

TEST_CASE("owners, modes and changes that no order gives are refuted without a log") {
  const auto told = [](uint64_t changes, uint16_t mode) {
    Forged forged;
    forged.put_made("/a", 40, 1, 1);
    forged.set_mode("/a", 0600, 2);
    forged.truncate("/a", 30, 3);
    forged.stat("/a", 30, {InodeId(1), changes}, 4).marks.mode = mode;
    return breaches(forged);
  };
  CHECK_EQ(told(2, 0600), 0);
  CHECK_EQ(told(1, 0600), 1);
  CHECK_EQ(told(2, 0640), 1);
}

TEST_CASE("a put over a version that was changed before it began is refuted without a log") {
  const auto put = [](bool changed) {
    Forged forged;
    forged.put_made("/a", 40, 1, 1);
    if (changed) forged.set_mode("/a", 0600, 2);
    Operation over{.act = Act::kPut, .path = "/a", .content = Forged::made(30, 2)};
    over.if_version = {InodeId(1), 0};
    forged.done(forged.begin(over), 3);
    return breaches(forged);
  };
  CHECK_EQ(put(false), 0);
  CHECK_EQ(put(true), 1);
}

}  // namespace
}  // namespace dogfs::sim
