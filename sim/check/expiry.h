#pragma once
// ExpiryJudge: a session or an upload lease ends only after its time of silence, and then it does.
// The leader counts silence on its own monotonic clock, from the later of its election and the last
// sign of life it heard; clocks may drift, but no jump of the wall clock counts. So an `expire` of
// the log is judged by when its leader appended it, and when a leader of the same term appended the
// last command of the same client or upload.
//
// Pure. Times are those of the world, which no node knows.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/namespace/state_machine.h"
#include "core/raft/types.h"
#include "sim/check/linearizability.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

struct ExpiryRules {
  Duration session_silence{};
  Duration lease_silence{};
  uint32_t drift_ppm_max = 0;
  // After its silence something is ended within this, while a leader can.
  Duration ended_within = 15s;
};

class ExpiryJudge {
 public:
  // A member was first seen to lead the term.
  void elected(Term term, Instant when) { elections_.try_emplace(term, when); }
  // The leader of a term has put an entry of that term into its log.
  void appended(raft::LogPosition position, Instant when);
  bool knows(raft::LogPosition position) const;
  // When somebody was first seen to lead, of each term.
  std::vector<Instant> elections() const {
    std::vector<Instant> times;
    for (const auto& [term, when] : elections_) times.push_back(when);
    return times;
  }

  // kExpiry for each end that came too early. `ledger` gives the terms.
  void judge(const std::vector<std::optional<raft::Entry>>& ledger,
             const std::vector<CommittedCommand>& commands, const ExpiryRules& rules,
             Violations& violations);
  // kExpiry for each upload and session that is there in `state` and should have been ended by
  // `now`.
  void judge_overdue(const metadata::StateMachine& state, const ExpiryRules& rules, Instant now,
                     Violations& violations) const;

  uint64_t sessions_ended() const { return sessions_ended_; }
  uint64_t leases_ended() const { return leases_ended_; }

 private:
  struct Appended {
    Term term;
    Instant when;
  };
  struct Sign {
    Term term;
    Instant when;
  };
  std::optional<Appended> find(LogIndex index) const;
  Instant election(Term term) const;
  void note_signs(const CommittedCommand& committed, const Appended& appended);
  void check_end(const CommittedCommand& committed, const Appended& appended,
                 const ExpiryRules& rules, Violations& violations);

  std::map<Term, Instant> elections_;
  std::vector<Appended> appended_;  // by index
  std::map<ClientId, Sign> clients_;
  std::map<metadata::FileHandle, Sign> uploads_;
  uint64_t sessions_ended_ = 0;
  uint64_t leases_ended_ = 0;
};

}  // namespace dogfs::sim
