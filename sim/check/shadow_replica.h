#pragma once
// ShadowReplica: one more replica of the metadata, outside the cluster, that applies the committed
// ledger from its first entry on, never crashes and never restores a snapshot. Each replica's
// digest must be its digest at the same index; its answers tell the other oracles what the log
// means.

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

  // Applies the whole ledger. kStateDigest where a replica differs; kCommittedLedger for a hole or
  // an entry that is no command.
  ShadowReplica(const RaftSafety& raft, const Decode& decode, Violations& violations);

  const std::vector<CommittedCommand>& commands() const { return commands_; }
  const metadata::StateMachine& state() const { return state_; }

 private:
  bool apply(const raft::Entry& entry, const Decode& decode, Violations& violations);

  metadata::StateMachine state_;
  std::vector<CommittedCommand> commands_;
};

}  // namespace dogfs::sim
