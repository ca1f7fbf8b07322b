// The property test: no run of Chaos breaks a promise of Raft, and every planted bug makes some
// run break one.

#include "tests/core/raft/chaos.h"

#include "core/base/mutation.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

constexpr uint64_t kActions = 4000;

#ifdef DOGFS_MUTANTS
constexpr uint64_t kSeeds = 3000;  // the budget that every planted bug has
#else
constexpr uint64_t kSeeds = 150;
#endif

TEST_CASE("no promise is broken by lost, repeated and late messages, crashes, disks, new members") {
  ChaosReport sum;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const ChaosReport report = run_chaos(seed, kActions);
    for (const std::string& violation : report.violations) {
      FAIL_CHECK("seed " << seed << ": " << violation);
    }
    sum.leaders += report.leaders;
    sum.committed += report.committed;
    sum.crashes += report.crashes;
    sum.restores += report.restores;
    sum.reads += report.reads;
    sum.lost_disks += report.lost_disks;
    sum.changes += report.changes;
    sum.joint += report.joint;
    sum.progressed += report.progressed;
    sum.crippled += report.crippled;
  }
  MESSAGE("leaders " << sum.leaders << ", committed " << sum.committed << ", crashes "
                     << sum.crashes << ", restores " << sum.restores << ", reads " << sum.reads
                     << ", lost disks " << sum.lost_disks << ", changes " << sum.changes
                     << ", joint " << sum.joint << ", progress demanded " << sum.progressed
                     << ", with a server crippled " << sum.crippled);
  // Floors: a run in which nothing happens proves nothing.
  CHECK_GT(sum.leaders, 5 * kSeeds);
  CHECK_GT(sum.committed, 20 * kSeeds);
  CHECK_GT(sum.crashes, 5 * kSeeds);
  CHECK_GT(sum.restores, kSeeds / 10);
  CHECK_GT(sum.reads, kSeeds);
  CHECK_GT(sum.lost_disks, kSeeds / 10);
  CHECK_GT(sum.changes, kSeeds);
  CHECK_GT(sum.joint, kSeeds / 5);
  CHECK_GT(sum.progressed, kSeeds * 9 / 10);
  CHECK_GT(sum.crippled, kSeeds / 10);
}

TEST_CASE("whom an uncommitted change removes leads when nobody else can") {
  // Found among 3000: the removed server alone had the end of the change, and would not stand.
  for (const uint64_t seed : {411, 1008, 1215, 1817}) {
    CAPTURE(seed);
    CHECK(run_chaos(seed, kActions).passed());
  }
}

#ifdef DOGFS_MUTANTS

uint64_t seeds_to_kill(const std::string& mutant) {
  mutation::plant(mutant);
  uint64_t seed = 1;
  while (seed <= kSeeds && run_chaos(seed, kActions).passed()) ++seed;
  MESSAGE(mutant << ": " << seed << " seeds, reached " << mutation::visits() << " times");
  mutation::plant("");
  return seed;
}

TEST_CASE("every planted bug is found") {
  for (const char* mutant : {"M1", "M2", "M3", "M5", "M11", "M12", "M14", "M16", "M33", "M43"}) {
    CAPTURE(mutant);
    CHECK_LE(seeds_to_kill(mutant), kSeeds);
  }
}
#endif

}  // namespace
}  // namespace dogfs::raft
