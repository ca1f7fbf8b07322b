#pragma once
// RaftObserver: whoever wants to watch a Raft group from outside, without taking part: the oracles
// of the simulator. RaftHost calls it, on its own thread, from the node's event loop; production
// servers have none. The observer outlives the host and must not call back into it.
//
// What is reported is what the member itself believes, durable or not. Members are named with the
// store id, so one life of a data directory is one member across all its restarts.

#include "core/raft/types.h"

namespace dogfs::raft {
class Core;
}

namespace dogfs::metadata {

class RaftObserver {
 public:
  virtual ~RaftObserver() = default;

  // A core was constructed from what its server read back from disk.
  virtual void started(const raft::Core& core) = 0;
  // A step of this core has just been taken; its output is not performed yet.
  virtual void stepped(const raft::Core& core) = 0;
  // An entry was handed out as committed, in order, before it is applied. No-ops and
  // configurations, too.
  virtual void committed(GroupId group, const raft::Member& member, const raft::Entry& entry) = 0;
  // The state machine of this member has just reached `index`, by applying the entry there or by
  // restoring a snapshot; `digest` is its digest now.
  virtual void applied(GroupId group, const raft::Member& member, LogIndex index,
                       uint64_t digest) = 0;
};

}  // namespace dogfs::metadata
