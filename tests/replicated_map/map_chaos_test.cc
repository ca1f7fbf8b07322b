#include "tests/replicated_map/map_chaos.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

// The simulated world has one thread: nothing for that sanitizer to find, and much to wait for.
#if defined(__has_feature) && __has_feature(thread_sanitizer)
constexpr bool kSkip = true;
#else
constexpr bool kSkip = false;
#endif

// Runs the seeds 1 to `seeds`, none of which may be complained of, and adds up what they did.
MapChaosResult run_seeds(uint64_t seeds, MapChaosOptions (*options_of)(uint64_t seed)) {
  MapChaosResult sum;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    const auto result = run_map_chaos(options_of(seed));
    for (const auto& violation : result.violations) FAIL_CHECK(violation.text);
    sum.acknowledged += result.acknowledged;
    sum.reads += result.reads;
    sum.elections += result.elections;
    sum.stages += result.stages;
    sum.snapshots += result.snapshots;
  }
  MESSAGE(sum.acknowledged, " appends, ", sum.reads, " reads, ", sum.elections, " elections, ",
          sum.stages, " stages, ", sum.snapshots, " snapshots sent");
  return sum;
}

TEST_CASE("a replicated map keeps its promises under crashes, power loss and partitions" *
          doctest::skip(kSkip)) {
  const auto sum = run_seeds(
      8, [](uint64_t seed) { return MapChaosOptions{.seed = seed, .lose_disks = seed % 2 == 0}; });
  CHECK(sum.acknowledged > 1000);
  CHECK(sum.elections > 20);
}

TEST_CASE("a replicated map keeps its promises when votes, terms and disks are lost on purpose" *
          doctest::skip(kSkip)) {
  const auto sum = run_seeds(6, [](uint64_t seed) {
    return MapChaosOptions{.seed = seed, .lose_disks = true, .stages = true};
  });
  CHECK(sum.stages > 8);
  CHECK(sum.snapshots > 0);
}

TEST_CASE("a replicated map keeps its promises on slow, hung, full and failing disks" *
          doctest::skip(kSkip)) {
  const auto sum = run_seeds(8, [](uint64_t seed) {
    return MapChaosOptions{
        .seed = seed, .slow_and_failing = true, .snapshot_after_bytes = seed % 2 == 0 ? 1U : 500U};
  });
  CHECK(sum.acknowledged > 1000);
}

TEST_CASE("one seed of the replicated map gives one trace hash" * doctest::skip(kSkip)) {
  MapChaosOptions options;
  options.under_faults = std::chrono::seconds(5);
  const auto hash = run_map_chaos(options).trace_hash;
  CHECK_EQ(run_map_chaos(options).trace_hash, hash);
  options.seed = 2;
  CHECK_NE(run_map_chaos(options).trace_hash, hash);
}

}  // namespace
}  // namespace dogfs::nodes
