#pragma once
// The four roles of a member as four types: what only a leader knows exists only in a leader.
// Members of Core's role variant; see core.h.

#include <deque>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "core/raft/progress.h"
#include "core/raft/types.h"

namespace dogfs::raft {

struct Follower {
  Member leader;               // nobody while unknown
  LogIndex verified = {};      // the log up to here is that of `leader`, in this term
  LogIndex acknowledged = {};  // the last match told to `leader`
  ReadRound read_round = {};   // the newest leadership check of `leader`
};

// Who said what in one election.
using Votes = std::map<Member, bool>;

struct PreCandidate {
  Votes votes;
};

struct Candidate {
  Votes votes = {};
  PersistNumber own_vote;  // counts once this request is durable
};

// Reads wait in `queued` for the first entry of the term to commit and for the round under way to
// end; a round confirms, with one heartbeat to each voter, every read that had come before it.
struct ReadQueue {
  struct Round {
    ReadRound round;
    LogIndex index;  // commit index when the round began
    std::vector<ReadId> ids;
  };
  std::vector<ReadId> queued;
  std::optional<Round> round;
  ReadRound last_round;
};

// A leader's heartbeats of every tick are leadership checks, too, while it may have a lease.
struct Lease {
  struct Round {
    ReadRound round;
    uint64_t sent_at;  // tick
  };
  std::deque<Round> rounds;  // not confirmed yet
  uint64_t until = 0;        // tick from which on it is over
  // Whoever was told to campaign may do so at any time in this term, and the promises that a lease
  // is made of do not bind it.
  bool revoked = false;
};

struct Leader {
  std::map<Member, Progress> followers;  // everybody else in the configuration
  LogIndex term_start;                   // the no-op this term began with
  uint64_t since = 0;                    // tick at which it was elected
  ReadQueue reads;
  Lease lease;
  Member transferee;  // nobody unless leadership is being handed over
  uint64_t transfer_ticks = 0;
  size_t uncommitted_bytes = 0;  // of entries beyond the commit index
};

using RoleState = std::variant<Follower, PreCandidate, Candidate, Leader>;

}  // namespace dogfs::raft
