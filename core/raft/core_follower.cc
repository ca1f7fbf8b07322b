// Followers: Raft paper sections 5.3 (log) and 7 (snapshots), thesis 3.10 (leadership transfer).

#include <algorithm>

#include "core/base/check.h"
#include "core/raft/core.h"
#include "core/raft/record.h"

namespace dogfs::raft {
namespace {

// What no correct leader sends: entries with gaps, with terms that go down or exceed the sender's,
// or configurations that are none.
bool is_well_formed(const Envelope& envelope, const AppendRequest& request) {
  if (request.entries.size() > limits::kAppendEntriesMax) return false;
  if (request.previous.term > envelope.term) return false;
  if (request.previous.index.value > limits::kRaftIndexMax) return false;
  LogPosition before = request.previous;
  for (const Entry& entry : request.entries) {
    if (entry.index != before.index.next()) return false;
    if (entry.term < before.term || entry.term > envelope.term) return false;
    if (entry.kind == EntryKind::kConfiguration &&
        !decode_configuration(entry.payload.view()).has_value()) {
      return false;
    }
    before = entry.position();
  }
  return true;
}

}  // namespace

Follower* Core::follow(const Envelope& envelope) {
  if (role() == Role::kLeader) return nullptr;
  if (leader() != envelope.from) become_follower(term(), envelope.from);
  election_timer_start_ = now_;
  promised_until_ = now_ + options_.election_ticks;
  return &std::get<Follower>(role_);
}

void Core::receive(const Envelope& envelope, const AppendRequest& request) {
  if (!is_well_formed(envelope, request) || contradicts_committed(request)) return ignore();
  Follower* follower = follow(envelope);
  if (!follower) return ignore();
  const bool new_round = request.read_round > follower->read_round;
  follower->read_round = std::max(follower->read_round, request.read_round);

  // Below the commit index every log agrees with the leader's, forgotten entries included.
  const bool meets = request.previous.index < log_.commit() || log_.holds(request.previous);
  if (!meets) return reject_append(request);
  append_missing(request, *follower);

  const LogIndex verified(request.previous.index.value + request.entries.size());
  follower->verified = std::max(follower->verified, verified);
  // The leader's commit index says nothing of entries that this append did not verify.
  const LogIndex commit = std::min(request.commit, verified);
  if (commit > log_.commit()) log_.commit_to(commit);

  // With entries still on their way to the disk, the answer waits for on(Persisted).
  const bool durable = log_.durable() >= verified || MUTANT("M5");
  if (request.entries.empty() || new_round || durable) acknowledge();
}

// Leader completeness rules this out while every member is correct. If one is not, the safe answer
// is none.
bool Core::contradicts_committed(const AppendRequest& request) const {
  return std::ranges::any_of(request.entries, [&](const Entry& entry) {
    if (entry.index > log_.commit()) return false;
    const auto own = log_.term_at(entry.index);
    return own && *own != entry.term;
  });
}

// Entries that are there already stay: a late or repeated append must not shorten the log.
void Core::append_missing(const AppendRequest& request, Follower& follower) {
  for (const Entry& entry : request.entries) {
    if (entry.index <= log_.commit() || log_.holds(entry.position())) continue;
    if (entry.index <= log_.last().index) {
      log_.truncate(entry.index);
      follower.verified = std::min(follower.verified, log_.last().index);
    }
    log_.append(entry);
  }
}

// Durable here, and known to be the leader's: verified by it in this term, or committed.
LogIndex Core::own_match(const Follower& follower) const {
  const LogIndex known = std::max(follower.verified, log_.commit());
  if (MUTANT("M5")) return known;
  return std::min(known, log_.durable());
}

void Core::acknowledge() {
  auto& follower = std::get<Follower>(role_);
  follower.acknowledged = own_match(follower);
  send(follower.leader, AppendReply{.match = follower.acknowledged,
                                    .read_round = follower.read_round,
                                    .short_of_space = short_of_space_});
}

void Core::acknowledge_if_news() {
  const auto& follower = std::get<Follower>(role_);
  if (follower.leader && own_match(follower) > follower.acknowledged) acknowledge();
}

void Core::reject_append(const AppendRequest& request) {
  const auto& follower = std::get<Follower>(role_);
  AppendReply reply{.match = own_match(follower),
                    .read_round = follower.read_round,
                    .short_of_space = short_of_space_};
  reply.rejection = {request.previous.index, log_.last_at_most(request.previous)};
  send(follower.leader, std::move(reply));
}

void Core::receive(const Envelope& envelope, const TimeoutNow&) {
  if (role() != Role::kFollower || leader() != envelope.from || !may_campaign()) return;
  campaign(/*transfer=*/true);
}

void Core::on(const SnapshotReceived& received) {
  const auto& [envelope, snapshot] = received.offer;
  const Configuration& configuration = snapshot.configuration;
  if (!is_addressed_here(envelope) || configuration.empty() || !configuration.valid() ||
      snapshot.last.term > envelope.term || snapshot.last.index.value > limits::kRaftIndexMax) {
    return ignore();
  }
  if (envelope.term < term()) return send(envelope.from, AppendReply{});
  if (envelope.term > term()) become_follower(envelope.term, Member());
  Follower* follower = follow(envelope);
  if (!follower) return ignore();

  const LogIndex index = snapshot.last.index;
  if (index > log_.commit() && log_.holds(snapshot.last)) log_.commit_to(index);
  if (index <= log_.commit()) return acknowledge();
  log_.restore(snapshot);
  snapshot_changed_ = true;
  output_.restore = snapshot;
}

}  // namespace dogfs::raft
