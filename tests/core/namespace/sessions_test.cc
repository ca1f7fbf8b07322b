#include <string>

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

Command command(ClientId client, uint64_t request, uint64_t below, Operation operation) {
  return {.client = client,
          .request = RequestId(request),
          .acknowledged_below = RequestId(below),
          .wall = {},
          .operation = std::move(operation)};
}

MakeDirectory mkdir(const char* path) { return {.path = path, .parents = false, .policy = {}}; }

TEST_CASE("a retried link and unlink change nothing the second time") {
  ClusterFixture fs;
  REQUIRE(fs.put("/f", {10}).has_value());
  REQUIRE(fs.put("/g", {10}).has_value());
  const ClientId me = fs.new_client();
  const auto move = command(me, 1, 1, Rename{.from = "/f", .to = "/h"});
  const auto remove = command(me, 2, 1, Remove{.path = "/g", .recursive = false});
  CHECK_EQ(outcome(fs.apply(move)), "ok");
  CHECK_EQ(outcome(fs.apply(remove)), "ok");
  // Meanwhile others put new files at both names: a retry must not touch them.
  REQUIRE(fs.put("/f", {20}).has_value());
  REQUIRE(fs.put("/g", {20}).has_value());
  const auto rows = fs.machine.tables().rows().digest();
  CHECK_EQ(outcome(fs.apply(move)), "ok");
  CHECK_EQ(outcome(fs.apply(remove)), "ok");
  CHECK_EQ(fs.machine.tables().rows().digest(), rows);
  CHECK_EQ(fs.names("/"), "f g h");
}

TEST_CASE("a refusal is remembered too") {
  ClusterFixture fs;
  const auto first = command(fs.client, 1, 1, mkdir("/a/b"));
  const auto answer = fs.apply(first);
  CHECK_EQ(outcome(answer), "not_found");
  REQUIRE(fs.apply(command(fs.client, 2, 1, mkdir("/a"))).has_value());
  CHECK((fs.apply(first) == answer));
  CHECK_EQ(fs.names("/a"), "");
}

TEST_CASE("a retried allocation gives the same blocks") {
  ClusterFixture fs;
  const auto start = command(fs.client, 1, 1, StartUpload{.path = "/f"});
  const auto upload = std::get<UploadStarted>(*fs.apply(start));
  CHECK((std::get<UploadStarted>(*fs.apply(start)) == upload));
  const AllocateBlocks allocate{
      .file = upload.file, .epoch = upload.epoch, .file_offset = 0, .lengths = {10, 20}};
  const auto first = fs.apply(command(fs.client, 2, 1, allocate));
  REQUIRE(first.has_value());
  CHECK((fs.apply(command(fs.client, 2, 1, allocate)) == first));
  CHECK_EQ(fs.machine.counters().blocks, 2u);
}

TEST_CASE("requests may arrive in any order above the low-water mark") {
  ClusterFixture fs;
  CHECK_EQ(outcome(fs.apply(command(fs.client, 3, 1, mkdir("/c")))), "ok");
  CHECK_EQ(outcome(fs.apply(command(fs.client, 1, 1, mkdir("/a")))), "ok");
  CHECK_EQ(outcome(fs.apply(command(fs.client, 2, 2, mkdir("/b")))), "ok");
  CHECK_EQ(outcome(fs.apply(command(fs.client, 3, 1, mkdir("/c")))), "ok");
  CHECK_EQ(fs.names("/"), "a/ b/ c/");
}

TEST_CASE("a request below the low-water mark is never executed and its outcome unknown") {
  ClusterFixture fs;
  REQUIRE(fs.apply(command(fs.client, 5, 5, mkdir("/a"))).has_value());
  CHECK_EQ(outcome(fs.apply(command(fs.client, 4, 1, mkdir("/b")))), "unknown");
  CHECK_EQ(outcome(fs.apply(command(fs.client, 5, 1, mkdir("/a")))), "ok");
  REQUIRE(fs.apply(command(fs.client, 6, 6, mkdir("/c"))).has_value());
  CHECK_EQ(outcome(fs.apply(command(fs.client, 5, 5, mkdir("/a")))), "unknown");
  CHECK_EQ(fs.names("/"), "a/ c/");
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("a request of an expired or unknown session is never executed and unknown") {
  ClusterFixture fs;
  REQUIRE(fs.make_directory("/a").has_value());
  const Epoch epoch = fs.machine.sessions(ClientId(0), 10).at(0).epoch;
  CHECK_EQ(outcome(fs.lead(ExpireSession{.client = fs.client, .epoch = epoch.next()})),
           "precondition");
  CHECK_EQ(outcome(fs.lead(ExpireSession{.client = fs.client, .epoch = epoch})), "ok");
  CHECK_EQ(outcome(fs.lead(ExpireSession{.client = fs.client, .epoch = epoch})), "not_found");
  CHECK_EQ(outcome(fs.make_directory("/b")), "unknown");
  fs.request = RequestId(0);  // even what it had done before
  CHECK_EQ(outcome(fs.make_directory("/a")), "unknown");
  CHECK_EQ(outcome(fs.apply(command(ClientId(999), 1, 1, mkdir("/c")))), "unknown");
  CHECK_EQ(outcome(fs.apply(command(ClientId(0), 1, 1, mkdir("/c")))), "unknown");
  CHECK_EQ(fs.names("/"), "a/");
  CHECK_EQ(fs.machine.counters().sessions, 0u);
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("a session remembers a bounded number of answers, and forgets acknowledged ones") {
  ClusterFixture fs;
  const Remove remove{.path = "/none", .recursive = false};
  for (uint64_t i = 1; i <= limits::kSessionResultsMax; ++i) {
    REQUIRE_EQ(outcome(fs.apply(command(fs.client, i, 1, remove))), "not_found");
  }
  const uint64_t next = limits::kSessionResultsMax + 1;
  CHECK_EQ(outcome(fs.apply(command(fs.client, next, 1, remove))), "unavailable");
  CHECK_EQ(outcome(fs.apply(command(fs.client, next, 2, remove))), "not_found");
  CHECK_EQ(outcome(fs.apply(command(fs.client, next, 2, remove))), "not_found");
  REQUIRE(check_invariants(fs.machine).has_value());
  const auto rows = fs.machine.tables().rows().size();
  CHECK_EQ(outcome(fs.apply(command(fs.client, next + 1, next + 1, remove))), "not_found");
  CHECK_EQ(fs.machine.tables().rows().size(), rows - limits::kSessionResultsMax + 1);
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("an expired session leaves nothing behind, whatever its requests were numbered") {
  ClusterFixture fs;
  const ClientId client = fs.new_client();
  const auto rows = fs.machine.tables().rows().size();
  REQUIRE_EQ(outcome(fs.apply(command(client, 1, 1, Remove{.path = "/none"}))), "not_found");
  REQUIRE_EQ(outcome(fs.apply(command(client, UINT64_MAX, 1, Remove{.path = "/none"}))),
             "not_found");
  const auto open = fs.machine.sessions(ClientId(client.value - 1), 1).at(0);
  REQUIRE_EQ(outcome(fs.lead(ExpireSession{.client = client, .epoch = open.epoch})), "ok");
  CHECK_EQ(fs.machine.tables().rows().size(), rows - 1);
  CHECK(check_invariants(fs.machine).has_value());
}

TEST_CASE("numbers that cannot be are invalid, and operations keep to their kind of session") {
  ClusterFixture fs;
  CHECK_EQ(outcome(fs.apply(command(fs.client, 0, 0, mkdir("/a")))), "invalid");
  CHECK_EQ(outcome(fs.apply(command(fs.client, 3, 4, mkdir("/a")))), "invalid");
  CHECK_EQ(outcome(fs.apply(command(fs.client, 1, 1, RemoveStep{.limit = 1}))), "invalid");
  CHECK_EQ(outcome(fs.lead(mkdir("/a"))), "unknown");
  CHECK_EQ(fs.names("/"), "");
}

TEST_CASE("clients are numbered once, and nothing works before there is a cluster") {
  StateMachine blank;
  const auto early = blank.apply(LogIndex(1), command(ClientId(0), 0, 0, RegisterClient{}));
  CHECK_EQ(outcome(early), "unavailable");
  ClusterFixture fs;
  const ClientId a = fs.new_client();
  const ClientId b = fs.new_client();
  CHECK_NE(a, b);
  CHECK_EQ(fs.machine.sessions(ClientId(0), 2).size(), 2u);
  CHECK_EQ(fs.machine.sessions(a, 10).size(), 1u);
}

}  // namespace
}  // namespace dogfs::metadata
