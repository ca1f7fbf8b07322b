#include "tests/replicated_map/real_map.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

constexpr int kServers = RealMap::kServers;

void expect_kept(RealMap& map) {
  map.judge();
  for (const auto& violation : map.watch.violations().kept()) FAIL_CHECK(violation.text);
  CHECK(map.history.acknowledged() > 0);
  CHECK(map.history.reads() > 0);
}

TEST_CASE("a map of real servers keeps its promises while each of them is killed and started") {
  RealMap map;
  REQUIRE(map.go_on(30));
  for (int number = 1; number <= kServers; ++number) {
    // The one that comes back is needed by the next majority, caught up by a snapshot.
    map.kill(number);
    REQUIRE(map.go_on(100));
    map.start(number);
    REQUIRE(map.go_on(10));
  }
  map.stop(map.leader());
  REQUIRE(map.go_on(20));
  CHECK(map.watch.elections() >= 3);
  expect_kept(map);
}

TEST_CASE(
    "a map of real servers keeps its promises when all are killed, and when all are stopped") {
  RealMap map;
  REQUIRE(map.go_on(50));
  for (int number = 1; number <= kServers; ++number) map.kill(number);
  for (int number = 1; number <= kServers; ++number) map.start(number);
  REQUIRE(map.go_on(50));
  for (int number = 1; number <= kServers; ++number) map.stop(number);
  for (int number = 1; number <= kServers; ++number) map.start(number);
  REQUIRE(map.go_on(50));
  CHECK(map.watch.elections() >= 3);
  expect_kept(map);
}

}  // namespace
}  // namespace dogfs::nodes
