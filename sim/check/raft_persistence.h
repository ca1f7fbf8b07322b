#pragma once
// RaftPersistence: what each member may never take back (Raft paper, figure 2). Within one life of
// its process: the term does not fall, a vote once given in a term stays, the commit index does not
// fall, and a leader's log only grows while it leads. Over a restart: term, vote and entries that
// its disk had confirmed are there again; a member that lost them must come back as another one, or
// not at all.
//
// A member is a node with one life of its data directory. Pure; a step costs nothing but a look.

#include <cstdint>
#include <map>

#include "core/raft/log.h"
#include "core/raft/types.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

class RaftPersistence {
 public:
  explicit RaftPersistence(Violations& violations) : violations_(violations) {}

  struct Seen {
    raft::Member member;
    raft::Role role = raft::Role::kFollower;
    raft::HardState state;
    bool all_durable = false;  // nothing that it asked its disk for is outstanding
  };
  // A member as its server read it back from disk.
  void started(const Seen& seen, const raft::Log& log);
  // A member after a step.
  void stepped(const Seen& seen, const raft::Log& log);

  // Restarts of members that something had been confirmed to.
  uint64_t restarts_judged() const { return restarts_judged_; }

 private:
  struct Life {
    raft::HardState state;
    raft::Role role = raft::Role::kFollower;
    LogIndex commit;
    LogIndex last;
  };
  struct Confirmed {
    raft::HardState state;
    raft::LogPosition last;
  };
  void check_life(const Seen& seen, const raft::Log& log, const Life& before);
  void confirm(const Seen& seen, const raft::Log& log);

  Violations& violations_;
  std::map<raft::Member, Life> lives_;
  std::map<raft::Member, Confirmed> confirmed_;
  uint64_t restarts_judged_ = 0;
};

}  // namespace dogfs::sim
