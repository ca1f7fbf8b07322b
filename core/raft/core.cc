#include "core/raft/core.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace dogfs::raft {

Core::Core(Options options, Recovered recovered, Random random)
    : options_(std::move(options)),
      random_(random),
      hard_state_(recovered.hard_state),
      log_(std::move(recovered)) {
  CHECK(options_.self.node && options_.self.store, "a member needs a node and a store id");
  CHECK(options_.heartbeat_ticks > 0 && options_.heartbeat_ticks < options_.election_ticks);
  restart_election_timer();
  promised_until_ = options_.election_ticks;  // to whom was forgotten
}

Output Core::step(Input input) {
  const RoleChange before = role_change();
  std::visit([this](auto& event) { on(event); }, input);
  return finish_step(before);
}

Output Core::finish_step(const RoleChange& before) {
  output_.committed = log_.take_committed();
  build_persist_request();
  if (const RoleChange after = role_change(); after != before) output_.role_change = after;
  return std::exchange(output_, {});
}

void Core::build_persist_request() {
  if (!has_unrequested()) return;
  persist_issued_ = persist_issued_.next();
  outstanding_.push_back({persist_issued_, now_});
  PersistRequest request{.number = persist_issued_};
  if (std::exchange(hard_state_changed_, false)) request.hard_state = hard_state_;
  if (std::exchange(snapshot_changed_, false)) request.snapshot = log_.snapshot();
  request.entries = log_.take_unrequested(persist_issued_);
  output_.persist = std::move(request);
}

bool Core::has_unrequested() const {
  return hard_state_changed_ || snapshot_changed_ || log_.has_unrequested();
}

// --- Inputs that every role treats alike ---

void Core::on(Tick) {
  ++now_;
  if (role() == Role::kLeader) return tick_leader();
  tick_election();
}

// Answers to what was sent before the pause begin no lease: nobody knows how long ago that was.
void Core::on(TicksLost) {
  if (role() == Role::kLeader) leading().lease = {.revoked = leading().lease.revoked};
}

void Core::on(const Message& message) {
  const Envelope& envelope = message.envelope;
  if (!is_addressed_here(envelope)) return ignore();
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    if (!envelope.term && !request->pre_vote) return ignore();
    return receive_vote_request(envelope, *request);
  }
  const auto* vote = std::get_if<VoteReply>(&message.body);
  if (vote && vote->pre_vote && vote->granted) return receive_pre_vote_grant(envelope);
  if (envelope.term < term()) return receive_stale(message);
  // Before the first election there is nothing but pre-votes.
  if (!envelope.term && !(vote && vote->pre_vote)) return ignore();
  if (envelope.term > term()) become_follower(envelope.term, Member());
  std::visit([&](const auto& body) { receive(envelope, body); }, message.body);
}

void Core::receive_stale(const Message& message) {
  // A deposed leader learns of the new term from the envelope of any answer.
  if (std::holds_alternative<AppendRequest>(message.body))
    send(message.envelope.from, AppendReply{});
}

void Core::on(Persisted persisted) {
  CHECK(persisted.number <= persist_issued_, "request {} was never issued", persisted.number);
  if (persisted.number <= persist_done_) return;
  persist_done_ = persisted.number;
  while (!outstanding_.empty() && outstanding_.front().number <= persist_done_) {
    outstanding_.pop_front();
  }
  log_.persisted(persist_done_);
  release_held();
  switch (role()) {
    case Role::kFollower: return acknowledge_if_news();
    case Role::kPreCandidate: return;
    case Role::kCandidate: return count_own_vote();
    case Role::kLeader: advance_commit(); return advance_membership();
  }
}

void Core::on(const Compact& compact) {
  if (compact.snapshot.last.index <= log_.snapshot().last.index) return;
  output_.forgotten = log_.compact(compact.snapshot, options_.tail_entries);
  snapshot_changed_ = true;
}

void Core::on(StepDown) {
  campaign_allowed_ = false;
  if (role() != Role::kFollower) become_follower(term(), Member());
}

void Core::on(AllowCampaign) { campaign_allowed_ = true; }

// --- Terms, messages, time ---

void Core::become_follower(Term term, const Member& leader) {
  CHECK(term >= hard_state_.term, "term {} after {}", term, hard_state_.term);
  if (term > hard_state_.term) {
    hard_state_ = {term, Member()};
    hard_state_changed_ = true;
    held_.clear();  // what an earlier term still had to say is void
  }
  auto* was_leader = std::get_if<Leader>(&role_);
  std::vector<ReadId> reads = was_leader ? take_reads(was_leader->reads) : std::vector<ReadId>();
  role_ = Follower{.leader = leader};
  for (const ReadId id : reads) refuse_read(id, Refusal::kNotLeader);
  restart_election_timer();
}

void Core::send(const Member& to, Body body) {
  output_.messages.push_back({{options_.group, options_.self, to, term()}, std::move(body)});
}

// Waits for everything this step and those before it have changed.
void Core::send_when_durable(const Member& to, Body body) {
  const PersistNumber until = has_unrequested() ? persist_issued_.next() : persist_issued_;
  if (until <= persist_done_) return send(to, std::move(body));
  Message message{{options_.group, options_.self, to, term()}, std::move(body)};
  const bool repeated =
      std::ranges::any_of(held_, [&](const Held& held) { return held.message == message; });
  if (!repeated) held_.push_back({until, std::move(message)});
}

void Core::release_held() {
  while (!held_.empty() && held_.front().until <= persist_done_) {
    output_.messages.push_back(std::move(held_.front().message));
    held_.pop_front();
  }
}

// Requests of a sender that this member's configuration does not name are served (thesis 4.1):
// the sender may know a newer one, and campaigns only if its own log names it, store id included.
bool Core::is_addressed_here(const Envelope& envelope) const {
  return envelope.group == options_.group && envelope.term.value <= limits::kRaftTermMax &&
         envelope.from.node && envelope.from.store && envelope.from.node != options_.self.node &&
         same_member(envelope.to, options_.self);
}

void Core::restart_election_timer() {
  election_timer_start_ = now_;
  election_timeout_ = options_.election_ticks + random_.below(options_.election_ticks);
}

// --- Views ---

Role Core::role() const {
  switch (role_.index()) {
    case 0: return Role::kFollower;
    case 1: return Role::kPreCandidate;
    case 2: return Role::kCandidate;
    default: return Role::kLeader;
  }
}

Member Core::leader() const {
  if (const auto* follower = std::get_if<Follower>(&role_)) return follower->leader;
  return role() == Role::kLeader ? options_.self : Member();
}

const std::map<Member, Progress>* Core::followers() const {
  const auto* leader = std::get_if<Leader>(&role_);
  return leader ? &leader->followers : nullptr;
}

SnapshotMeta Core::snapshot_meta(LogIndex applied) const {
  CHECK(applied <= log_.handed_out() && applied >= log_.snapshot().last.index,
        "{} is not between snapshot {} and {}", applied, log_.snapshot().last, log_.handed_out());
  if (MUTANT("M33")) return {{applied, term()}, log_.configuration_at(applied)};
  return {{applied, *log_.term_at(applied)}, log_.configuration_at(applied)};
}

PersistRequest Core::image() const {
  const SnapshotMeta& snapshot = log_.snapshot();
  const Log::SliceBounds all{SIZE_MAX, SIZE_MAX};
  return {persist_issued_, hard_state_, snapshot, log_.slice(snapshot.last.index.next(), all)};
}

}  // namespace dogfs::raft
