// Leaders: Raft paper sections 5.3 (replication) and 5.4.2 (commitment), thesis 3.10 (transfer),
// 6.2 (a leader that its quorum does not hear steps down) and 10.2.1 (disk beside network).

#include <algorithm>

#include "core/base/check.h"
#include "core/raft/core.h"
#include "core/raft/quorum.h"

namespace dogfs::raft {
namespace {

// So long may a leader lead whose disk does not move, in election timeouts: others commit without
// it, but who lags needs the log and the snapshots on that disk. A disk that is only slow should
// not move leadership about.
constexpr uint64_t kHungDiskTimeouts = 4;

}  // namespace

void Core::become_leader() {
  Leader leader;
  leader.uncommitted_bytes = log_.bytes_between(log_.commit(), log_.last().index);
  leader.term_start = log_.last().index.next();
  leader.since = now_;
  role_ = std::move(leader);
  election_timer_start_ = now_;
  follow_configuration();
  append_own(EntryKind::kNoop, Buffer());
  send_appends();
}

void Core::tick_leader() {
  if (now_ - election_timer_start_ >= options_.election_ticks) {
    election_timer_start_ = now_;
    if (!quorum_is_active() && !MUTANT("M16")) return become_follower(term(), Member());
    if (own_disk_hangs()) return become_follower(term(), Member());
    for (auto& [member, progress] : leading().followers) progress.active = false;
  }
  Leader& leader = leading();
  if (leader.transferee && ++leader.transfer_ticks >= options_.election_ticks) {
    leader.transferee = Member();
  }
  if (now_ % options_.heartbeat_ticks != 0) return;
  begin_lease_round();
  for (auto& [member, progress] : leader.followers) {
    progress.allow_probe();
    send_heartbeat(member, progress);
  }
  advance_membership();
}

bool Core::quorum_is_active() {
  return is_quorum(configuration(), [&](const Member& voter) {
    if (same_member(voter, options_.self)) return own_disk_moves();
    const Progress* progress = progress_of(voter);
    return progress && progress->active;
  });
}

// A leader whose disk hangs is no member of its own quorum, or it would lead for ever while
// nothing can commit.
bool Core::own_disk_moves() const {
  if (MUTANT("M30")) return true;
  return outstanding_.empty() || now_ - outstanding_.front().at < options_.election_ticks;
}

bool Core::own_disk_hangs() const {
  return !own_disk_moves() &&
         now_ - outstanding_.front().at >= kHungDiskTimeouts * options_.election_ticks;
}

const Progress* Core::progress_of(const Member& member) const {
  for (const auto& [known, progress] : leading().followers) {
    if (same_member(known, member)) return &progress;
  }
  return nullptr;
}

Progress* Core::progress_of(const Member& member) {
  return const_cast<Progress*>(std::as_const(*this).progress_of(member));
}

// --- Space ---

bool Core::is_short_of_space(const Member& member) const {
  if (same_member(member, options_.self)) return short_of_space_;
  const Progress* progress = role() == Role::kLeader ? progress_of(member) : nullptr;
  return progress && progress->short_of_space;
}

bool Core::has_room() const {
  const auto& voters = configuration();
  const auto is_short = [&](const Member& voter) { return is_short_of_space(voter); };
  if (std::ranges::none_of(voters.members(), is_short)) return true;
  return is_quorum(voters,
                   [&](const Member& voter) { return !is_short(voter) && !is_silent(voter); });
}

// --- Proposals ---

void Core::on(Propose& propose) {
  for (Proposal& proposal : propose.proposals) {
    if (const auto reason = refusal_of(proposal)) {
      output_.refused.push_back({proposal.id, *reason, leader()});
      continue;
    }
    append_own(EntryKind::kNormal, std::move(proposal.payload));
    output_.accepted.push_back({proposal.id, log_.last()});
  }
  if (role() == Role::kLeader) send_appends();
}

std::optional<Refusal> Core::refusal_of(const Proposal& proposal) const {
  const auto* leader = std::get_if<Leader>(&role_);
  if (!leader) return Refusal::kNotLeader;
  if (leader->transferee) return Refusal::kTransferring;
  if (proposal.payload.size() > limits::kProposalBytesMax) return Refusal::kTooLarge;
  const size_t bytes = leader->uncommitted_bytes + proposal.payload.size() + kEntryOverheadBytes;
  if (bytes > options_.uncommitted_bytes) return Refusal::kBusy;
  return std::nullopt;
}

void Core::append_own(EntryKind kind, Buffer payload) {
  Entry entry{log_.last().index.next(), term(), kind, std::move(payload)};
  leading().uncommitted_bytes += entry_bytes(entry);
  log_.append(std::move(entry));
}

// --- Replication ---

void Core::send_appends() {
  for (auto& [member, progress] : leading().followers) send_appends_to(member, progress);
}

void Core::send_appends_to(const Member& to, Progress& progress) {
  while (progress.may_append() && progress.next() <= log_.last().index) {
    const LogIndex previous = progress.next().prev();
    const auto previous_term = log_.term_at(previous);
    if (!previous_term) return want_snapshot(to, progress);
    AppendRequest request{
        .previous = {previous, *previous_term},
        .entries = log_.slice(progress.next(), {options_.append_entries, options_.append_bytes}),
        .commit = log_.commit(),
        .read_round = leading().reads.last_round};
    const LogIndex last = request.entries.back().index;
    progress.sent(last, log_.bytes_between(previous, last));
    send(to, std::move(request));
  }
}

// Names the position after everything sent, so that a lost append is found by its refusal; or
// position zero, which everybody holds, if that position is forgotten: then only a snapshot helps,
// whether or not the appends under way arrive.
void Core::send_heartbeat(const Member& to, Progress& progress) {
  AppendRequest request{.commit = log_.commit(), .read_round = leading().reads.last_round};
  const LogIndex previous = progress.next().prev();
  const auto previous_term = log_.term_at(previous);
  if (!previous_term) want_snapshot(to, progress);
  if (progress.state() != Progress::State::kSnapshot && previous_term) {
    request.previous = {previous, *previous_term};
  }
  send(to, std::move(request));
}

void Core::want_snapshot(const Member& to, Progress& progress) {
  // Not to a follower that is silent, nor twice at a time.
  if (!progress.active || !progress.snapshot_answered) return;
  progress.start_snapshot(log_.snapshot().last.index);
  progress.snapshot_answered = false;
  output_.snapshots_to_send.push_back(
      {{options_.group, options_.self, to, term()}, log_.snapshot()});
}

void Core::on(SnapshotSent sent) {
  if (role() != Role::kLeader) return;
  Progress* progress = progress_of(sent.to);
  if (!progress) return;
  progress->snapshot_answered = true;
  progress->end_snapshot(sent.ok);
}

void Core::receive(const Envelope& envelope, const AppendReply& reply) {
  if (role() != Role::kLeader) return;
  Leader& leader = leading();
  Progress* progress = progress_of(envelope.from);
  const bool possible =
      progress && reply.match <= log_.last().index && reply.read_round <= leader.reads.last_round;
  if (!possible) return ignore();

  progress->active = true;
  progress->heard_at = now_;
  progress->short_of_space = reply.short_of_space;
  progress->read_round = std::max(progress->read_round, reply.read_round);
  progress->acknowledged(reply.match);
  progress->advance_round(log_.last().index, now_, options_.election_ticks);
  if (reply.rejection) {
    const LogIndex meet = log_.last_at_most(reply.rejection->hint).index;
    progress->rejected(reply.rejection->previous, meet);
  } else {
    progress->accepted(log_.first_index());
  }
  advance_commit();
  finish_read_round();
  renew_lease();
  send_appends_to(envelope.from, *progress);
  advance_transfer();
  advance_membership();
}

// Section 5.4.2 and figure 8: only entries of the own term are committed by counting; those before
// them are committed along with them. The own disk counts like any other.
void Core::advance_commit() {
  const uint64_t reached = quorum_value(configuration(), [&](const Member& voter) -> uint64_t {
    if (same_member(voter, options_.self)) return log_.durable().value;
    const Progress* progress = progress_of(voter);
    return progress ? progress->match().value : 0;
  });
  const LogIndex before = log_.commit();
  const LogIndex index = std::min(LogIndex(reached), log_.last().index);
  if (index <= before) return;
  if (log_.term_at(index) != term() && !MUTANT("M2")) return;
  log_.commit_to(index);
  leading().uncommitted_bytes -= log_.bytes_between(before, index);
  begin_read_round();
}

// --- Transfer of leadership ---

void Core::on(TransferLeadership transfer) {
  if (role() != Role::kLeader || transfer.to == options_.self) return;
  Leader& leader = leading();
  const bool stays = std::ranges::binary_search(configuration().voters, transfer.to);
  if (!stays || !progress_of(transfer.to)) return;
  // Planted bug M47: a leader that hands over keeps its lease.
  leader.lease.revoked = !MUTANT("M47");
  leader.transferee = transfer.to;
  leader.transfer_ticks = 0;
  advance_transfer();
}

void Core::advance_transfer() {
  const Leader& leader = leading();
  if (!leader.transferee || progress_of(leader.transferee)->match() != log_.last().index) return;
  send(leader.transferee, TimeoutNow{});
}

}  // namespace dogfs::raft
