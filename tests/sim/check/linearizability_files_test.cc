// What is done to the bytes, the room, the attributes and the versions of files, judged by commit
// position.

#include "sim/check/linearizability.h"

#include "tests/sim/check/forged_history.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

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
  CHECK_EQ(judge_by_log(forged).count(Oracle::kExactlyOnce), 1);
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

TEST_CASE("labels are what was set last, and gone when they were taken away") {
  using metadata::LabelKind;
  const auto breaches_of =
      [](const std::map<std::pair<LabelKind, std::string>, std::string>& told) {
        Forged forged;
        forged.make_directory("/d", 1);
        forged.set_labels("/d", {{LabelKind::kTag, "a", "1"}, {LabelKind::kXattr, "a", "2"}}, 2);
        forged.set_labels("/d", {{LabelKind::kTag, "b", "3"}, {LabelKind::kXattr, "a", {}}}, 3);
        forged.set_labels("/d", {{LabelKind::kTag, "a", "4"}, {LabelKind::kTag, "c", {}}}, 4);
        Operation& stat = forged.done(forged.begin({.act = Act::kStat, .path = "/d"}), 4);
        stat.is_directory = true;
        stat.marks.labels = told;
        return linearizability_breaches(forged);
      };
  CHECK_EQ(breaches_of({{{LabelKind::kTag, "a"}, "4"}, {{LabelKind::kTag, "b"}, "3"}}), 0);
  CHECK_EQ(breaches_of({{{LabelKind::kTag, "a"}, "1"}, {{LabelKind::kTag, "b"}, "3"}}), 1);
  CHECK_EQ(breaches_of({{{LabelKind::kTag, "a"}, "4"}}), 1);
  CHECK_EQ(breaches_of({{{LabelKind::kTag, "a"}, "4"},
                        {{LabelKind::kTag, "b"}, "3"},
                        {{LabelKind::kXattr, "a"}, "2"}}),
           1);
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
