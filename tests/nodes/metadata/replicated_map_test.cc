#include <fmt/ranges.h>

#include "core/base/mutation.h"

#include "tests/nodes/metadata/map_chaos.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

TEST_CASE("a replicated map keeps its promises under crashes, power loss and partitions") {
  int acknowledged = 0;
  uint64_t elections = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    MapChaosOptions options;
    options.seed = seed;
    options.lose_disks = seed % 2 == 0;
    const auto result = run_map_chaos(options);
    for (const auto& complaint : result.complaints) FAIL_CHECK(complaint);
    acknowledged += result.acknowledged;
    elections += result.elections;
  }
  CHECK(acknowledged > 1000);
  CHECK(elections > 20);
}

TEST_CASE("a replicated map keeps its promises on slow, hung, full and failing disks") {
  int acknowledged = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    MapChaosOptions options;
    options.seed = seed;
    options.slow_and_failing = true;
    options.snapshot_after_bytes = seed % 2 == 0 ? 1 : 500;
    const auto result = run_map_chaos(options);
    for (const auto& complaint : result.complaints) FAIL_CHECK(complaint);
    acknowledged += result.acknowledged;
  }
  CHECK(acknowledged > 1000);
}

TEST_CASE("one seed of the replicated map gives one trace hash") {
  MapChaosOptions options;
  options.under_faults = std::chrono::seconds(5);
  const auto hash = run_map_chaos(options).trace_hash;
  CHECK_EQ(run_map_chaos(options).trace_hash, hash);
  options.seed = 2;
  CHECK_NE(run_map_chaos(options).trace_hash, hash);
}

#ifdef DOGFS_MUTANTS

// Seeds until one of the oracles meant for the planted bug fired; 0 when none did.
uint64_t seeds_to_kill(const char* mutant, const std::vector<std::string>& oracles) {
  constexpr uint64_t kSeedsMax = 1000;
  mutation::plant(mutant);
  uint64_t killed = 0;
  for (uint64_t seed = 1; seed <= kSeedsMax && killed == 0; ++seed) {
    MapChaosOptions options;
    options.seed = seed;
    options.lose_disks = true;
    const auto result = run_map_chaos(options);
    for (const auto& oracle : oracles)
      if (std::count(result.oracles.begin(), result.oracles.end(), oracle) > 0) killed = seed;
  }
  MESSAGE(mutant, ": killed by seed ", killed, ", planted code visited ", mutation::visits());
  mutation::plant("");
  return killed;
}

TEST_CASE("planted bugs of the ground are caught on the replicated map") {
  CHECK(seeds_to_kill("M1", {"election_safety"}) > 0);
  CHECK(seeds_to_kill("M2", {"committed_ledger", "state_digest"}) > 0);
  CHECK(seeds_to_kill("M5", {"durability", "committed_ledger"}) > 0);
  CHECK(seeds_to_kill("M43", {"leader_completeness", "committed_ledger", "durability"}) > 0);
}

#endif

}  // namespace
}  // namespace dogfs::nodes
