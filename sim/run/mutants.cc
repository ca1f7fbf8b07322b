#include "sim/run/mutants.h"

namespace dogfs::sim {

namespace {

std::vector<Mutant> first_mutants() {
  return {
      {"M1",
       "a vote is given before it is durable",
       {Oracle::kElectionSafety, Oracle::kCommittedLedger, Oracle::kLogMatching},
       "kill"},
      {"M2",
       "copies of entries of earlier terms are counted (Raft figure 8)",
       {Oracle::kCommittedLedger, Oracle::kLeaderCompleteness},
       "elections"},
      {"M3",
       "a vote is given to whoever lacks entries",
       {Oracle::kLeaderCompleteness, Oracle::kCommittedLedger},
       "elections"},
      {"M5",
       "an append is acknowledged before the log is synced",
       {Oracle::kDurability, Oracle::kCommittedLedger, Oracle::kLeaderCompleteness,
        Oracle::kPersistence},
       "power_loss"},
      {"M6",
       "a sync that failed is taken for one that did not",
       {Oracle::kDurability, Oracle::kCommittedLedger, Oracle::kLeaderCompleteness,
        Oracle::kLogMatching, Oracle::kElectionSafety, Oracle::kPersistence},
       "disk.sync_error.effect"},
      {"M7",
       "damage in the middle of the log is taken for a torn tail",
       {Oracle::kPersistence, Oracle::kCommittedLedger, Oracle::kLeaderCompleteness},
       "log_damaged"},
      {"M9",
       "what a received snapshot holds is applied again",
       {Oracle::kStateDigest, Oracle::kCommittedLedger},
       "snapshots_restored"},
      {"M11",
       "members change before an entry of the leader's own term is committed",
       {Oracle::kQuorumIntersection, Oracle::kElectionSafety, Oracle::kCommittedLedger},
       "membership_changes"},
      {"M12",
       "a configuration is gone by when it is committed, not when it is appended",
       {Oracle::kQuorumIntersection, Oracle::kElectionSafety, Oracle::kCommittedLedger},
       "membership_changes"},
      {"M14",
       "a leader answers reads without a quorum",
       {Oracle::kLinearizability, Oracle::kLinearizationSearch},
       "elections"},
      {"M15",
       "sessions are left out of snapshots",
       {Oracle::kStateDigest, Oracle::kExactlyOnce, Oracle::kInvariants},
       "snapshots_restored"},
      {"M16",
       "terms rise on every timeout: no pre-vote, no check of the quorum",
       {Oracle::kLiveness},
       "partition_one_way"},
  };
}

std::vector<Mutant> later_mutants() {
  return {
      {"M17",
       "a put is acknowledged with k shards, or a shard before it is synced",
       {Oracle::kDurability},
       "power_loss"},
      {"M23",
       "a block is garbage though a copy refers to it",
       {Oracle::kDurability, Oracle::kInvariants},
       "operations.done"},
      {"M28",
       "a shard file is published without syncing its directory",
       {Oracle::kDurability},
       "disk.lost_entry.effect"},
      {"M30", "a leader whose disk hangs goes on leading", {Oracle::kLiveness}, "disk_stall"},
      {"M33",
       "a snapshot names the present term as that of its last entry",
       {Oracle::kLogMatching, Oracle::kCommittedLedger},
       "snapshots_restored"},
      {"M34", "a client asks a leader of long ago for ever", {Oracle::kLiveness}, "partition"},
      {"M36",
       "an append is acknowledged when its primary alone has it",
       {Oracle::kDurability, Oracle::kLinearizability},
       "appends"},
      {"M37",
       "the shortest replica of a sealed block wins",
       {Oracle::kDurability, Oracle::kLinearizability},
       "appends"},
      {"M38",
       "a sealed replica takes what a primary of before sends",
       {Oracle::kDurability, Oracle::kLinearizability, Oracle::kInvariants},
       "appends"},
      {"M39",
       "a directory is moved into itself",
       {Oracle::kLinearizability, Oracle::kLinearizationSearch, Oracle::kInvariants},
       "elections"},
      {"M40",
       "a replica answers a seal before it is durable",
       {Oracle::kPersistence, Oracle::kDurability, Oracle::kLinearizability, Oracle::kInvariants},
       "appends"},
      {"M41",
       "a primary that was started anew goes on in the same epoch",
       {Oracle::kDurability, Oracle::kLinearizability, Oracle::kInvariants},
       "appends"},
      {"M42",
       "a block's primary does not learn which records the one before holds",
       {Oracle::kExactlyOnce},
       "appends"},
      {"M43",
       "a blank disk votes under its old node id",
       {Oracle::kLeaderCompleteness, Oracle::kCommittedLedger, Oracle::kElectionSafety},
       "lost_disk"},
      {"M46", "leases and sessions expire by the wall clock", {Oracle::kExpiry}, "wall_clock"},
      {"M101", "a writer does not wait for a slow server", {Oracle::kCrash}, "disk_slow", true},
  };
}

// Of what is stored once for many: packs, and blocks that are known by their content.
std::vector<Mutant> storage_mutants() {
  return {
      {"M102", "a deletion is confirmed, and the append log stays", {Oracle::kSpace}, "appends"},
      {"M103",
       "what several files share of a pack is never compacted",
       {Oracle::kSpace},
       "pack_moves"},
      {"M104",
       "bytes of a pack are moved for a file that has others of that block",
       {Oracle::kDurability, Oracle::kLinearizability, Oracle::kWrongBytes, Oracle::kInvariants},
       "pack_moves"},
      {"M105",
       "a block is known until its last shard is deleted, and given as long",
       {Oracle::kDurability, Oracle::kInvariants},
       "blocks_deduplicated"},
      {"M106",
       "a packed put is acknowledged when one server alone has its bytes",
       {Oracle::kDurability},
       "packed_puts"},
  };
}

std::vector<Mutant> all_mutants() {
  std::vector<Mutant> all = first_mutants();
  for (const Mutant& mutant : later_mutants()) all.push_back(mutant);
  for (const Mutant& mutant : storage_mutants()) all.push_back(mutant);
  return all;
}

}  // namespace

const std::vector<Mutant>& mutants() {
  static const std::vector<Mutant> kMutants = all_mutants();
  return kMutants;
}

const Mutant& canary() {
  static const Mutant kCanary = {
      "CANARY", "an oracle that fires on nothing", {Oracle::kCanary}, ""};
  return kCanary;
}

}  // namespace dogfs::sim
