#pragma once
// ShardVerdicts: what is true of shards that somebody doubts: a read failed, the scrub stumbled,
// the leader misses one or takes it for lost. Each is read, all of it; what was found is told to
// the leader in heartbeats until it is recorded, so that readers ask others and repair knows. So it
// is with replicas of append blocks, whose logs take nothing more of their primary when they are
// damaged; the leader has the block sealed and converted. Owned by the chunk node, which runs
// run(); one thread.
//
// Bounded: what does not fit is forgotten, and doubted again by whoever stumbles over it next.

#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "core/base/error.h"
#include "core/chunk/shard_file.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"

namespace dogfs::chunk {
class AppendDisks;
class Disks;
}  // namespace dogfs::chunk

namespace dogfs::nodes {

class ShardVerdicts {
 public:
  // Hears of the doubts of `disks` and `logs` from then on.
  ShardVerdicts(Env& env, chunk::Disks& disks, chunk::AppendDisks& logs);
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
  Task<std::optional<metadata::ShardVerdict>> judge(chunk::ShardName name);
  Task<Result<uint32_t>> verify(chunk::ShardName name);

  Env& env_;
  chunk::Disks& disks_;
  chunk::AppendDisks& logs_;
  std::set<chunk::ShardName> doubted_;
  std::deque<metadata::ShardVerdict> verdicts_;
  Event changed_;
  uint64_t lost_ = 0;
};

}  // namespace dogfs::nodes
