#pragma once
// ShadowReplica: one more replica of the metadata, outside the cluster, that applies the committed
// ledger from its first entry on, never crashes and never restores a snapshot. Each replica's
// digest must be its digest at the same index; its answers tell the other oracles what the log
// means. It may follow the run, so that an oracle can ask for the state of this moment.

#include <functional>
#include <vector>

#include "core/namespace/state_machine.h"
#include "core/raft/types.h"
#include "sim/check/linearizability.h"
#include "sim/check/raft_safety.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

class ShadowReplica {
 public:
  using Decode = std::function<Result<metadata::Command>(const raft::Entry&)>;

  // `raft` and `violations` outlive it.
  ShadowReplica(const RaftSafety& raft, Decode decode, Violations& violations);

  // Applies what some replica has applied by now: all that anything can have come of.
  void follow();
  // Applies the whole ledger. kStateDigest where a replica differs; kCommittedLedger for a hole or
  // an entry that is no command. What is behind that is not applied.
  void finish();
  // The whole ledger is applied.
  bool is_whole() const { return !stopped_ && next() == raft_.ledger().size(); }

  const std::vector<CommittedCommand>& commands() const { return commands_; }
  const metadata::StateMachine& state() const { return state_; }

 private:
  size_t next() const { return state_.applied().value; }  // in ledger and digests
  bool take_next();
  bool apply(const raft::Entry& entry);

  const RaftSafety& raft_;
  const Decode decode_;
  Violations& violations_;
  metadata::StateMachine state_;
  std::vector<CommittedCommand> commands_;
  bool stopped_ = false;  // at a violation
};

}  // namespace dogfs::sim
