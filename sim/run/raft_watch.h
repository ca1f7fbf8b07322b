#pragma once
// RaftWatch: listens to the Raft host of each metadata server and feeds the oracles of Raft and of
// expiry. Also knows what the injector asks: who leads now. Owned by the run; outlives the world's
// processes.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nodes/metadata/raft_observer.h"
#include "sim/check/expiry.h"
#include "sim/check/raft_membership.h"
#include "sim/check/raft_persistence.h"
#include "sim/check/raft_safety.h"
#include "sim/world/scheduler.h"

namespace dogfs::sim {

class RaftWatch {
 public:
  RaftWatch(const Scheduler& world, Violations& violations);
  ~RaftWatch();

  // The observer to give to the server on this host; it lives as long as this.
  metadata::RaftObserver* observer(const std::string& host);

  const RaftSafety& safety() const { return safety_; }
  const RaftPersistence& persistence() const { return persistence_; }
  const RaftMembership& membership() const { return membership_; }
  ExpiryJudge& expiry() { return expiry_; }
  const ExpiryJudge& expiry() const { return expiry_; }
  // The host whose member leads the highest term anybody led; none before the first election.
  const std::optional<std::string>& leader() const { return leader_; }
  // Called, from inside the server, when somebody is first seen to lead a term.
  void on_election(std::function<void()> elected) { elected_ = std::move(elected); }
  // Called likewise, when the leader goes by another configuration than before.
  void on_reconfiguration(std::function<void()> changed) { reconfigured_ = std::move(changed); }
  // Who belongs to the group, as its leader goes by; empty before the first election.
  const raft::Configuration& configuration() const { return configuration_; }
  // How far the state machine of the host's server got, in its present life.
  LogIndex applied(const std::string& host) const;
  LogIndex committed() const { return LogIndex(safety_.ledger().size()); }
  // Restarts that found something on disk.
  uint64_t recoveries() const { return recoveries_; }
  // State machines that were set forward by a snapshot from elsewhere or from disk.
  uint64_t snapshots_restored() const { return snapshots_restored_; }
  // Of those, by a server that was running: another had sent them.
  uint64_t snapshots_received() const { return snapshots_received_; }

 private:
  class Listener;
  struct Seen {
    std::unique_ptr<Listener> listener;
    LogIndex applied;
  };

  const Scheduler& world_;
  RaftSafety safety_;
  RaftPersistence persistence_;
  RaftMembership membership_;
  ExpiryJudge expiry_;
  std::map<std::string, Seen> hosts_;
  std::optional<std::string> leader_;
  Term leader_term_;
  raft::Configuration configuration_;
  std::function<void()> elected_;
  std::function<void()> reconfigured_;
  uint64_t recoveries_ = 0;
  uint64_t snapshots_restored_ = 0;
  uint64_t snapshots_received_ = 0;
};

}  // namespace dogfs::sim
