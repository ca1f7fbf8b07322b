#include "sim/check/raft_membership.h"

#include <algorithm>

namespace dogfs::sim {
namespace {

// What makes every quorum of the one meet every quorum of the other.
bool may_follow(const raft::Configuration& before, const raft::Configuration& next) {
  if (before.empty()) return true;
  if (before.joint()) return next.voters == before.voters && !next.joint();
  return next.joint() ? next.outgoing == before.voters : next.voters == before.voters;
}

}  // namespace

void RaftMembership::stepped(const Seen& seen, const raft::Log& log) {
  if (seen.in_force != log.configuration())
    violations_.add(Oracle::kQuorumIntersection,
                    "{} goes by a configuration that is not the last one in its log", seen.member);
  const auto [known, is_new] = before_.try_emplace(seen.member);
  Before& before = known->second;
  const bool leads = seen.role == raft::Role::kLeader;
  if (leads && !is_new) {
    // What it had before it led is of earlier terms and of other leaders.
    for (LogIndex i = log.last().index; i > before.last; i = i.prev()) {
      const raft::Entry* entry = log.at(i);
      if (entry == nullptr || entry->term != seen.term) break;
      if (entry->kind == raft::EntryKind::kConfiguration)
        check_appended(seen, log, i, before.commit);
    }
  }
  before = {seen.term, log.last().index, log.commit()};
}

// The commit index may have moved in the very step that appended it: then that allowed it.
void RaftMembership::check_appended(const Seen& seen, const raft::Log& log, LogIndex index,
                                    LogIndex commit) {
  ++changes_;
  commit = std::max(commit, std::min(log.commit(), index.prev()));
  if (log.term_at(commit) != seen.term)
    violations_.add(Oracle::kQuorumIntersection,
                    "{} changes the members at {}, and committed nothing in term {} yet",
                    seen.member, index, seen.term);
  for (LogIndex i = index.prev(); i > commit; i = i.prev())
    if (log.at(i) != nullptr && log.at(i)->kind == raft::EntryKind::kConfiguration)
      violations_.add(Oracle::kQuorumIntersection,
                      "{} changes the members at {}, and did not commit the change at {} yet",
                      seen.member, index, i);
  const raft::Configuration& earlier = log.configuration_at(index.prev());
  if (!may_follow(earlier, log.configuration_at(index)))
    violations_.add(Oracle::kQuorumIntersection,
                    "{} appends a configuration at {} that quorums of the one before may miss",
                    seen.member, index);
}

}  // namespace dogfs::sim
