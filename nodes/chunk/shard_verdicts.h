#pragma once
// ShardVerdicts: what is true of shards that somebody doubts: a read failed, the scrub stumbled,
// the leader misses one or takes it for lost. Each is read, all of it; what was found is told to
// the leader in heartbeats until it is recorded, so that readers ask others and repair knows. Owned
// by the chunk node, which runs run(); one thread.
//
// Bounded: what does not fit is forgotten, and doubted again by whoever stumbles over it next.

#include <deque>
#include <set>
#include <vector>

#include "core/chunk/shard_file.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"

namespace dogfs::chunk {
class Disks;
}

namespace dogfs::nodes {

class ShardVerdicts {
 public:
  // Hears of the doubts of `disks` from then on.
  ShardVerdicts(Env& env, chunk::Disks& disks);
  ~ShardVerdicts();
  ShardVerdicts(const ShardVerdicts&) = delete;
  ShardVerdicts& operator=(const ShardVerdicts&) = delete;

  // Until cancelled.
  Task<> run();

  void doubt(const chunk::ShardName& name);
  // Those not yet recorded, the oldest first; at most kVerdictsPerEntry.
  std::vector<metadata::ShardVerdict> pending() const;
  // So many of those are recorded.
  void recorded(size_t count);
  // Shards that were found damaged or missing by this process.
  uint64_t lost() const { return lost_; }

 private:
  Task<metadata::ShardVerdict> judge(chunk::ShardName name);

  Env& env_;
  chunk::Disks& disks_;
  std::set<chunk::ShardName> doubted_;
  std::deque<metadata::ShardVerdict> verdicts_;
  Event changed_;
  uint64_t lost_ = 0;
};

}  // namespace dogfs::nodes
