#include "sim/check/availability.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

constexpr AvailabilityRules kRules{
    .client = 0, .from = Instant(0s), .until = Instant(60s), .answered_within = 8s};

History answered_every_second(Duration but_from, Duration but_until) {
  History history;
  for (Duration when = 1s; when < 60s; when += 1s) {
    if (when > but_from && when < but_until) continue;
    Operation stat{.client = 0, .act = Act::kStat, .path = "/d0"};
    stat.began = Instant(when - 10ms);
    stat.ended = Instant(when);
    stat.outcome = Outcome::kRefused;  // an answer is an answer
    stat.code = Code::kNotFound;
    stat.position = LogIndex(1);
    history.begin(stat);
  }
  return history;
}

uint64_t breaches(const std::vector<Disturbance>& disturbances, const History& history) {
  Violations violations;
  check_availability(disturbances, history, kRules, violations);
  return violations.count(Oracle::kLiveness);
}

TEST_CASE("a group that always answers is available, and one that stops is not") {
  CHECK_EQ(breaches({}, answered_every_second(0s, 0s)), 0);
  CHECK_EQ(breaches({}, answered_every_second(20s, 30s)), 1);
  CHECK_EQ(breaches({}, answered_every_second(20s, 27s)), 0);
  CHECK_EQ(breaches({}, answered_every_second(50s, 60s)), 1);
}

TEST_CASE("after a disturbance the group has time to find itself, and no more") {
  const History silent = answered_every_second(20s, 34s);
  CHECK_EQ(breaches({{Instant(27s), true}}, silent), 0);
  CHECK_EQ(breaches({{Instant(21s), true}}, silent), 1);
}

TEST_CASE("while no majority is well nothing is demanded") {
  const History silent = answered_every_second(20s, 40s);
  CHECK_EQ(breaches({{Instant(21s), false}, {Instant(33s), true}}, silent), 0);
  CHECK_EQ(breaches({{Instant(21s), false}, {Instant(30s), true}}, silent), 1);
}

TEST_CASE("answers to others, and failures without an answer, count for nothing") {
  History history = answered_every_second(20s, 30s);
  Operation other{.client = 3, .act = Act::kStat, .path = "/d0"};
  other.ended = Instant(25s);
  other.position = LogIndex(1);
  history.begin(other);
  Operation lost{.client = 0, .act = Act::kStat, .path = "/d0"};
  lost.ended = Instant(25s);
  lost.outcome = Outcome::kRefused;
  lost.code = Code::kUnavailable;
  history.begin(lost);
  CHECK_EQ(breaches({}, history), 1);
}

TEST_CASE("answers go on while an operator moves what it likes") {
  const History silent = answered_every_second(20s, 34s);
  const Disturbance by_hand{.when = Instant(27s), .by_hand = true};
  CHECK_EQ(breaches({by_hand}, silent), 1);
  // It is known from then on that too few are left of those that are well.
  CHECK_EQ(breaches({{.when = Instant(21s), .well = false, .by_hand = true},
                     {.when = Instant(30s), .by_hand = true}},
                    silent),
           0);
}

uint64_t replaced(const std::vector<Disturbance>& disturbances, std::vector<Instant> elections) {
  Violations violations;
  check_stability(disturbances, elections,
                  {.from = Instant(0s), .until = Instant(60s), .settled_within = 8s}, violations);
  return violations.count(Oracle::kLiveness);
}

TEST_CASE("a leader is replaced after something happened to the servers, not out of the blue") {
  CHECK_EQ(replaced({{Instant(20s), true}}, {Instant(1s), Instant(21s), Instant(28s)}), 0);
  CHECK_EQ(replaced({{Instant(20s), true}}, {Instant(10s)}), 1);
  CHECK_EQ(replaced({{Instant(20s), true}}, {Instant(29s), Instant(35s)}), 2);
  CHECK_EQ(replaced({{Instant(20s), false}}, {Instant(29s)}), 0);
  CHECK_EQ(replaced({{Instant(20s), false}}, {Instant(61s)}), 0);
  CHECK_EQ(replaced({{.when = Instant(20s), .by_hand = true}}, {Instant(21s)}), 0);
}

}  // namespace
}  // namespace dogfs::sim
