#include "sim/run/mutants.h"

namespace dogfs::sim {

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> kMutants = {
      {"M1",
       "a vote is given before it is durable",
       {Oracle::kElectionSafety, Oracle::kCommittedLedger, Oracle::kLogMatching},
       "kill"},
      {"M2",
       "copies of entries of earlier terms are counted (Raft figure 8)",
       {Oracle::kCommittedLedger, Oracle::kLeaderCompleteness},
       "elections"},
      {"M5",
       "an append is acknowledged before the log is synced",
       {Oracle::kDurability, Oracle::kCommittedLedger, Oracle::kLeaderCompleteness},
       "power_loss"},
      {"M17",
       "a put is acknowledged with k shards, or a shard before it is synced",
       {Oracle::kDurability},
       "power_loss"},
      {"M28",
       "a shard file is published without syncing its directory",
       {Oracle::kDurability},
       "disk.lost_entry.effect"},
      {"M43",
       "a blank disk votes under its old node id",
       {Oracle::kLeaderCompleteness, Oracle::kCommittedLedger, Oracle::kElectionSafety},
       "lost_disk"},
  };
  return kMutants;
}

const Mutant& canary() {
  static const Mutant kCanary = {
      "CANARY", "an oracle that fires on nothing", {Oracle::kCanary}, ""};
  return kCanary;
}

}  // namespace dogfs::sim
