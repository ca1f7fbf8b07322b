#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

constexpr size_t kLimit = ClusterFixture::kInlineBytes;

TEST_CASE("a small file is made by one entry, and its bytes come with its location") {
  ClusterFixture fs;
  const LogIndex before = fs.index;
  REQUIRE_EQ(outcome(fs.put_inline("/f", "some bytes")), "ok");
  CHECK_EQ(fs.index, before.next());
  const auto location = fs.machine.locate("/f", {});
  REQUIRE(location.has_value());
  CHECK_EQ(location->content, "some bytes");
  CHECK_EQ(location->length, 10u);
  CHECK(location->blocks.empty());
  CHECK_FALSE(location->more);
  CHECK_EQ(fs.machine.locate(location->file, {.offset = 3, .length = 1})->content, "some bytes");
  const auto attributes = fs.machine.stat("/f");
  CHECK(attributes->is_inline());
  CHECK_EQ(attributes->length, 10u);
  CHECK_EQ(fs.machine.counters().files, 1u);
  CHECK_EQ(fs.machine.counters().blocks, 0u);
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("the limit of the cluster holds to the byte, and a client is told of it") {
  ClusterFixture fs;
  const auto registered = fs.lead(RegisterClient{});
  CHECK_EQ(std::get<ClientRegistered>(*registered).inline_bytes, kLimit);
  CHECK_EQ(outcome(fs.put_inline("/f", std::string(kLimit, 'x'))), "ok");
  CHECK_EQ(outcome(fs.put_inline("/g", std::string(kLimit + 1, 'x'))), "too_large");
  CHECK_EQ(outcome(fs.put_inline("/empty", "")), "ok");
  CHECK_EQ(fs.names("/"), "empty f");
}

TEST_CASE("a small file needs no chunk server") {
  ClusterFixture fs(0);
  CHECK_EQ(outcome(fs.put_inline("/f", "x")), "ok");
  CHECK_EQ(outcome(fs.ask(StartUpload{.path = "/g", .policy = {}})), "precondition");
  CHECK_EQ(
      outcome(fs.ask(PutInline{
          .path = "/g", .policy = placement::Policy::parse("rs-10-4").value(), .content = "x"})),
      "precondition");
}

TEST_CASE("a small file is refused where an upload would be") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put_inline("/f", "old").has_value());
  CHECK_EQ(outcome(fs.put_inline("/d", "x")), "exists");
  CHECK_EQ(outcome(fs.put_inline("/", "x")), "exists");
  CHECK_EQ(outcome(fs.put_inline("/f", "x", PublishCondition::kIfAbsent)), "exists");
  CHECK_EQ(outcome(fs.put_inline("/no/f", "x")), "not_found");
  CHECK_EQ(outcome(fs.put_inline("/f/g", "x")), "precondition");
  CHECK_EQ(outcome(fs.put_inline("f", "x")), "invalid");
  CHECK_EQ(fs.machine.locate("/f", {})->content, "old");
}

TEST_CASE("small and large files replace each other, whole") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {500}).has_value());
  const auto large = fs.machine.locate("/f", {});
  REQUIRE(fs.put_inline("/f", "small").has_value());
  CHECK_EQ(fs.machine.locate("/f", {})->content, "small");
  CHECK_EQ(fs.machine.locate(large->file, {}).error().code, Code::kNotFound);
  CHECK_EQ(fs.machine.counters().garbage_blocks, 1u);
  REQUIRE(fs.put("/f", {500}).has_value());
  CHECK(fs.machine.locate("/f", {})->content.empty());
  CHECK_EQ(fs.machine.counters().files, 1u);
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("a small file keeps its bytes when it moves, and through a snapshot") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put_inline("/f", std::string("\0\xff bytes", 8)).has_value());
  REQUIRE(fs.move("/f", "/d/g").has_value());
  auto copy = copy_through_snapshot(fs.machine, 100);
  REQUIRE(copy.has_value());
  CHECK_EQ(copy->locate("/d/g", {})->content, std::string("\0\xff bytes", 8));
  CHECK_EQ(copy->digest(), fs.machine.digest());
}

TEST_CASE("a small file that is dropped from another slot leaves nothing behind") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/d").has_value());
  REQUIRE(fs.put_inline("/d/f", "bytes").has_value());
  REQUIRE(fs.move("/d/f", "/f").has_value());  // its home stays /d
  REQUIRE(fs.remove("/f").has_value());
  while (fs.machine.removal_pending()) REQUIRE(fs.lead(RemoveStep{.limit = 1}).has_value());
  CHECK_EQ(fs.machine.counters().files, 0u);
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("a retried small put is applied once") {
  ClusterFixture fs;
  REQUIRE(fs.put_inline("/f", "first").has_value());
  const Command again{.client = fs.client,
                      .request = fs.request,
                      .acknowledged_below = {},
                      .wall = {},
                      .operation = PutInline{.path = "/f", .policy = {}, .content = "first"}};
  ++fs.request.value;
  REQUIRE(fs.apply({.client = fs.client,
                    .request = fs.request,
                    .acknowledged_below = {},
                    .wall = {},
                    .operation = PutInline{.path = "/f", .policy = {}, .content = "second"}})
              .has_value());
  CHECK_EQ(outcome(fs.apply(again)), "ok");
  CHECK_EQ(fs.machine.locate("/f", {})->content, "second");
}

}  // namespace
}  // namespace dogfs::metadata
