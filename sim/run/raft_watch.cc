#include "sim/run/raft_watch.h"

#include "core/raft/core.h"

namespace dogfs::sim {

class RaftWatch::Listener final : public metadata::RaftObserver {
 public:
  Listener(RaftWatch& watch, std::string host) : watch_(watch), host_(std::move(host)) {}

  void started(const raft::Core& core) override {
    watch_.safety_.started(core.self());
    watch_.hosts_[host_].applied = LogIndex(0);
    if (core.term()) ++watch_.recoveries_;
  }
  void stepped(const raft::Core& core) override {
    watch_.safety_.stepped({.member = core.self(), .role = core.role(), .term = core.term()},
                           core.log());
    if (core.role() != raft::Role::kLeader || core.term() <= watch_.leader_term_) return;
    watch_.leader_ = host_;
    watch_.leader_term_ = core.term();
    if (watch_.elected_) watch_.elected_();
  }
  void committed(GroupId, const raft::Member& member, const raft::Entry& entry) override {
    watch_.safety_.committed(member, entry);
  }
  void applied(GroupId, const raft::Member& member, LogIndex index, uint64_t digest) override {
    LogIndex& before = watch_.hosts_[host_].applied;
    if (index > before.next()) ++watch_.snapshots_restored_;
    if (index > before.next() && before > LogIndex(0)) ++watch_.snapshots_received_;
    before = index;
    watch_.safety_.applied(member, index, digest);
  }

 private:
  RaftWatch& watch_;
  const std::string host_;
};

RaftWatch::RaftWatch(Violations& violations) : safety_(violations) {}
RaftWatch::~RaftWatch() = default;

metadata::RaftObserver* RaftWatch::observer(const std::string& host) {
  auto& listener = hosts_[host].listener;
  if (!listener) listener = std::make_unique<Listener>(*this, host);
  return listener.get();
}

LogIndex RaftWatch::applied(const std::string& host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? LogIndex(0) : found->second.applied;
}

}  // namespace dogfs::sim
