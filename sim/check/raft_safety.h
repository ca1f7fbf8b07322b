#pragma once
// RaftSafety: the promises of one Raft group (figure 3 of the Raft paper), checked on every step of
// every member. It sees what the members believe and remembers it across their crashes, so a
// promise that only the dead knew of still counts. Pure; cheap enough to be always on: a step costs
// only what it appended.
//
// A member is a node with one life of its data directory; its restarts are the same member.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/raft/log.h"
#include "core/raft/types.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

class RaftSafety {
 public:
  explicit RaftSafety(Violations& violations) : violations_(violations) {}

  // The member restarted: what it holds now may be shorter than what it held.
  void started(const raft::Member& member);
  // A member after a step.
  struct Seen {
    raft::Member member;
    raft::Role role;
    Term term;
  };
  void stepped(const Seen& seen, const raft::Log& log);
  void committed(const raft::Member& member, const raft::Entry& entry);
  void applied(const raft::Member& member, LogIndex index, uint64_t digest);

  // Everything ever handed out as committed, by index; the first is index 1.
  const std::vector<std::optional<raft::Entry>>& ledger() const { return ledger_; }
  // The digest that the replicas agreed on, 0 where none was reported; indexed as the ledger.
  const std::vector<uint64_t>& digests() const { return digests_; }
  // Leaders seen so far.
  uint64_t elections() const { return leaders_.size(); }
  Term highest_term() const { return highest_term_; }

 private:
  struct Known {  // about the entry at (index, term)
    uint64_t payload;
    std::optional<Term> before;
    raft::Member first_seen_at;
  };
  // The terms of a member's log as last looked at: terms[i] is that of index base + 1 + i.
  struct Mirror {
    uint64_t base = 0;
    std::deque<Term> terms;
    std::optional<Term> term_at(uint64_t index) const;
  };

  void note_leader(const Seen& seen, const raft::Log& log);
  void note_log(const raft::Member& member, const raft::Log& log);
  void note_snapshot(const raft::Member& member, const raft::LogPosition& last);
  void note_entry(const raft::Member& member, const raft::Log& log, const raft::Entry& entry);

  Violations& violations_;
  std::map<Term, raft::Member> leaders_;
  Term highest_term_;
  std::map<std::pair<LogIndex, Term>, Known> entries_;
  std::map<raft::Member, Mirror> mirrors_;
  std::vector<std::optional<raft::Entry>> ledger_;
  std::vector<uint64_t> digests_;
};

}  // namespace dogfs::sim
