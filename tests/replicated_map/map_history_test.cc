// The judge of the map's histories, on good ones and on forged bad ones.
#include "tests/replicated_map/map_history.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

using sim::Oracle;

struct Told {
  size_t append(std::string piece, std::string answer) {
    const size_t number = history.begin_append("k", std::move(piece));
    history.done(number, std::move(answer));
    return number;
  }
  void read(std::string answer) { history.done(history.begin_read("k"), std::move(answer)); }
  // The oracles that fire on the value in the end.
  std::vector<Oracle> judge(const std::string& value) const {
    sim::Violations violations;
    history.judge("k", value, violations);
    std::vector<Oracle> fired;
    for (const auto& violation : violations.kept()) fired.push_back(violation.oracle);
    return fired;
  }

  MapHistory history;
};

const std::vector<Oracle> kNone;
const std::vector<Oracle> kOrder{Oracle::kLinearizability};

TEST_CASE("a history in one order that respects real time is not complained of") {
  Told told;
  told.read("");
  told.append("1,", "1,");
  const size_t slow = told.history.begin_append("k", "2,");
  const size_t unknown = told.history.begin_append("k", "3,");
  told.read("1,");
  told.read("1,3,");
  told.history.done(slow, "1,3,2,");
  told.history.unknown(unknown);
  told.history.unknown(told.history.begin_append("k", "4,"));
  told.history.begin_append("k", "5,");
  told.history.refused(told.history.begin_append("k", "6,"));
  CHECK_EQ(told.history.acknowledged(), 2);
  CHECK_EQ(told.history.reads(), 3);
  CHECK((told.judge("1,3,2,") == kNone));
  CHECK((told.judge("1,3,2,5,4,") == kNone));
}

TEST_CASE("an acknowledged append that is not there is a lost one") {
  Told told;
  told.append("1,", "1,");
  told.append("2,", "1,2,");
  const auto fired = told.judge("1,");
  CHECK((fired == std::vector{Oracle::kDurability, Oracle::kLinearizability}));
}

TEST_CASE("a piece that is there twice, or was refused, or that nobody wrote") {
  Told told;
  told.append("1,", "1,");
  CHECK((told.judge("1,1,") == std::vector{Oracle::kExactlyOnce}));
  CHECK((told.judge("1,9,") == std::vector{Oracle::kWrongBytes}));
  told.history.refused(told.history.begin_append("k", "2,"));
  CHECK((told.judge("1,2,") == std::vector{Oracle::kExactlyOnce}));
}

TEST_CASE("answers of two orders") {
  Told told;
  const size_t first = told.history.begin_append("k", "1,");
  const size_t second = told.history.begin_append("k", "2,");
  told.history.done(first, "1,");
  told.history.done(second, "2,");
  CHECK((told.judge("1,2,") == kOrder));
}

TEST_CASE("an append that is answered with what lacks it") {
  Told told;
  told.append("1,", "1,");
  told.append("2,", "1,");
  CHECK_FALSE(told.judge("1,2,").empty());
}

TEST_CASE("a read of what was already changed when it began") {
  Told told;
  told.append("1,", "1,");
  told.read("");
  CHECK((told.judge("1,") == kOrder));
}

TEST_CASE("a read that goes back behind another read") {
  Told told;
  told.history.begin_append("k", "1,");
  told.read("1,");
  told.read("");
  CHECK((told.judge("1,") == kOrder));
}

TEST_CASE("a read of what was only begun afterwards") {
  Told told;
  told.read("1,");
  told.history.begin_append("k", "1,");
  CHECK((told.judge("1,") == kOrder));
}

TEST_CASE("an append of unknown outcome that stands before what had ended when it began") {
  Told told;
  told.append("1,", "1,");
  told.append("2,", "1,2,");
  CHECK((told.judge("1,2,") == kNone));
  told.history.unknown(told.history.begin_append("k", "3,"));
  CHECK((told.judge("1,2,3,") == kNone));
  CHECK_FALSE(told.judge("3,1,2,").empty());
  CHECK_FALSE(told.judge("1,3,2,").empty());
}

}  // namespace
}  // namespace dogfs::nodes
