#pragma once
// CensusTaker: brings the ShardCensus into a run. It follows the committed log beside the cluster
// and looks at the disks of the chunk servers, with no event and no time of its own: each time a
// client is told that its put is done, at the blocks of that put; soon after an append block was
// sealed, at its logs; at the end at everything; and, when told to, at what must hold within the
// metadata, and at what they say of space. Owned by the run, which it judges; cluster
// and watch outlive it.

#include <memory>
#include <set>
#include <vector>

#include "sim/check/compaction_watch.h"
#include "sim/check/floors.h"
#include "sim/check/history.h"
#include "sim/check/shadow_replica.h"
#include "sim/check/shard_census.h"
#include "sim/check/space_census.h"

namespace dogfs::sim {

class Cluster;
class RaftWatch;

class CensusTaker {
 public:
  CensusTaker(const Cluster& cluster, const RaftWatch& watch, Violations& violations);
  ~CensusTaker();

  // A client was told, just now, that this operation is done.
  void acknowledged(const Operation& operation);
  // Applies what was committed since, and looks at append blocks that were sealed with it, and at
  // those that bytes of packs were moved to.
  void follow();
  // Checks the invariants of the state that the log leads to by now, and what it says of space.
  void look(Instant now);
  // No block of a pack is to be compacted, by that state.
  bool compacted();
  // At the end. The shadow then has applied the whole ledger, if that is in order.
  const ShadowReplica& finish();
  // Behind finish(): no block of a pack may have been sparse for so long.
  void judge_compaction(Instant now, Duration within);
  void count(Tally& tally) const;

 private:
  void count_known(Tally& tally) const;
  void count_space(Tally& tally) const;
  void count_lost_logs(const metadata::JudgeShards& judge);
  void check_invariants();
  SpaceRecount check_space();

  Violations& violations_;
  std::vector<std::unique_ptr<DurableDisk>> chunk_disks_;
  ShardCensus::Disks disks_;
  ShadowReplica shadow_;
  CensusCounts counts_;       // of the end
  CensusCounts counts_puts_;  // of acknowledged puts
  CensusCounts counts_seals_;
  SpaceCounts space_;
  CompactionWatch compaction_;
  size_t seen_ = 0;    // commands
  uint64_t puts_ = 0;  // that made shards
  uint64_t inline_puts_ = 0;
  uint64_t packed_puts_ = 0;
  uint64_t moves_ = 0;           // of bytes in packs
  std::set<BlockId> compacted_;  // blocks that some were moved from
  uint64_t logs_lost_ = 0;       // replicas of append blocks that were found damaged
  uint64_t looks_ = 0;
};

}  // namespace dogfs::sim
