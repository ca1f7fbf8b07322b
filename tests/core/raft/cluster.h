#pragma once
// Cluster: some Cores, a network that does only what it is told, and disks that write only when
// they are told. Shared by the golden scripts and the property test, which differ in who tells.
// Disks hold encoded records, so that every restart goes through record.h.

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/raft/core.h"
#include "core/raft/record.h"

#include "tests/core/raft/safety_oracle.h"

namespace dogfs::raft {

class Cluster {
 public:
  struct Server {
    Member self;
    std::optional<Core> core;  // none while it is down
    std::vector<std::string> disk;
    std::deque<PersistRequest> writing;
    uint64_t lives = 0;
  };

  // Members 1..voters, then learners, then spares, which no configuration names at first.
  struct Shape {
    size_t voters = 3;
    size_t learners = 0;
    size_t spares = 0;
  };
  // `options` but for self. Every voter is bootstrapped.
  Cluster(Options options, Shape shape, uint64_t seed);
  // Called after every step.
  std::function<void(const Server&, const Output&)> on_output;

  void step(NodeId node, Input input);
  // Gives the node what it asked for: the first `count` requests become durable.
  void persist(NodeId node, size_t count = SIZE_MAX);

  // A crash keeps, of the requests under way, the first `kept` records, which nobody confirmed.
  void crash(NodeId node, size_t kept = 0);
  void restart(NodeId node);
  // The data directory is lost: the next life has a new store id and an empty disk.
  void lose_disk(NodeId node);
  // Replaces the disk of a server that is down.
  void write_disk(NodeId node, HardState hard_state, const std::vector<Term>& terms);

  // Messages under way, oldest first. deliver() takes one out; to a server that is down or over a
  // link that is cut, it is lost.
  std::deque<Message>& network() { return network_; }
  Message take(size_t position);
  void deliver(Message message);
  void cut(NodeId from, NodeId to) { cut_.emplace(from, to); }
  void heal() { cut_.clear(); }
  bool is_cut(NodeId from, NodeId to) const { return cut_.contains({from, to}); }

  // Offers that a leader made and nobody answered yet.
  std::vector<SnapshotOffer>& offers() { return offers_; }
  // Ends the first offer to `to`, after it reached its receiver or not.
  void finish_offer(NodeId to, bool arrives);
  void compact(NodeId node);  // at everything handed out

  // Delivers and persists until nothing moves.
  void settle();

  Server& server(NodeId node) { return servers_.at(node); }
  Core* core(NodeId node) { return server(node).core ? &*server(node).core : nullptr; }
  std::map<NodeId, Server>& servers() { return servers_; }
  SafetyOracle& oracle() { return oracle_; }
  NodeId leader() const;  // of the highest term; 0 if none
  const Configuration& first_configuration() const { return configuration_; }

 private:
  void perform(Server& server, Output output);

  Options options_;
  Random random_;
  Configuration configuration_;
  std::map<NodeId, Server> servers_;
  std::deque<Message> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::vector<SnapshotOffer> offers_;
  SafetyOracle oracle_;
};

}  // namespace dogfs::raft
