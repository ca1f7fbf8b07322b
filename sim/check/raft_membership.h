#pragma once
// RaftMembership: the rules that keep any two quorums of a group from missing each other while its
// members change (Raft paper section 6, thesis chapter 4 and its erratum):
//
//  1. The configuration in force at a member is the last one in its log, committed or not.
//  2. A leader appends one only after an entry of its own term is committed, and after the last one
//     is.
//  3. Each follows from the one before it: a joint one keeps the old voters as its outgoing half
//     and is left before the next; without one, voters stay.
//
// The other oracles see what comes of a breach, when chance completes it; this one sees the breach.
// Pure; a step costs only what it appended, and a change what is not committed.

#include <map>

#include "core/raft/log.h"
#include "core/raft/types.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

class RaftMembership {
 public:
  explicit RaftMembership(Violations& violations) : violations_(violations) {}

  struct Seen {
    raft::Member member;
    raft::Role role = raft::Role::kFollower;
    Term term;
    const raft::Configuration& in_force;
  };
  void started(const raft::Member& member) { before_.erase(member); }
  void stepped(const Seen& seen, const raft::Log& log);

  // Configurations that leaders appended.
  uint64_t changes() const { return changes_; }

 private:
  struct Before {
    Term term;
    LogIndex last;
    LogIndex commit;
  };
  void check_appended(const Seen& seen, const raft::Log& log, LogIndex index, LogIndex commit);

  Violations& violations_;
  std::map<raft::Member, Before> before_;
  uint64_t changes_ = 0;
};

}  // namespace dogfs::sim
