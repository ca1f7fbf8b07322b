// Owners, modes, times and labels of inodes, who may change them, and what depends on a version.
#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

const Asker kAda{.user = "ada", .groups = {"crew"}};
const Asker kBob{.user = "bob", .groups = {"crew"}};
const Asker kEve{.user = "eve", .groups = {"guests"}};

PutInline small(const std::string& path) {
  return {.path = path, .policy = {}, .content = "x", .version = {}, .attributes = {}};
}

SetAttributes on(const std::string& path) {
  SetAttributes operation;
  operation.path = path;
  return operation;
}

SetAttributes mode_of(const std::string& path, uint16_t mode) {
  SetAttributes operation = on(path);
  operation.mode = mode;
  return operation;
}

TEST_CASE("attributes are set all or nothing, on files and directories") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put("/f", {100}).has_value());
  for (const char* path : {"/d", "/f", "/"}) {
    CAPTURE(path);
    SetAttributes operation = on(path);
    operation.owner = "ada";
    operation.group = "crew";
    operation.mode = 0640;
    operation.modified = WallTime{5};
    operation.accessed = WallTime{6};
    operation.labels = {{LabelKind::kTag, "b", "2"},
                        {LabelKind::kXattr, "user.a", "1"},
                        {LabelKind::kTag, "a", ""}};
    REQUIRE_EQ(outcome(fs.ask(operation)), "ok");
    const InodeAttributes expected{.owner = "ada",
                                   .group = "crew",
                                   .mode = 0640,
                                   .accessed = WallTime{6},
                                   .labels = {{LabelKind::kXattr, "user.a", "1"},
                                              {LabelKind::kTag, "a", ""},
                                              {LabelKind::kTag, "b", "2"}}};
    CHECK((fs.machine.stat(path)->inode == expected));
    CHECK((fs.machine.stat(path)->modified == WallTime{5}));
    SetAttributes second = on(path);
    second.labels = {{LabelKind::kTag, "b", "3"},
                     {LabelKind::kTag, "a", std::nullopt},
                     {LabelKind::kHeader, "gone", std::nullopt}};
    REQUIRE_EQ(outcome(fs.ask(second)), "ok");
    const auto labels = fs.machine.stat(path)->inode.labels;
    const std::vector<Label> left{{LabelKind::kXattr, "user.a", "1"}, {LabelKind::kTag, "b", "3"}};
    CHECK((labels == left));
    SetAttributes bad = on(path);
    bad.owner = "eve";
    bad.mode = 010000;
    CHECK_EQ(outcome(fs.ask(bad)), "invalid");
    CHECK_EQ(fs.machine.stat(path)->inode.owner, "ada");
  }
  CHECK_EQ(outcome(fs.ask(mode_of("/none", 0))), "not_found");
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("labels are bounded in number and bytes, and a listing leaves them away") {
  ClusterFixture fs;
  REQUIRE(fs.put_inline("/f", "x").has_value());
  SetAttributes large = on("/f");
  large.labels = {{LabelKind::kTag, "a", std::string(limits::kLabelsBytesMax, 'x')}};
  CHECK_EQ(outcome(fs.ask(large)), "too_large");
  large.labels = {{LabelKind::kTag, "a", std::string(limits::kLabelsBytesMax - 1, 'x')}};
  CHECK_EQ(outcome(fs.ask(large)), "ok");
  SetAttributes many = on("/f");
  many.labels = {{LabelKind::kTag, "a", std::nullopt}};
  REQUIRE(fs.ask(many).has_value());
  many.labels.clear();
  for (size_t i = 0; i < limits::kLabelsMax; ++i) {
    many.labels.push_back({LabelKind::kXattr, fmt::format("n{}", i), ""});
  }
  CHECK_EQ(outcome(fs.ask(many)), "ok");
  many.labels = {{LabelKind::kXattr, "one more", ""}};
  CHECK_EQ(outcome(fs.ask(many)), "too_large");
  CHECK_EQ(fs.machine.stat("/f")->inode.labels.size(), limits::kLabelsMax);
  CHECK(fs.machine.list("/", "", 10)->entries[0].attributes.inode.labels.empty());
}

TEST_CASE("a file is published with its attributes, and they survive rename and snapshot") {
  ClusterFixture fs;
  const InodeAttributes wanted{.owner = "ada",
                               .group = "",
                               .mode = 0600,
                               .accessed = {},
                               .labels = {{LabelKind::kHeader, "content-type", "text/plain"}}};
  const auto upload = fs.write("/f", {100});
  REQUIRE(upload.has_value());
  REQUIRE(fs.ask(Publish{.file = upload->file,
                         .epoch = upload->epoch,
                         .path = "/f",
                         .length = 100,
                         .version = {},
                         .attributes = wanted})
              .has_value());
  REQUIRE(fs.move("/f", "/g").has_value());
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  CHECK((copy->stat("/g")->inode == wanted));
  PutInline bad = small("/bad");
  bad.attributes.labels = {{LabelKind::kTag, "b", ""}, {LabelKind::kTag, "a", ""}};
  CHECK_EQ(outcome(fs.ask(bad)), "invalid");
}

TEST_CASE("a version is taken once: by publishing, by inline puts, by setting attributes") {
  ClusterFixture fs;
  REQUIRE(fs.put_inline("/f", "one").has_value());
  const FileVersion first = fs.machine.stat("/f")->version();
  PutInline second = small("/f");
  second.condition = PublishCondition::kIfVersion;
  second.version = first;
  REQUIRE_EQ(outcome(fs.ask(second)), "ok");
  CHECK_EQ(outcome(fs.ask(second)), "precondition");
  const FileVersion now = fs.machine.stat("/f")->version();
  CHECK((now != first));
  SetAttributes label = on("/f");
  label.version = now;
  label.mode = 0600;
  REQUIRE_EQ(outcome(fs.ask(label)), "ok");
  CHECK_EQ(outcome(fs.ask(label)), "precondition");
  const auto upload = fs.write("/f", {100});
  REQUIRE(upload.has_value());
  Publish publish{.file = upload->file,
                  .epoch = upload->epoch,
                  .path = "/f",
                  .length = 100,
                  .condition = PublishCondition::kIfVersion,
                  .version = now,
                  .attributes = {}};
  CHECK_EQ(outcome(fs.ask(publish)), "precondition");
  publish.version = fs.machine.stat("/f")->version();
  CHECK_EQ(outcome(fs.ask(publish)), "ok");
  second.path = "/none";
  CHECK_EQ(outcome(fs.ask(second)), "precondition");
  label.path = "/";
  CHECK_EQ(outcome(fs.ask(label)), "precondition");
}

TEST_CASE("without an asker nothing is checked, and what nobody owns is open to all") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  CHECK_EQ(outcome(ask_as(fs, kEve, small("/d/f"))), "ok");
  CHECK_EQ(fs.machine.stat("/d/f")->inode.owner, "eve");
  CHECK_EQ(fs.machine.stat("/d/f")->inode.group, "guests");
  REQUIRE(fs.ask(mode_of("/d", 0)).has_value());
  CHECK_EQ(outcome(ask_as(fs, kEve, small("/d/g"))), "denied");
  CHECK_EQ(outcome(fs.ask(small("/d/g"))), "ok");
}

TEST_CASE("a directory's bits say who may enter, change and list it") {
  ClusterFixture fs;
  REQUIRE(ask_as(fs, kAda, MakeDirectory{.path = "/d"}).has_value());
  REQUIRE(ask_as(fs, kAda, small("/d/f")).has_value());
  const auto allowed = [&](const Asker& asker, uint16_t mode) {
    REQUIRE(fs.ask(mode_of("/d", mode)).has_value());
    std::string out;
    if (fs.machine.stat("/d/f", &asker)) out += 'x';
    if (fs.machine.list("/d", "", 10, &asker)) out += 'r';
    if (ask_as(fs, asker, small("/d/g"))) out += 'w';
    return out;
  };
  CHECK_EQ(allowed(kAda, 0700), "xrw");
  CHECK_EQ(allowed(kBob, 0700), "");
  CHECK_EQ(allowed(kBob, 0750), "xr");
  CHECK_EQ(allowed(kBob, 0770), "xrw");
  CHECK_EQ(allowed(kEve, 0770), "");
  CHECK_EQ(allowed(kEve, 0771), "x");
  CHECK_EQ(allowed(kEve, 0774), "r");
  CHECK_EQ(allowed(kEve, 0773), "xw");
  CHECK_EQ(allowed(kAda, 0077), "");  // the owner's bits alone count for the owner
}

TEST_CASE("every operation on names asks for leave to change their directories") {
  ClusterFixture fs;
  REQUIRE(ask_as(fs, kAda, MakeDirectory{.path = "/d"}).has_value());  // 0755
  REQUIRE(ask_as(fs, kAda, MakeDirectory{.path = "/d/sub"}).has_value());
  REQUIRE(ask_as(fs, kAda, small("/d/f")).has_value());
  REQUIRE(ask_as(fs, kEve, small("/mine")).has_value());
  const auto upload = fs.write("/d/new", {});
  REQUIRE(upload.has_value());
  const std::vector<Operation> refused{
      MakeDirectory{.path = "/d/x"},
      MakeDirectory{.path = "/d/x/y", .parents = true},
      Rename{.from = "/d/f", .to = "/stolen"},
      Rename{.from = "/mine", .to = "/d/mine"},
      Remove{.path = "/d/f"},
      Remove{.path = "/d/sub", .recursive = true},
      StartUpload{.path = "/d/x"},
      small("/d/f"),
      Publish{.file = upload->file, .epoch = upload->epoch, .path = "/d/new"},
  };
  const auto digest = fs.machine.tables().rows().digest();
  for (const Operation& operation : refused) {
    CAPTURE(operation_name(operation));
    CHECK_EQ(outcome(ask_as(fs, kEve, operation)), "denied");
  }
  CHECK_EQ(fs.names("/d"), "f sub/");
  CHECK_NE(digest, fs.machine.tables().rows().digest());  // the results of the session
  for (const Operation& operation : refused) {
    CAPTURE(operation_name(operation));
    CHECK_NE(outcome(ask_as(fs, kAda, operation)), "denied");
  }
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("a file's bits say who may read it") {
  ClusterFixture fs;
  REQUIRE(ask_as(fs, kAda, small("/f")).has_value());
  CHECK(fs.machine.locate("/f", {}, &kEve).has_value());  // 0644
  REQUIRE(ask_as(fs, kAda, mode_of("/f", 0640)).has_value());
  CHECK(fs.machine.locate("/f", {}, &kBob).has_value());
  CHECK_EQ(fs.machine.locate("/f", {}, &kEve).error().code, Code::kDenied);
  const FileHandle file = fs.machine.locate("/f", {})->file;
  CHECK_EQ(fs.machine.locate(file, {}, &kEve).error().code, Code::kDenied);
}

TEST_CASE("only the owner changes a mode or a group, and gives nothing away") {
  ClusterFixture fs;
  REQUIRE(ask_as(fs, kAda, small("/f")).has_value());
  const auto with = [](auto change) {
    SetAttributes operation = on("/f");
    change(operation);
    return operation;
  };
  const auto mode = mode_of("/f", 0666);
  const auto to_bob = with([](SetAttributes& s) { s.owner = "bob"; });
  const auto to_crew = with([](SetAttributes& s) { s.group = "crew"; });
  const auto to_guests = with([](SetAttributes& s) { s.group = "guests"; });
  const auto label = with([](SetAttributes& s) { s.labels = {{LabelKind::kTag, "a", "1"}}; });
  CHECK_EQ(outcome(ask_as(fs, kBob, mode)), "denied");
  CHECK_EQ(outcome(ask_as(fs, kBob, to_crew)), "denied");
  CHECK_EQ(outcome(ask_as(fs, kBob, label)), "denied");
  CHECK_EQ(outcome(ask_as(fs, kAda, to_bob)), "denied");
  CHECK_EQ(outcome(ask_as(fs, kAda, to_guests)), "denied");
  CHECK_EQ(outcome(ask_as(fs, kAda, to_crew)), "ok");
  CHECK_EQ(outcome(ask_as(fs, kAda, label)), "ok");
  CHECK_EQ(outcome(ask_as(fs, kAda, mode)), "ok");
  CHECK_EQ(outcome(ask_as(fs, kBob, label)), "ok");  // 0666: who may write may label
  CHECK_EQ(outcome(fs.ask(to_bob)), "ok");           // nobody is checked
}

}  // namespace
}  // namespace dogfs::metadata
