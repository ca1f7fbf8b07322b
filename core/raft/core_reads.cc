// ReadIndex (thesis 6.4): a read is safe at the commit index of the moment it came, once a quorum
// has answered a heartbeat sent after it came, by a leader that has committed in its own term; or
// at once, within a lease.

#include "core/raft/core.h"
#include "core/raft/quorum.h"

namespace dogfs::raft {

void Core::on(ReadIndex read) {
  auto* leader = std::get_if<Leader>(&role_);
  if (!leader) return refuse_read(read.id, Refusal::kNotLeader);
  if (lease_holds() || MUTANT("M14")) return output_.reads.push_back({read.id, log_.commit()});
  ReadQueue& reads = leader->reads;
  const size_t waiting = reads.queued.size() + (reads.round ? reads.round->ids.size() : 0);
  if (waiting >= limits::kReadsWaitingMax) return refuse_read(read.id, Refusal::kBusy);
  reads.queued.push_back(read.id);
  begin_read_round();
}

// One round at a time; the reads that come meanwhile share the next.
void Core::begin_read_round() {
  Leader& leader = leading();
  ReadQueue& reads = leader.reads;
  if (reads.round || reads.queued.empty() || log_.commit() < leader.term_start) return;
  reads.last_round = reads.last_round.next();
  reads.round = {reads.last_round, log_.commit(), std::exchange(reads.queued, {})};
  for (auto& [member, progress] : leader.followers) {
    if (configuration().is_voter(member)) send_heartbeat(member, progress);
  }
  finish_read_round();  // a group of one has its quorum already
}

void Core::finish_read_round() {
  ReadQueue& reads = leading().reads;
  if (!reads.round) return;
  const ReadRound round = reads.round->round;
  const bool confirmed = is_quorum(configuration(), [&](const Member& voter) {
    if (same_member(voter, options_.self)) return true;
    const Progress* progress = progress_of(voter);
    return progress && progress->read_round >= round;
  });
  if (!confirmed) return;
  for (const ReadId id : reads.round->ids) output_.reads.push_back({id, reads.round->index});
  reads.round.reset();
  begin_read_round();
}

// --- Lease (thesis 6.4.1) ---

// A follower counts its promise from when the heartbeat came, the leader from when it was sent. A
// wait of n ticks may be as short as n - 1 periods.
uint64_t Core::lease_ticks() const {
  return (options_.election_ticks - 1) * 100 / (100 + *options_.lease_drift_percent);
}

void Core::begin_lease_round() {
  if (!options_.lease_drift_percent) return;
  Leader& leader = leading();
  leader.reads.last_round = leader.reads.last_round.next();
  leader.lease.rounds.push_back({leader.reads.last_round, now_});
  if (leader.lease.rounds.size() > options_.election_ticks) leader.lease.rounds.pop_front();
  renew_lease();
}

void Core::renew_lease() {
  if (!options_.lease_drift_percent) return;
  Leader& leader = leading();
  const uint64_t confirmed = quorum_value(configuration(), [&](const Member& voter) -> uint64_t {
    if (same_member(voter, options_.self)) return leader.reads.last_round.value;
    const Progress* progress = progress_of(voter);
    return progress ? progress->read_round.value : 0;
  });
  auto& rounds = leader.lease.rounds;
  for (; !rounds.empty() && rounds.front().round.value <= confirmed; rounds.pop_front()) {
    leader.lease.until = rounds.front().sent_at + lease_ticks();
  }
}

bool Core::lease_holds() const {
  const Leader& leader = leading();
  return !leader.lease.revoked && log_.commit() >= leader.term_start && now_ < leader.lease.until;
}

void Core::refuse_read(ReadId id, Refusal reason) {
  output_.refused_reads.push_back({id, reason, leader()});
}

std::vector<ReadId> Core::take_reads(ReadQueue& reads) {
  std::vector<ReadId> ids;
  if (reads.round) ids = std::move(reads.round->ids);
  ids.insert(ids.end(), reads.queued.begin(), reads.queued.end());
  return ids;
}

}  // namespace dogfs::raft
