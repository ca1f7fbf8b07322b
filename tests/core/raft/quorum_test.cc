#include "core/raft/quorum.h"

#include <algorithm>
#include <map>

#include <rapidcheck.h>

#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

Member member(uint32_t node, uint64_t life = 1) {
  return {NodeId(node), StoreId(node * 100 + life)};
}

// The obvious model: for every value that occurs, count heads in each majority.
uint64_t slow_quorum_value(const Configuration& configuration,
                           const std::map<Member, uint64_t>& values) {
  const auto majority_has = [&](const std::vector<Member>& voters, uint64_t v) {
    size_t count = 0;
    for (const Member& voter : voters) count += values.at(voter) >= v ? 1 : 0;
    return 2 * count > voters.size();
  };
  uint64_t best = 0;
  for (const auto& [voter, v] : values) {
    const bool both = majority_has(configuration.voters, v) &&
                      (configuration.outgoing.empty() || majority_has(configuration.outgoing, v));
    if (both) best = std::max(best, v);
  }
  return best;
}

TEST_CASE("quorum value agrees with counting heads, in simple and joint configurations") {
  CHECK(rc::check([](uint64_t seed) {
    Random random(seed);
    Configuration configuration;
    std::map<Member, uint64_t> values;
    for (uint32_t n = 1; n <= 8; ++n) {
      if (random.chance(1, 2)) configuration.voters.push_back(member(n));
      if (random.chance(1, 3)) configuration.outgoing.push_back(member(n));
      values[member(n)] = random.below(6);
    }
    if (configuration.voters.empty()) configuration.voters = {member(9)};
    values[member(9)] = random.below(6);
    const auto value_of = [&](const Member& m) { return values.at(m); };
    RC_ASSERT(quorum_value(configuration, value_of) == slow_quorum_value(configuration, values));
  }));
}

TEST_CASE("a joint decision needs both majorities") {
  const Configuration joint{
      {member(1), member(2), member(3)}, {}, {member(3), member(4), member(5)}};
  const auto agrees = [&](std::vector<Member> list) {
    return is_quorum(joint, [&](const Member& m) { return std::ranges::count(list, m) > 0; });
  };
  CHECK(agrees({member(1), member(3), member(4)}));
  CHECK_FALSE(agrees({member(1), member(2), member(3)}));
  CHECK_FALSE(agrees({member(3), member(4), member(5)}));
}

TEST_CASE("nobody decides for an unknown configuration") {
  CHECK_EQ(quorum_value({}, [](const Member&) { return 7u; }), 0u);
  CHECK_FALSE(is_quorum({}, [](const Member&) { return true; }));
}

TEST_CASE("a configuration is valid only if its lists are sorted, apart and without repetition") {
  CHECK(Configuration{}.valid());
  CHECK(Configuration{{member(1), member(2)}, {member(3)}, {member(1), member(4)}}.valid());
  CHECK_FALSE(Configuration{{member(2), member(1)}, {}, {}}.valid());
  CHECK_FALSE(Configuration{{member(1), member(1, 2)}, {}, {}}.valid());
  CHECK_FALSE(Configuration{{member(1)}, {member(1)}, {}}.valid());
  CHECK(Configuration{{member(1)}, {member(1, 2)}}.valid());  // to take its old self's place
  CHECK(Configuration{{member(1)}, {member(2)}, {}, {member(2)}}.valid());
  CHECK_FALSE(Configuration{{member(1)}, {member(2)}, {}, {member(3)}}.valid());
  CHECK(Configuration{{member(1)}, {member(2)}, {member(3)}, {member(2)}}.valid());
  CHECK_FALSE(Configuration{{member(1)}, {member(2)}, {member(3)}, {member(3)}}.valid());
  CHECK_FALSE(Configuration{{}, {member(1)}, {}}.valid());
  CHECK_FALSE(Configuration{{Member{NodeId(1), StoreId()}}, {}, {}}.valid());
  Configuration crowd;
  for (uint32_t n = 1; n <= 33; ++n) crowd.voters.push_back(member(n));
  CHECK_FALSE(crowd.valid());
}

TEST_CASE("a replaced member counts in each majority as what it was there") {
  const Configuration replacing{{member(1), member(3, 2)}, {}, {member(1), member(3)}};
  CHECK(replacing.valid());
  CHECK(replacing.is_voter(member(3)));
  CHECK(replacing.is_voter(member(3, 2)));
  CHECK_FALSE(replacing.is_voter(member(3, 7)));
  CHECK_EQ(replacing.members().size(), 3u);
}

}  // namespace
}  // namespace dogfs::raft
