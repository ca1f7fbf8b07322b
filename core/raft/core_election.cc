// Elections: Raft paper sections 5.2 and 5.4.1, thesis 9.6 (pre-vote) and 4.2.3 (a server that
// hears a leader protects it).

#include "core/raft/core.h"
#include "core/raft/quorum.h"

namespace dogfs::raft {
namespace {

bool said(const Votes& votes, const Member& voter, bool what) {
  for (const auto& [member, granted] : votes) {
    if (granted == what && same_member(member, voter)) return true;
  }
  return false;
}

enum class Verdict : uint8_t { kOpen, kWon, kLost };

Verdict verdict(const Configuration& configuration, const Votes& votes) {
  const auto granted = [&](const Member& voter) { return said(votes, voter, true); };
  const auto not_refused = [&](const Member& voter) { return !said(votes, voter, false); };
  if (is_quorum(configuration, granted)) return Verdict::kWon;
  return is_quorum(configuration, not_refused) ? Verdict::kOpen : Verdict::kLost;
}

}  // namespace

// A blank data directory knows no configuration and one that was replaced is not in it under its
// new store id: neither may decide an election.
bool Core::may_vote() const { return MUTANT("M43") || configuration().contains(options_.self); }

// Also whom a change removes that is not known to be committed: its log may be the longest, and
// then nobody else can lead until the others have got the change from it (thesis 4.2.2).
// Not one whose disk hangs: it never has its own vote, and with each new term it takes from the
// others what they had begun.
bool Core::may_campaign() const {
  if (own_disk_hangs()) return false;
  const bool before = log_.configuration_at(log_.commit()).is_voter(options_.self);
  return campaign_allowed_ && (before || configuration().is_voter(options_.self));
}

bool Core::hears_leader() const {
  if (MUTANT("M16")) return false;
  if (role() == Role::kLeader) return true;  // quorum_is_active() keeps this honest
  return leader() && now_ - election_timer_start_ < options_.election_ticks;
}

void Core::receive_vote_request(const Envelope& envelope, const VoteRequest& request) {
  const bool newer = envelope.term > term();
  const bool protects_leader = (hears_leader() || has_promised()) && !request.transfer;
  if (request.pre_vote) {
    if (protects_leader && envelope.term >= term()) return;
    const bool granted = envelope.term >= term() && may_vote() && is_up_to_date(request.last);
    return send(envelope.from, VoteReply{.pre_vote = true, .granted = granted});
  }
  if (protects_leader && (newer || has_promised())) return;
  if (newer) become_follower(envelope.term, Member());
  if (!may_grant(envelope, request)) return send(envelope.from, VoteReply{.granted = false});

  restart_election_timer();
  if (hard_state_.voted_for != envelope.from) {
    hard_state_.voted_for = envelope.from;
    hard_state_changed_ = true;
  }
  if (MUTANT("M1")) return send(envelope.from, VoteReply{.granted = true});
  send_when_durable(envelope.from, VoteReply{.granted = true});
}

bool Core::may_grant(const Envelope& envelope, const VoteRequest& request) const {
  if (envelope.term != term() || !may_vote()) return false;
  const bool first = !hard_state_.voted_for && !leader();
  if (!first && hard_state_.voted_for != envelope.from) return false;
  return is_up_to_date(request.last);
}

bool Core::is_up_to_date(const LogPosition& candidate_last) const {
  return MUTANT("M3") || log_.is_up_to_date(candidate_last);
}

void Core::tick_election() {
  if (now_ - election_timer_start_ < election_timeout_) return;
  if (may_campaign() && MUTANT("M16")) return campaign(/*transfer=*/false);
  if (may_campaign()) return campaign_pre_vote();
  if (leader()) become_follower(term(), Member());
}

void Core::campaign_pre_vote() {
  restart_election_timer();
  role_ = PreCandidate{{{options_.self, true}}};
  for (const Member& voter : configuration().members()) {
    if (voter == options_.self || !configuration().is_voter(voter)) continue;
    send(voter, VoteRequest{.pre_vote = true, .last = log_.last()});
  }
  count_pre_votes();
}

void Core::campaign(bool transfer) {
  restart_election_timer();
  hard_state_ = {term().next(), options_.self};
  hard_state_changed_ = true;
  held_.clear();
  role_ = Candidate{.own_vote = persist_issued_.next()};
  // A request that was sent before the own vote and the log behind it are durable could be granted
  // to this candidate's next life, which has forgotten both.
  for (const Member& voter : configuration().members()) {
    if (voter == options_.self || !configuration().is_voter(voter)) continue;
    send_when_durable(voter, VoteRequest{.transfer = transfer, .last = log_.last()});
  }
}

// A grant comes from a member whose term is not above ours, maybe below.
void Core::receive_pre_vote_grant(const Envelope& envelope) {
  auto* candidate = std::get_if<PreCandidate>(&role_);
  if (!candidate || envelope.term > term() || !configuration().is_voter(envelope.from)) {
    return ignore();
  }
  candidate->votes.emplace(envelope.from, true);
  count_pre_votes();
}

void Core::receive(const Envelope& envelope, const VoteReply& reply) {
  if (!configuration().is_voter(envelope.from)) return ignore();
  if (auto* candidate = std::get_if<PreCandidate>(&role_); candidate && reply.pre_vote) {
    candidate->votes.emplace(envelope.from, reply.granted);
    return count_pre_votes();
  }
  if (auto* candidate = std::get_if<Candidate>(&role_); candidate && !reply.pre_vote) {
    candidate->votes.emplace(envelope.from, reply.granted);
    return count_votes();
  }
}

void Core::count_own_vote() {
  auto& candidate = std::get<Candidate>(role_);
  if (candidate.own_vote > persist_done_) return;
  candidate.votes.emplace(options_.self, true);
  count_votes();
}

void Core::count_pre_votes() {
  switch (verdict(configuration(), std::get<PreCandidate>(role_).votes)) {
    case Verdict::kOpen: return;
    case Verdict::kWon: return campaign(/*transfer=*/false);
    case Verdict::kLost: return become_follower(term(), Member());
  }
}

void Core::count_votes() {
  switch (verdict(configuration(), std::get<Candidate>(role_).votes)) {
    case Verdict::kOpen: return;
    case Verdict::kWon: return become_leader();
    case Verdict::kLost: return become_follower(term(), Member());
  }
}

}  // namespace dogfs::raft
