#pragma once
// MapWatch: listens to the Raft host of every server of a map and feeds the oracle of Raft safety;
// knows who was elected last. In the real world each server has a thread of its own: hence the
// lock. Outlives the servers.

#include <map>
#include <mutex>

#include "core/raft/core.h"
#include "nodes/metadata/raft_observer.h"
#include "sim/check/raft_safety.h"
#include "sim/check/violation.h"

namespace dogfs::nodes {

class MapWatch final : public metadata::RaftObserver {
 public:
  void started(const raft::Core& core) override {
    const std::lock_guard lock(mutex_);
    safety_.started(core.self());
    applied_.erase(core.self());
  }
  void stepped(const raft::Core& core) override {
    const std::lock_guard lock(mutex_);
    safety_.stepped({core.self(), core.role(), core.term()}, core.log());
    if (core.role() != raft::Role::kLeader || core.term() <= election_.term) return;
    election_ = {core.term(), core.self().node};
  }
  void committed(GroupId, const raft::Member& member, const raft::Entry& entry) override {
    const std::lock_guard lock(mutex_);
    safety_.committed(member, entry);
  }
  void applied(GroupId, const raft::Member& member, LogIndex index, uint64_t digest) override {
    const std::lock_guard lock(mutex_);
    safety_.applied(member, index, digest);
    const auto [before, is_first] = applied_.try_emplace(member, index);
    if (!is_first && index > before->second.next()) ++snapshots_;
    before->second = index;
  }

  // The highest term that anybody led, and who.
  struct Election {
    Term term;
    NodeId leader;
  };
  Election last_election() const {
    const std::lock_guard lock(mutex_);
    return election_;
  }
  uint64_t elections() const {
    const std::lock_guard lock(mutex_);
    return safety_.elections();
  }
  // That a server took from another, while it ran.
  uint64_t snapshots() const {
    const std::lock_guard lock(mutex_);
    return snapshots_;
  }
  // While no server runs on a thread of its own.
  sim::Violations& violations() { return violations_; }

 private:
  mutable std::mutex mutex_;
  sim::Violations violations_;
  sim::RaftSafety safety_{violations_};
  Election election_;
  std::map<raft::Member, LogIndex> applied_;
  uint64_t snapshots_ = 0;
};

}  // namespace dogfs::nodes
