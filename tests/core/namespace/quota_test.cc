// What directories hold, and that they hold no more than their quotas.
#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

Response limit(ClusterFixture& fs, const std::string& path, std::optional<uint64_t> bytes,
               std::optional<uint64_t> entries) {
  return fs.ask(SetQuota{.path = path, .quota = {.bytes = bytes, .entries = entries}});
}

// "150/3": bytes and entries.
std::string held(const ClusterFixture& fs, const std::string& path) {
  const auto found = fs.machine.use(path);
  if (!found) return std::string(code_name(found.error().code));
  return fmt::format("{}/{}", found->use.bytes, found->use.entries);
}

void check_sound(const ClusterFixture& fs) {
  const auto sound = check_invariants(fs.machine);
  CHECK_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
}

TEST_CASE("every directory knows what lies below it, whatever happens there") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/a/b", true).has_value());
  REQUIRE(fs.put("/a/b/f", {100, 50}).has_value());
  REQUIRE(fs.put_inline("/a/g", "bytes").has_value());
  CHECK_EQ(held(fs, "/"), "155/4");
  CHECK_EQ(held(fs, "/a"), "155/3");
  CHECK_EQ(held(fs, "/a/b"), "150/1");
  CHECK_EQ(held(fs, "/a/g"), "5/1");
  CHECK_EQ(held(fs, "/none"), "not_found");
  REQUIRE(fs.put_inline("/a/b/f", "x").has_value());
  CHECK_EQ(held(fs, "/a"), "6/3");
  REQUIRE(fs.ask(Truncate{.path = "/a/g", .length = 2}).has_value());
  CHECK_EQ(held(fs, "/a"), "3/3");
  REQUIRE(fs.ask(Copy{.from = "/a/g", .to = "/a/b/h", .version = {}}).has_value());
  CHECK_EQ(held(fs, "/a/b"), "3/2");
  REQUIRE(fs.ask(Concatenate{.path = "/a/g", .sources = {"/a/b/h"}}).has_value());
  CHECK_EQ(held(fs, "/a"), "5/3");
  CHECK_EQ(held(fs, "/a/b"), "1/1");
  REQUIRE(fs.move("/a/b", "/b").has_value());
  CHECK_EQ(held(fs, "/a"), "4/1");
  CHECK_EQ(held(fs, "/b"), "1/1");
  CHECK_EQ(held(fs, "/"), "5/4");
  check_sound(fs);
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  CHECK_EQ(copy->use("/")->use.bytes, 5u);
  CHECK(check_invariants(*copy).has_value());
  REQUIRE(fs.remove("/b", true).has_value());
  CHECK_EQ(held(fs, "/"), "4/2");  // at once, whatever is left to take apart
  while (fs.machine.removal_pending()) {
    REQUIRE(fs.lead(RemoveStep{.limit = 1}).has_value());
    check_sound(fs);
  }
  CHECK_EQ(held(fs, "/"), "4/2");
}

TEST_CASE("a quota of bytes holds to the byte, for every way to bring bytes in") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/q/d", true).has_value());
  REQUIRE(fs.put("/out", {60}).has_value());
  REQUIRE(fs.put_inline("/small", "1234567890").has_value());
  REQUIRE(fs.put("/q/d/in", {50}).has_value());
  REQUIRE_EQ(outcome(limit(fs, "/q", 100, std::nullopt)), "ok");
  CHECK_EQ(outcome(fs.put("/q/d/f", {51})), "no_space");
  CHECK_EQ(outcome(fs.put_inline("/q/d/f", std::string(51, 'x'))), "no_space");
  CHECK_EQ(outcome(fs.move("/out", "/q/out")), "no_space");
  CHECK_EQ(outcome(fs.ask(Copy{.from = "/out", .to = "/q/out", .version = {}})), "no_space");
  CHECK_EQ(outcome(fs.ask(Concatenate{.path = "/q/d/in", .sources = {"/out"}})), "no_space");
  CHECK_EQ(held(fs, "/q"), "50/2");
  CHECK_EQ(outcome(fs.put_inline("/q/d/f", std::string(50, 'x'))), "ok");
  CHECK_EQ(held(fs, "/q"), "100/3");
  CHECK_EQ(outcome(fs.put_inline("/q/g", "x")), "no_space");
  CHECK_EQ(outcome(fs.put_inline("/q/g", "")), "ok");
  CHECK_EQ(outcome(fs.put("/q/d/in", {50})), "ok");    // what it replaces goes
  CHECK_EQ(outcome(fs.move("/q/d/f", "/q/f")), "ok");  // stays below
  CHECK_EQ(outcome(fs.move("/small", "/q/f")), "ok");  // smaller than what it replaces
  CHECK_EQ(held(fs, "/q"), "60/4");
  CHECK_EQ(outcome(fs.remove("/q/d", true)), "ok");
  CHECK_EQ(outcome(fs.put("/q/again", {90})), "ok");
  check_sound(fs);
}

TEST_CASE("a quota of entries holds, for every way to make one") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/q").has_value());
  REQUIRE(fs.make_directory("/d/e/f", true).has_value());
  REQUIRE_EQ(outcome(limit(fs, "/q", std::nullopt, 2)), "ok");
  CHECK_EQ(outcome(fs.make_directory("/q/a/b/c", true)), "no_space");
  CHECK_EQ(fs.names("/q"), "");
  CHECK_EQ(outcome(fs.move("/d", "/q/d")), "no_space");  // three at once
  CHECK_EQ(outcome(fs.move("/d/e", "/q/e")), "ok");
  CHECK_EQ(outcome(fs.put_inline("/q/f", "")), "no_space");
  CHECK_EQ(outcome(fs.ask(StartUpload{.path = "/q/f", .policy = {}})), "no_space");
  CHECK_EQ(outcome(fs.make_directory("/q/f")), "no_space");
  CHECK_EQ(outcome(fs.move("/q/e/f", "/f")), "ok");
  CHECK_EQ(outcome(fs.make_directory("/q/f")), "ok");
  CHECK_EQ(held(fs, "/q"), "0/2");
}

TEST_CASE("the quota of every directory above counts, and one below its use only ends growth") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/v/d", true).has_value());
  REQUIRE(fs.put("/v/d/f", {100}).has_value());
  REQUIRE(limit(fs, "/v", 50, std::nullopt).has_value());
  REQUIRE(limit(fs, "/v/d", 1000, 1000).has_value());
  CHECK_EQ(outcome(fs.put_inline("/v/d/g", "x")), "no_space");
  CHECK_EQ(outcome(fs.put("/v/d/f", {99})), "ok");
  CHECK_EQ(outcome(fs.move("/v/d/f", "/v/f")), "ok");
  REQUIRE(limit(fs, "/v", std::nullopt, std::nullopt).has_value());
  CHECK_EQ(outcome(fs.put_inline("/v/d/g", "x")), "ok");
  CHECK((fs.machine.use("/v/d")->quota == Quota{.bytes = 1000, .entries = 1000}));
  CHECK((fs.machine.use("/v")->quota == Quota()));
  CHECK_EQ(outcome(limit(fs, "/v/f", 1, 1)), "precondition");
  CHECK_EQ(outcome(limit(fs, "/none", 1, 1)), "not_found");
}

TEST_CASE("a quota set while an upload runs refuses its publication") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/q").has_value());
  const auto upload = fs.write("/q/f", {100});
  REQUIRE(upload.has_value());
  REQUIRE(limit(fs, "/q", 99, std::nullopt).has_value());
  CHECK_EQ(outcome(fs.publish(*upload, "/q/f", 100)), "no_space");
  REQUIRE(limit(fs, "/q", 100, std::nullopt).has_value());
  CHECK_EQ(outcome(fs.publish(*upload, "/q/f", 100)), "ok");
}

}  // namespace
}  // namespace dogfs::metadata
