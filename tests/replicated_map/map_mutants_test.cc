// Planted bugs of the ground, found on the replicated map: README.md has the command that runs them
// and prints for each the seed that killed it, the oracle that fired, and the time.
#ifdef DOGFS_MUTANTS

#include "core/base/mutation.h"

#include "tests/replicated_map/map_chaos.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

using sim::Oracle;

MapChaosResult run_seed(uint64_t seed) {
  return run_map_chaos({.seed = seed, .lose_disks = true, .stages = true});
}

void pass(uint64_t first, uint64_t last) {
  for (uint64_t seed = first; seed <= last; ++seed) {
    CAPTURE(seed);
    for (const auto& violation : run_seed(seed).violations) FAIL_CHECK(violation.text);
  }
}

// The oracle that the promise names must fire within the budget of seeds, whatever else does; and
// the seed must pass without the bug.
void kill(const char* mutant, Oracle oracle) {
  constexpr uint64_t kSeedsMax = 1000;
  for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    mutation::plant(mutant);
    const auto result = run_seed(seed);
    const uint64_t visits = mutation::visits();
    mutation::plant("");
    const auto* violation = result.find(oracle);
    if (violation == nullptr) continue;
    fmt::print("{} is killed by seed {}, {}: {} (the planted code ran {} times)\n", mutant, seed,
               sim::oracle_name(oracle), violation->text, visits);
    return pass(seed, seed);
  }
  FAIL_CHECK(mutant, " lives");
}

TEST_CASE("planted M1: a vote before it is durable gives a term two leaders") {
  kill("M1", Oracle::kElectionSafety);
}

TEST_CASE("planted M2: counted copies of an earlier term's entry change what is committed") {
  kill("M2", Oracle::kCommittedLedger);
}

TEST_CASE("planted M5: an append acknowledged before the sync is lost with the power") {
  kill("M5", Oracle::kDurability);
}

TEST_CASE("planted M43: a blank disk's vote makes a leader without what was committed") {
  kill("M43", Oracle::kLeaderCompleteness);
}

TEST_CASE("planted M14: a read without a quorum round misses what was acknowledged") {
  kill("M14", Oracle::kLinearizability);
}

TEST_CASE("planted canary: the first seed fails, by the canary alone") {
  mutation::plant("CANARY");
  const auto result = run_seed(1);
  mutation::plant("");
  REQUIRE_EQ(result.violations.size(), 1);
  CHECK_EQ(result.violations[0].oracle, Oracle::kCanary);
}

TEST_CASE("planted nothing: a hundred seeds pass") { pass(1, 100); }

}  // namespace
}  // namespace dogfs::nodes

#endif
