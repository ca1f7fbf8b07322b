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
  forged.commit(2, metadata::MakeDirectory{.path = "/a/b"}, fail(Code::kPrecondition, ""));
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

TEST_CASE("a refusal with another code than the model's is refuted") {
  Forged forged;
  forged.make_directory("/d", 1);
  forged.put("/d/a", "x", 2);
  const auto commit_refused = [&](uint64_t position, metadata::Operation operation, Code code) {
    forged.commit(position, std::move(operation), fail(code, ""));
  };
  forged.make_directory("/e", 3);
  commit_refused(4, metadata::Rename{.from = "/e", .to = "/d"}, Code::kPrecondition);
  commit_refused(5, metadata::Remove{.path = "/d"}, Code::kPrecondition);
  commit_refused(6, metadata::MakeDirectory{.path = "/d/a/b"}, Code::kPrecondition);
  CHECK(judge(forged).empty());
  commit_refused(7, metadata::Rename{.from = "/e", .to = "/d"}, Code::kExists);
  commit_refused(8, metadata::Remove{.path = "/d"}, Code::kExists);
  commit_refused(9, metadata::MakeDirectory{.path = "/d/a/b"}, Code::kNotFound);
  CHECK_EQ(linearizability_breaches(forged), 3);
}

TEST_CASE("a client that is told another code than the log's is misled") {
  Forged forged;
  const size_t remove = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.commit(1, metadata::Remove{.path = "/a"}, fail(Code::kNotFound, ""));
  forged.refused(remove, Code::kNotFound, 1);
  CHECK(judge(forged).empty());
  forged.history.at(remove).code = Code::kPrecondition;
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("a change refused for what the tree is must have been refused by the log") {
  for (const uint64_t position : {0, 1}) {
    Forged forged;
    forged.make_directory("/d", 1);
    const size_t remove = forged.begin({.act = Act::kRemove, .path = "/a"});
    forged.refused(remove, Code::kNotFound, position);
    const size_t put = forged.begin({.act = Act::kPut, .path = "/a"});
    forged.refused(put, Code::kNotFound, position);
    CHECK_EQ(linearizability_breaches(forged), 2);
    forged.history.at(remove).code = forged.history.at(put).code = Code::kUnavailable;
    CHECK(judge(forged).empty());
  }
}

TEST_CASE("a refused start of an upload is compared with the model") {
  Forged forged;
  const auto refuse_start = [&](uint64_t position, std::string path, Code code) {
    const size_t put = forged.begin({.act = Act::kPut, .path = path});
    forged.commit(position, metadata::StartUpload{.path = std::move(path), .policy = {}},
                  fail(code, ""));
    forged.refused(put, code, position);
  };
  forged.make_directory("/d", 1);
  refuse_start(2, "/d", Code::kExists);
  refuse_start(3, "/e/a", Code::kNotFound);
  CHECK(judge(forged).empty());
  refuse_start(4, "/d/a", Code::kNotFound);
  refuse_start(5, "/d", Code::kNotFound);
  CHECK_EQ(linearizability_breaches(forged), 2);
}

TEST_CASE("an upload may be refused while the cluster is too small for its policy, not later") {
  const metadata::Response too_small = fail(Code::kPrecondition, "");
  const metadata::StartUpload start{.path = "/a", .policy = {}};
  Forged forged;
  forged.create_cluster(1, "rs-2-1");
  for (const uint32_t server : {1, 2}) forged.register_server(1 + server, server);
  forged.commit(4, start, too_small);
  CHECK(judge(forged).empty());
  forged.register_server(5, 3);
  forged.commit(6, start, too_small);
  CHECK_EQ(linearizability_breaches(forged), 1);
}

const metadata::Response kLeaseLost = fail(Code::kNotFound, "");

TEST_CASE("a refused publication is excused by a lost lease") {
  for (const bool expired : {true, false}) {
    Forged forged;
    const auto file = forged.start_upload(1, "/a");
    const metadata::Publish publish{.file = file, .epoch = {}, .path = "/a", .length = 0};
    const metadata::Operation end = expired
                                        ? metadata::Operation(metadata::ExpireLease{.file = file})
                                        : metadata::AbandonUpload{.file = file};
    forged.commit(2, end);
    forged.commit(3, publish, kLeaseLost);
    CHECK(judge(forged).empty());
    for (int i = 0; i < 2; ++i) forged.unknown(forged.begin({.act = Act::kPut, .path = "/a"}));
    forged.commit(4, publish);
    CHECK_EQ(linearizability_breaches(forged), 1);
  }
}

TEST_CASE("a refused publication of a lease that holds is refuted") {
  Forged forged;
  const auto file = forged.start_upload(1, "/a");
  const metadata::Publish publish{.file = file, .epoch = {}, .path = "/a", .length = 0};
  forged.commit(2, metadata::ExpireLease{.file = file}, fail(Code::kPrecondition, ""));
  forged.commit(3, publish, kLeaseLost);
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("an upload goes to the directory that it was started in, wherever that moved") {
  Forged forged;
  forged.make_directory("/d", 1);
  const auto file = forged.start_upload(2, "/d/a");
  const metadata::Publish publish{.file = file, .epoch = {}, .path = "/d/a", .length = 0};
  forged.rename("/d", "/e", 3);
  forged.commit(4, publish, fail(Code::kNotFound, ""));
  forged.make_directory("/d", 5);
  forged.commit(6, publish, fail(Code::kPrecondition, ""));
  forged.remove("/d", 7);
  forged.rename("/e", "/d", 8);
  CHECK(judge(forged).empty());
  forged.commit(9, publish, fail(Code::kPrecondition, ""));
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("a refused read must be refused by the model, with the same code") {
  const std::tuple<Act, const char*, std::optional<Code>> kReads[] = {
      {Act::kGet, "/none", Code::kNotFound},      {Act::kGet, "/d", Code::kPrecondition},
      {Act::kGet, "/d/a/b", Code::kPrecondition}, {Act::kGet, "/d/a", std::nullopt},
      {Act::kStat, "/none/x", Code::kNotFound},   {Act::kStat, "/d", std::nullopt},
      {Act::kList, "/d/a", Code::kPrecondition},  {Act::kList, "/d", std::nullopt},
      {Act::kList, "/none", Code::kNotFound}};
  for (const auto& [act, path, expected] : kReads) {
    for (const Code code : {Code::kNotFound, Code::kPrecondition, Code::kInvalid, Code::kIo}) {
      for (const uint64_t position : {2, 0}) {
        Forged forged;
        forged.make_directory("/d", 1);
        forged.put("/d/a", "x", 2);
        forged.refused(forged.begin({.act = act, .path = path}), code, position);
        CHECK_EQ(linearizability_breaches(forged), code == expected ? 0 : 1);
      }
    }
  }
}

TEST_CASE("a refusal for now says nothing of the tree, nor do bytes that cannot be read") {
  Forged forged;
  forged.put("/a", "x", 1);
  for (const Act act : {Act::kGet, Act::kStat, Act::kList})
    forged.refused(forged.begin({.act = act, .path = "/a"}), Code::kUnavailable, 1);
  forged.refused(forged.begin({.act = Act::kGet, .path = "/a"}), Code::kCorrupt, 1);
  CHECK(judge(forged).empty());
  forged.refused(forged.begin({.act = Act::kStat, .path = "/a"}), Code::kCorrupt, 1);
  CHECK_EQ(linearizability_breaches(forged), 1);
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

TEST_CASE("a request that is in the log is that of whoever sent it, whatever others asked alike") {
  Forged forged;
  forged.put("/a", "x", 1);
  const size_t unknown = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.history.at(unknown).requests = {{ClientId(1), RequestId(7)}};
  const size_t refused = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.history.at(refused).requests = {{ClientId(1), RequestId(8)}};
  forged.commit(2, metadata::Remove{.path = "/a"}, {}, 8);
  forged.unknown(unknown);
  forged.refused(refused, Code::kUnavailable);
  CHECK_EQ(judge(forged).count(Oracle::kExactlyOnce), 1);
}

TEST_CASE("an answer that names the entry of another request is refuted") {
  Forged forged;
  forged.put("/a", "x", 1);
  const size_t first = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.history.at(first).requests = {{ClientId(1), RequestId(7)}};
  forged.commit(2, metadata::Remove{.path = "/a"}, {}, 8);
  forged.done(first, 2);
  CHECK(judge(forged).count(Oracle::kLinearizability) >= 1);
}

TEST_CASE("a page of a listing is judged like the whole") {
  Forged forged;
  uint64_t position = 0;
  for (const char* path : {"/a", "/b", "/c"}) forged.put(path, "x", ++position);
  const auto page = [&](std::vector<std::string> names) {
    Operation list{.act = Act::kList, .path = "/"};
    list.after = "a";
    list.count = 1;
    Forged copy = forged;
    copy.done(copy.begin(list), 100).names = std::move(names);
    return judge(copy).count(Oracle::kLinearizability);
  };
  CHECK_EQ(page({"b"}), 0);
  CHECK_EQ(page({"c"}), 1);
  CHECK_EQ(page({"b", "c"}), 1);
}

TEST_CASE("an inline put stands in the log with its very bytes") {
  const auto history_of = [](std::string_view logged, std::string_view read) {
    Forged forged;
    const size_t number =
        forged.begin({.act = Act::kPut, .path = "/f", .content = content_of("bytes")});
    forged.commit(1,
                  metadata::PutInline{.path = "/f", .policy = {}, .content = std::string(logged)});
    forged.done(number, 1);
    forged.get("/f", read, 1);
    return forged;
  };
  CHECK(judge(history_of("bytes", "bytes")).empty());
  CHECK_FALSE(judge(history_of("bytes", "other")).empty());
  CHECK_FALSE(judge(history_of("other", "other")).empty());
}

TEST_CASE("an inline put over a file that it must not replace is refused in the log") {
  const auto history_of = [](metadata::Response response) {
    Forged forged;
    forged.put("/f", "first", 1);
    const size_t number = forged.begin(
        {.act = Act::kPut, .path = "/f", .if_absent = true, .content = content_of("second")});
    const bool done = response.has_value();
    forged.commit(2,
                  metadata::PutInline{.path = "/f",
                                      .policy = {},
                                      .content = "second",
                                      .condition = metadata::PublishCondition::kIfAbsent},
                  std::move(response));
    done ? forged.done(number, 2) : forged.refused(number, Code::kExists, 2);
    return forged;
  };
  CHECK(judge(history_of(fail(Code::kExists, "it exists"))).empty());
  CHECK_FALSE(judge(history_of(metadata::Done{})).empty());
}

Content joined(std::vector<std::pair<uint64_t, uint64_t>> parts) {
  std::string bytes;
  for (const auto& [length, number] : parts) bytes += make_bytes(length, number).text();
  return content_of(bytes);
}

TEST_CASE("what is left of a file that was cut is read to the byte") {
  const auto reads = [](const Content& read) {
    Forged forged;
    forged.put_made("/a", 100, 1, 1);
    forged.put_made("/b", 60, 2, 2);
    forged.truncate("/a", 60, 3);
    forged.get("/a", read, 3);
    return linearizability_breaches(forged);
  };
  CHECK_EQ(reads(Forged::made(60, 1)), 0);
  CHECK_EQ(reads(Forged::made(100, 1)), 1);
  CHECK_EQ(reads(Forged::made(60, 2)), 1);
  CHECK_EQ(reads(Forged::made(59, 1)), 1);
}

TEST_CASE("joined files are read to the byte, in order, and are no more by themselves") {
  const auto reads = [](const Content& read) {
    Forged forged;
    for (const uint64_t i : {1, 2, 3}) forged.put_made("/f" + std::to_string(i), 10 * i, i, i);
    forged.truncate("/f2", 15, 4);
    forged.concatenate("/f1", {"/f3", "/f2"}, 5);
    forged.truncate("/f1", 50, 6);
    forged.get("/f1", read, 6);
    for (const char* gone : {"/f2", "/f3"})
      forged.refused(forged.begin({.act = Act::kStat, .path = gone}), Code::kNotFound, 6);
    return linearizability_breaches(forged);
  };
  CHECK_EQ(reads(joined({{10, 1}, {30, 3}, {10, 2}})), 0);
  CHECK_EQ(reads(joined({{10, 1}, {30, 3}, {15, 2}})), 1);
  CHECK_EQ(reads(joined({{10, 1}, {10, 2}, {30, 3}})), 1);
  CHECK_EQ(reads(joined({{10, 1}, {30, 3}})), 1);
}

TEST_CASE("cuts and joins are refused with the model's codes") {
  const auto breaches = [](metadata::Operation operation, metadata::Response response) {
    Forged forged;
    forged.create_cluster(1, "rs-2-1", 100);
    forged.make_directory("/d", 2);
    forged.put_made("/large", 200, 1, 3);
    for (const uint64_t i : {4, 5}) {
      Operation put{.act = Act::kPut, .path = "/s" + std::to_string(i)};
      put.content = Forged::made(70, put.number = i);
      const size_t number = forged.begin(put);
      forged.commit(
          i, metadata::PutInline{
                 .path = put.path, .policy = {}, .content = std::string(make_bytes(70, i).text())});
      forged.done(number, i);
    }
    // Who asked does not matter here.
    const bool cuts = std::holds_alternative<metadata::Truncate>(operation);
    Operation asked{.act = cuts ? Act::kTruncate : Act::kConcatenate, .path = "/?"};
    asked.requests = {{ClientId(1), RequestId(6)}};
    forged.unknown(forged.begin(asked));
    forged.commit(6, std::move(operation), std::move(response));
    return linearizability_breaches(forged);
  };
  using metadata::Concatenate;
  using metadata::Truncate;
  const std::pair<metadata::Operation, std::optional<Code>> kCases[] = {
      {Truncate{"/large", 201}, Code::kInvalid},
      {Truncate{"/large", 200}, std::nullopt},
      {Truncate{"/none", 0}, Code::kNotFound},
      {Truncate{"/d", 0}, Code::kPrecondition},
      {Truncate{"/large/x", 0}, Code::kPrecondition},
      {Concatenate{"/large", {"/large"}}, Code::kInvalid},
      {Concatenate{"/s4", {"/s5", "/s5"}}, Code::kInvalid},
      {Concatenate{"/s4", {}}, Code::kInvalid},
      {Concatenate{"/s4", {"/none"}}, Code::kNotFound},
      {Concatenate{"/none", {"/s4"}}, Code::kNotFound},
      {Concatenate{"/s4", {"/d"}}, Code::kPrecondition},
      {Concatenate{"/s4", {"/large"}}, Code::kPrecondition},
      {Concatenate{"/s4", {"/s5"}}, Code::kTooLarge},
  };
  for (const auto& [operation, code] : kCases) {
    for (const Code told : {Code::kInvalid, Code::kNotFound, Code::kPrecondition, Code::kTooLarge})
      CHECK_EQ(breaches(operation, fail(told, "")), told == code ? 0 : 1);
    CHECK_EQ(breaches(operation, metadata::Done{}), code ? 1 : 0);
  }
}

TEST_CASE("what nobody asked for to be cut or joined is seen") {
  Forged forged;
  forged.put_made("/a", 10, 1, 1);
  Operation cut{.act = Act::kTruncate, .path = "/a"};
  cut.cut_to = 7;
  forged.unknown(forged.begin(cut));
  forged.commit(2, metadata::Truncate{.path = "/a", .length = 6});
  CHECK_EQ(judge(forged).count(Oracle::kExactlyOnce), 1);
}

// /q holds /q/a of 40 bytes and /q/d; outside are /b of 30 bytes and /e with /e/c of 10.
Forged with_quota(const metadata::Quota& quota) {
  Forged forged;
  for (const auto& [path, position] : {std::pair("/q", 1), std::pair("/e", 2)})
    forged.make_directory(path, position);
  forged.make_directory("/q/d", 3);
  forged.put_made("/q/a", 40, 1, 4);
  forged.put_made("/b", 30, 2, 5);
  forged.put_made("/e/c", 10, 3, 6);
  forged.set_quota("/q", quota, 7);
  return forged;
}

uint64_t breaches_of(const metadata::Quota& quota, metadata::Operation operation,
                     metadata::Response response) {
  Forged forged = with_quota(quota);
  if (auto* publish = std::get_if<metadata::Publish>(&operation))
    publish->file = forged.start_upload(8, "/b");  // of the root, as the publication is
  Operation asked{.act = Act::kRename, .path = "/?"};
  asked.requests = {{ClientId(1), RequestId(9)}};
  forged.unknown(forged.begin(asked));
  forged.commit(9, std::move(operation), std::move(response));
  return linearizability_breaches(forged);
}

TEST_CASE("what a quota allows is done, and what it does not is refused as full") {
  using metadata::Concatenate;
  using metadata::MakeDirectory;
  using metadata::PutInline;
  using metadata::Rename;
  const auto put = [](std::string path, size_t bytes) {
    return PutInline{.path = std::move(path), .policy = {}, .content = std::string(bytes, 'x')};
  };
  const auto copy = [](std::string from, std::string to) {
    return metadata::Copy{.from = std::move(from), .to = std::move(to), .version = {}};
  };
  struct Case {
    metadata::Operation operation;
    uint64_t bytes, entries;  // that it needs
  };
  const Case kCases[] = {
      {MakeDirectory{.path = "/q/x"}, 0, 3},
      {MakeDirectory{.path = "/q/d/x/y/z", .parents = true}, 0, 5},
      {MakeDirectory{.path = "/q/d", .parents = true}, 0, 0},
      {put("/q/x", 5), 45, 3},
      {put("/q/d/x", 0), 0, 3},
      {put("/q/a", 41), 41, 0},
      {put("/q/a", 40), 0, 0},
      {copy("/b", "/q/x"), 70, 3},
      {copy("/q/a", "/q/d/a"), 80, 3},
      {copy("/b", "/q/a"), 0, 0},
      {Rename{"/b", "/q/x"}, 70, 3},
      {Rename{"/b", "/q/a"}, 0, 0},
      {Rename{"/e", "/q/e"}, 50, 4},
      {Rename{"/e", "/q/d"}, 50, 3},
      {Rename{"/q/a", "/q/d/a"}, 0, 0},
      {Rename{"/q/a", "/a"}, 0, 0},
      {Concatenate{"/q/a", {"/b", "/e/c"}}, 80, 0},
      {Concatenate{"/b", {"/q/a"}}, 0, 0},
  };
  for (const Case& each : kCases) {
    CAPTURE(metadata::operation_name(each.operation));
    const metadata::Quota enough{.bytes = each.bytes, .entries = each.entries};
    CHECK_EQ(breaches_of(enough, each.operation, metadata::Done{}), 0);
    CHECK_EQ(breaches_of(enough, each.operation, fail(Code::kNoSpace, "")), 1);
    std::vector<metadata::Quota> too_little;
    if (each.bytes > 0) too_little.push_back({.bytes = each.bytes - 1, .entries = {}});
    if (each.entries > 0) too_little.push_back({.bytes = {}, .entries = each.entries - 1});
    for (const metadata::Quota& quota : too_little) {
      CHECK_EQ(breaches_of(quota, each.operation, metadata::Done{}), 1);
      CHECK_EQ(breaches_of(quota, each.operation, fail(Code::kNoSpace, "")), 0);
      CHECK_EQ(breaches_of(quota, each.operation, fail(Code::kExists, "")), 1);
    }
  }
}

TEST_CASE("an upload that finds no room at its start or at its end is refused, and only then") {
  for (const uint64_t entries : {2, 3}) {
    for (const uint64_t bytes : {69, 70}) {
      Forged forged = with_quota({.bytes = bytes, .entries = entries});
      const metadata::StartUpload start{.path = "/q/x", .policy = {}};
      if (entries == 2) {
        forged.commit(8, start, fail(Code::kNoSpace, ""));
        CHECK_EQ(linearizability_breaches(forged), 0);
        continue;
      }
      const auto file = forged.start_upload(8, "/q/x");
      forged.unknown(forged.begin({.act = Act::kPut, .path = "/q/x", .content = {30, 0}}));
      const metadata::Response full = fail(Code::kNoSpace, "");
      forged.commit(9, metadata::Publish{.file = file, .epoch = {}, .path = "/q/x", .length = 30},
                    bytes == 70 ? metadata::Response(metadata::Done{}) : full);
      CHECK_EQ(linearizability_breaches(forged), 0);
      forged.commit(10, metadata::StartUpload{.path = "/q/y", .policy = {}}, full);
      CHECK_EQ(linearizability_breaches(forged), bytes == 70 ? 0 : 1);
    }
  }
}

TEST_CASE("what was removed, cut or moved away gives its room back") {
  const metadata::Quota full{.bytes = 40, .entries = 2};
  const metadata::Operation kGivers[] = {metadata::Remove{.path = "/q/a"},
                                         metadata::Rename{"/q/a", "/a"},
                                         metadata::Concatenate{"/b", {"/q/a"}}};
  for (const metadata::Operation& giver : kGivers) {
    Forged forged = with_quota(full);
    for (const uint64_t request : {8, 9}) {
      Operation asked{.act = Act::kRename, .path = "/?"};
      asked.requests = {{ClientId(1), RequestId(request)}};
      forged.unknown(forged.begin(asked));
    }
    forged.commit(8, giver);
    const metadata::Operation copy = metadata::Copy{.from = "/e/c", .to = "/q/c", .version = {}};
    Forged refused = forged;
    forged.commit(9, copy);
    CHECK_EQ(linearizability_breaches(forged), 0);
    refused.commit(9, copy, fail(Code::kNoSpace, ""));
    CHECK_EQ(linearizability_breaches(refused), 1);
  }
}

TEST_CASE("the use and the quota that a directory is said to have are the model's") {
  const auto told = [](metadata::DirectoryUse use) {
    Forged forged = with_quota({.bytes = 50, .entries = {}});
    forged.done(forged.begin({.act = Act::kUse, .path = "/q"}), 7).used = use;
    return linearizability_breaches(forged);
  };
  const metadata::Quota quota{.bytes = 50, .entries = {}};
  CHECK_EQ(told({.use = {40, 2}, .quota = quota}), 0);
  CHECK_EQ(told({.use = {41, 2}, .quota = quota}), 1);
  CHECK_EQ(told({.use = {40, 3}, .quota = quota}), 1);
  CHECK_EQ(told({.use = {40, 2}, .quota = {}}), 1);
}

TEST_CASE("changes of a file are counted, and start anew with another file") {
  const auto told = [](uint64_t changes, uint16_t mode) {
    Forged forged;
    forged.put_made("/a", 40, 1, 1);
    forged.set_mode("/a", 0600, 2);
    forged.truncate("/a", 40, 3);  // changes nothing
    forged.truncate("/a", 30, 4);
    forged.put_made("/b", 10, 2, 5);
    forged.concatenate("/a", {"/b"}, 6);
    forged.rename("/a", "/c", 7);
    forged.stat("/c", 40, {InodeId(1), changes}, 7).marks.mode = mode;
    forged.put_made("/c", 5, 3, 8);
    forged.stat("/c", 5, {InodeId(2), 0}, 8);
    return linearizability_breaches(forged);
  };
  CHECK_EQ(told(3, 0600), 0);
  CHECK_EQ(told(2, 0600), 1);
  CHECK_EQ(told(4, 0600), 1);
  CHECK_EQ(told(3, 0640), 1);
}

TEST_CASE("a directory keeps its owner, and a copy has that of its source") {
  Forged forged;
  forged.make_directory("/d", 1);
  forged.put_made("/d/a", 1, 1, 2);
  for (const auto& [path, position] : {std::pair("/d", 3), std::pair("/d/a", 4)})
    forged.set_mode(path, 0700, position);
  const size_t copy = forged.begin({.act = Act::kCopy, .path = "/d/a", .to = "/b"});
  forged.commit(5, metadata::Copy{.from = "/d/a", .to = "/b", .version = {}});
  forged.done(copy, 5);
  forged.done(forged.begin({.act = Act::kStat, .path = "/d"}), 5).is_directory = true;
  CHECK_EQ(linearizability_breaches(forged), 1);
  forged.history.at(forged.history.operations().size() - 1).marks.mode = 0700;
  forged.stat("/b", 1, {InodeId(9), 0}, 5).marks.mode = 0700;
  CHECK_EQ(linearizability_breaches(forged), 0);
}

TEST_CASE("a file has one id, and an id one file, for ever") {
  Forged forged;
  forged.put_made("/a", 1, 1, 1);
  forged.put_made("/b", 1, 2, 2);
  forged.stat("/a", 1, {InodeId(1), 0}, 2);
  forged.stat("/b", 1, {InodeId(2), 0}, 2);
  forged.rename("/a", "/c", 3);
  forged.stat("/c", 1, {InodeId(1), 0}, 3);
  CHECK_EQ(linearizability_breaches(forged), 0);
  forged.put_made("/b", 1, 3, 4);
  forged.stat("/b", 1, {InodeId(1), 0}, 4);
  CHECK_EQ(linearizability_breaches(forged), 1);
  forged.stat("/c", 1, {InodeId(3), 0}, 4);
  CHECK_EQ(linearizability_breaches(forged), 2);
}

TEST_CASE("a put over a version is done over that one alone") {
  enum class Between { kNothing, kChange, kOtherFile, kRemoval };
  const auto breaches = [](Between between, bool small, metadata::Response response) {
    Forged forged;
    forged.put_made("/a", 40, 1, 1);
    forged.stat("/a", 40, {InodeId(1), 0}, 1);
    if (between == Between::kChange) forged.set_mode("/a", 0600, 2);
    if (between == Between::kOtherFile) forged.put_made("/a", 40, 2, 2);
    if (between == Between::kRemoval) forged.remove("/a", 2);
    Operation put{.act = Act::kPut, .path = "/a", .content = Forged::made(30, 3)};
    put.number = 3;
    put.if_version = {InodeId(1), 0};
    const size_t number = forged.begin(put);
    metadata::PutInline at_once{
        .path = "/a", .policy = {}, .content = std::string(make_bytes(30, 3).text())};
    metadata::Publish publish{.file = {}, .epoch = {}, .path = "/a", .length = 30};
    at_once.condition = publish.condition = metadata::PublishCondition::kIfVersion;
    at_once.version = publish.version = *put.if_version;
    const bool done = response.has_value();
    forged.commit(3, small ? metadata::Operation(at_once) : publish, std::move(response));
    done ? forged.done(number, 3) : forged.refused(number, Code::kPrecondition, 3);
    return linearizability_breaches(forged);
  };
  for (const bool small : {true, false}) {
    for (const Between between :
         {Between::kNothing, Between::kChange, Between::kOtherFile, Between::kRemoval}) {
      const bool right = between == Between::kNothing;
      CHECK_EQ(breaches(between, small, metadata::Done{}), right ? 0 : 1);
      CHECK_EQ(breaches(between, small, fail(Code::kPrecondition, "")), right ? 1 : 0);
    }
  }
}

}  // namespace
}  // namespace dogfs::sim
