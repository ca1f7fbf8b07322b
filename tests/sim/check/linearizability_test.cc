#include "sim/check/linearizability.h"

#include "tests/sim/check/forged_history.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

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
  CHECK(judge_by_log(forged).empty());
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
  CHECK(judge_by_log(forged).empty());
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
  CHECK(judge_by_log(forged).empty());
  forged.commit(3, metadata::Remove{.path = "/a"}, fail(Code::kNotFound, ""));
  CHECK_EQ(linearizability_breaches(forged), 1);
}

TEST_CASE("an unknown change may have happened or not, but once") {
  Forged forged;
  const size_t number = forged.begin({.act = Act::kPut, .path = "/a", .content = content_of("x")});
  forged.unknown(number);
  CHECK(judge_by_log(forged).empty());
  forged.commit(1, Forged::publish("/a", 1));
  forged.get("/a", "x", 1);
  CHECK(judge_by_log(forged).empty());
  forged.commit(2, Forged::publish("/a", 1));
  CHECK_EQ(judge_by_log(forged).count(Oracle::kExactlyOnce), 1);
}

TEST_CASE("a refused change that was applied all the same is seen") {
  Forged forged;
  const size_t number = forged.begin({.act = Act::kMakeDirectory, .path = "/a"});
  forged.refused(number, Code::kUnavailable);
  CHECK(judge_by_log(forged).empty());
  forged.commit(1, metadata::MakeDirectory{.path = "/a"});
  CHECK_EQ(judge_by_log(forged).count(Oracle::kExactlyOnce), 1);
}

TEST_CASE("a repeated request takes effect where it first stands, and is answered alike") {
  Forged forged;
  forged.put("/a", "x", 1);
  const size_t number = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.commit(2, metadata::Remove{.path = "/a"}, {}, 50);
  forged.commit(3, metadata::Remove{.path = "/a"}, {}, 50);
  forged.done(number, 3);
  CHECK(judge_by_log(forged).empty());
  forged.commit(4, metadata::Remove{.path = "/a"}, fail(Code::kNotFound, ""), 50);
  CHECK_EQ(judge_by_log(forged).count(Oracle::kExactlyOnce), 1);
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
  CHECK(judge_by_log(forged).empty());
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
  CHECK(judge_by_log(forged).empty());
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
    CHECK(judge_by_log(forged).empty());
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
  CHECK(judge_by_log(forged).empty());
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
  CHECK(judge_by_log(forged).empty());
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
    CHECK(judge_by_log(forged).empty());
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
  CHECK(judge_by_log(forged).empty());
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
  CHECK(judge_by_log(forged).empty());
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
  CHECK_EQ(judge_by_log(forged).count(Oracle::kExactlyOnce), 1);
}

TEST_CASE("an answer that names the entry of another request is refuted") {
  Forged forged;
  forged.put("/a", "x", 1);
  const size_t first = forged.begin({.act = Act::kRemove, .path = "/a"});
  forged.history.at(first).requests = {{ClientId(1), RequestId(7)}};
  forged.commit(2, metadata::Remove{.path = "/a"}, {}, 8);
  forged.done(first, 2);
  CHECK(judge_by_log(forged).count(Oracle::kLinearizability) >= 1);
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
    return judge_by_log(copy).count(Oracle::kLinearizability);
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
  CHECK(judge_by_log(history_of("bytes", "bytes")).empty());
  CHECK_FALSE(judge_by_log(history_of("bytes", "other")).empty());
  CHECK_FALSE(judge_by_log(history_of("other", "other")).empty());
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
  CHECK(judge_by_log(history_of(fail(Code::kExists, "it exists"))).empty());
  CHECK_FALSE(judge_by_log(history_of(metadata::Done{})).empty());
}

metadata::PutPacked packed(const std::string& path, uint64_t length) {
  return {.path = path,
          .policy = {},
          .pack = {},
          .block = BlockId(9),
          .block_offset = 0,
          .length = length,
          .condition = metadata::PublishCondition::kOverwrite,
          .version = {},
          .attributes = {}};
}

TEST_CASE("a packed put stands in the log with its length, and is read to the byte") {
  const auto history_of = [](uint64_t logged, std::string_view read) {
    Forged forged;
    const size_t number =
        forged.begin({.act = Act::kPut, .path = "/f", .content = content_of("bytes")});
    forged.commit(1, packed("/f", logged));
    forged.done(number, 1);
    forged.get("/f", read, 1);
    return forged;
  };
  CHECK(judge_by_log(history_of(5, "bytes")).empty());
  CHECK_FALSE(judge_by_log(history_of(5, "other")).empty());
  CHECK_FALSE(judge_by_log(history_of(6, "bytes")).empty());
}

TEST_CASE("a packed put that the log refused may be done in another way, and only then") {
  const auto history_of = [](Code refusal) {
    Forged forged;
    const size_t number =
        forged.begin({.act = Act::kPut, .path = "/f", .content = content_of("bytes")});
    forged.history.at(number).requests = {{ClientId(1), RequestId(7)}, {ClientId(1), RequestId(8)}};
    forged.commit(1, packed("/f", 5), fail(refusal, "no"), 7);
    forged.commit(2, metadata::PutInline{.path = "/f", .policy = {}, .content = "bytes"},
                  metadata::Done{}, 8);
    forged.done(number, 2);
    forged.get("/f", "bytes", 2);
    return forged;
  };
  CHECK(judge_by_log(history_of(Code::kUnavailable)).empty());
  // There is nothing in its way that the log could have named.
  CHECK_FALSE(judge_by_log(history_of(Code::kExists)).empty());
}

TEST_CASE("a put that the log refused for a pack may be refused in another way without an answer") {
  const auto history_of = [](Code told) {
    Forged forged;
    const size_t number =
        forged.begin({.act = Act::kPut, .path = "/no/f", .content = content_of("bytes")});
    forged.history.at(number).requests = {{ClientId(1), RequestId(7)}};
    forged.commit(1, packed("/no/f", 5), fail(Code::kNotFound, "no"), 7);
    forged.refused(number, told, 1);
    return forged;
  };
  CHECK(judge_by_log(history_of(Code::kNotFound)).empty());
  CHECK(judge_by_log(history_of(Code::kUnavailable)).empty());
  CHECK_FALSE(judge_by_log(history_of(Code::kExists)).empty());
}

TEST_CASE("the directory of packs is in no tree") {
  Forged forged;
  forged.commit(1, metadata::MakeDirectory{.path = "/.packs", .parents = true, .policy = {}}, {},
                3);
  Operation list{.act = Act::kList, .path = "/"};
  forged.done(forged.begin(list), 1);
  CHECK(judge_by_log(forged).empty());
}

}  // namespace
}  // namespace dogfs::sim
