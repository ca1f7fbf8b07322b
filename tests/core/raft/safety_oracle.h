#pragma once
// SafetyOracle: watches every step of every member of one group and says when a promise of the Raft
// paper (figure 3) is broken. It keeps its own ledger and trusts no core about another. Quorums it
// counts itself: who voted and who holds an entry, against the configuration in the decider's log.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/raft/core.h"

namespace dogfs::raft {

class SafetyOracle {
 public:
  // After each step of `core`, with what the step gave. The order is that of the run.
  void observe(const Core& core, const Output& output);
  // After a restart: the state machine stands at `applied` again.
  void restarted(const Core& core);
  // When a read is asked for; checked when it is ready.
  void read_asked(ReadId id) { asked_[id] = committed(); }

  // Something that the cluster itself saw go wrong.
  void report(std::string what) { violations_.push_back(std::move(what)); }

  // Committed so far, by anybody.
  LogIndex committed() const { return ledger_.empty() ? LogIndex() : ledger_.rbegin()->first; }
  const std::vector<std::string>& violations() const { return violations_; }
  size_t leaders() const { return leaders_.size(); }
  // Configurations that may be in force somewhere, or come to be: the last committed one and those
  // written after it.
  std::vector<Configuration> live_configurations() const;

 private:
  struct Committed {
    Entry entry;
    Term seen_in;  // the reporting member's term: at or after the term it was committed in
  };

  void note_writes(const Core& core, const PersistRequest& request);
  void check_leader(const Core& core);
  void check_election_quorum(const Core& core);
  void check_commit_quorum(const Core& core);
  void check_configuration(const Core& core, const Entry& entry);
  void check_log_matching(const Core& core, const Entry& entry);
  void check_committed(const Core& core, const Entry& entry);
  template <class... Args>
  void violation(fmt::format_string<Args...> text, Args&&... args) {
    violations_.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  struct Written {
    Entry entry;
    Term previous;
  };
  std::map<Term, Member> leaders_;
  std::map<std::pair<LogIndex, Term>, Written> written_;
  std::map<LogIndex, Committed> ledger_;
  std::map<Term, std::map<Member, Member>> votes_;  // who voted for whom
  std::map<std::pair<LogIndex, Term>, std::set<Member>> holders_;
  std::map<Member, LogIndex> restored_;
  std::map<Member, LogIndex> commits_;
  std::map<Member, Configuration> in_force_;  // after the member's last step
  std::map<std::pair<LogIndex, Term>, Configuration> configurations_;
  std::map<Member, LogIndex> applied_;
  std::map<ReadId, LogIndex> asked_;
  std::vector<std::string> violations_;
};

}  // namespace dogfs::raft
