#include "sim/run/raft_watch.h"

#include "core/raft/core.h"

namespace dogfs::sim {

class RaftWatch::Listener final : public metadata::RaftObserver {
 public:
  Listener(RaftWatch& watch, std::string host) : watch_(watch), host_(std::move(host)) {}

  void started(const raft::Core& core) override {
    watch_.safety_.started(core.self());
    watch_.persistence_.started(seen(core), core.log());
    watch_.membership_.started(core.self());
    watch_.hosts_[host_].applied = LogIndex(0);
    if (core.term()) ++watch_.recoveries_;
  }
  void stepped(const raft::Core& core) override {
    watch_.safety_.stepped({.member = core.self(), .role = core.role(), .term = core.term()},
                           core.log());
    watch_.persistence_.stepped(seen(core), core.log());
    watch_.membership_.stepped({.member = core.self(),
                                .role = core.role(),
                                .term = core.term(),
                                .in_force = core.configuration()},
                               core.log());
    if (core.role() == raft::Role::kLeader) note_appended(core);
    if (core.role() != raft::Role::kLeader || core.term() < watch_.leader_term_) return;
    note_configuration(core);
    if (core.term() == watch_.leader_term_) return;
    watch_.leader_ = host_;
    watch_.leader_term_ = core.term();
    watch_.expiry_.elected(core.term(), watch_.world_.now());
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
  static RaftPersistence::Seen seen(const raft::Core& core) {
    return {.member = core.self(),
            .role = core.role(),
            .state = core.hard_state(),
            .all_durable = core.persist_done() == core.persist_issued()};
  }
  void note_configuration(const raft::Core& core) {
    if (watch_.configuration_ == core.configuration()) return;
    watch_.configuration_ = core.configuration();
    if (watch_.reconfigured_) watch_.reconfigured_();
  }
  void note_appended(const raft::Core& core) {
    const raft::Log& log = core.log();
    for (LogIndex index = log.last().index; log.term_at(index) == core.term();
         index = index.prev()) {
      const raft::LogPosition position{index, core.term()};
      if (watch_.expiry_.knows(position)) return;
      watch_.expiry_.appended(position, watch_.world_.now());
    }
  }

  RaftWatch& watch_;
  const std::string host_;
};

RaftWatch::RaftWatch(const Scheduler& world, Violations& violations)
    : world_(world), safety_(violations), persistence_(violations), membership_(violations) {}
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
