#include "nodes/metadata/raft_host.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/mutation.h"
#include "core/env/nursery.h"
#include "core/raft/record.h"
#include "core/wal/wal.h"

namespace dogfs::nodes {
namespace {
constexpr int kTicksLate = 3;  // from so many on, a pause
constexpr Duration kFullDiskRetry = std::chrono::milliseconds(500);

std::string nodes_of(const std::vector<raft::Member>& members) {
  std::string out;
  for (const auto& member : members) out += fmt::format(" {}", member.node);
  return out;
}

// What decides who can be elected.
std::string describe(const raft::Core& core) {
  const raft::Configuration& members = core.configuration();
  auto out = fmt::format("last {} of term {}, commit {}, voters{}", core.last().index,
                         core.last().term, core.commit(), nodes_of(members.voters));
  if (members.joint()) out += ", and of before" + nodes_of(members.outgoing);
  return out;
}
}  // namespace

using wal::Lsn;

Task<Result<void>> RaftHost::run() {
  if (auto loaded = co_await load_newest_snapshot(); !loaded) co_return loaded;
  if (parts_.observer != nullptr) parts_.observer->started(*core_);
  next_tick_ = env_.now() + options_.tick;
  started_ = true;
  co_await nursery(env_, [this](Nursery& children) { return drive(children); });
  co_return fail(failure_.value_or(Error{Code::kClosed, "the raft host was stopped"}));
}

Task<> RaftHost::drive(Nursery& children) {
  children.spawn(tick_loop());
  children.spawn(request_loop());
  children.spawn(persist_loop());
  children.spawn(snapshot_loop());
  children.spawn(send_snapshots_loop());
  while (!failure_) co_await failed_.wait();
}

Task<> RaftHost::tick_loop() {
  for (;;) {
    co_await env_.sleep_until(next_tick_);
    report_space();
    give_due_ticks();
  }
}

// With leases, all that are due, so that ticks count time. But not those that a pause swallowed: a
// follower that was given them all at once would miss a leader whose messages wait to be received.
void RaftHost::give_due_ticks() {
  const Instant now = env_.now();
  const bool leases = core_->options().lease_drift_percent.has_value();
  if (now - next_tick_ >= (leases ? kTicksLate : 0) * options_.tick) {
    next_tick_ = now;
    // Planted bug M48: nobody says that ticks were lost.
    if (leases && !MUTANT("M48")) advance(raft::TicksLost{});
  }
  while (next_tick_ <= now) {
    next_tick_ += options_.tick;
    advance(raft::Tick{});
  }
}

void RaftHost::report_space() {
  const bool is_short = parts_.wal.is_short_of_space();
  if (is_short == std::exchange(short_of_space_, is_short)) return;
  step(raft::ReportSpace{is_short});
}

Task<> RaftHost::persist_loop() {
  for (;;) {
    while (to_persist_.empty()) co_await persist_wanted_.wait();
    if (auto durable = co_await persist_waiting(); !durable) {
      fail_with(durable.error().in("write-ahead log"));
      co_return;
    }
  }
}

// Takes everything that waits as one batch: one sync covers it (group commit). A new snapshot's
// record stands for the log before it, together with a hard state, which is written with it.
Task<Result<void>> RaftHost::persist_waiting() {
  auto requests = std::exchange(to_persist_, {});
  const raft::PersistNumber last = requests.back().number;
  const LogIndex snapshot = core_->log().snapshot().last.index;
  bool compacted = false;
  LogIndex highest;
  std::vector<std::string> records;
  for (auto& request : requests) {
    if (request.hard_state) hard_state_ = *request.hard_state;
    if (request.snapshot) request.hard_state = hard_state_;
    compacted = compacted || request.snapshot;
    if (!request.entries.empty()) highest = std::max(highest, request.entries.back().index);
    for (auto& record : raft::encode_records(core_->options().group, request))
      records.push_back(std::move(record));
  }
  // Planted bug M5: the log is told durable before it is.
  if (MUTANT("M5")) step(raft::Persisted{last});
  CO_TRY(first, co_await make_durable(std::move(records)));
  if (highest) written_.push_back({highest, first});
  step(raft::Persisted{last});
  if (compacted) co_return co_await forget_before(snapshot, first);
  co_return Result<void>();
}

// The snapshot's record is durable, at or behind `record`. Entries after the snapshot stay where
// they were written.
Task<Result<void>> RaftHost::forget_before(LogIndex snapshot, Lsn record) {
  while (!written_.empty() && written_.front().last <= snapshot) written_.pop_front();
  const Lsn keep_from = written_.empty() ? record : std::min(written_.front().first, record);
  parts_.wal.release(core_->options().group, keep_from);
  // The log does not name what is older than this snapshot any more; it may name a newer one soon.
  return wal::remove_snapshots_below(env_, parts_.snapshots, snapshot);
}

// A full disk is waited out without leading; every other failure of the log is final.
Task<Result<Lsn>> RaftHost::make_durable(std::vector<std::string> records) {
  const GroupId group = core_->options().group;
  bool full = false;
  for (;;) {
    auto ticket = parts_.wal.append(group, records);
    if (!ticket && ticket.error().is(Code::kUnavailable)) {
      CO_TRY_VOID(co_await parts_.wal.room());
      continue;
    }
    Result<void> durable;
    if (ticket)
      durable = co_await parts_.wal.durable(*ticket);
    else
      durable = fail(ticket.error());
    if (durable) {
      if (full) step(raft::AllowCampaign{});
      co_return ticket->first();
    }
    if (!durable.error().is(Code::kNoSpace)) co_return fail(durable.error());
    if (!std::exchange(full, true)) {
      env_.log().error("group {}: the disk is full; this server does not lead", group);
      step(raft::StepDown{});
    }
    co_await env_.sleep(kFullDiskRetry);
  }
}

Task<Result<Committed>> RaftHost::propose(Buffer command) {
  const auto outcome = std::make_shared<Outcome<Committed>>(env_);
  propose(std::move(command),
          [outcome](Result<Committed> result) { outcome->settle(std::move(result)); });
  co_await outcome->done.wait();
  co_return std::move(*outcome->result);
}

Task<Result<Committed>> RaftHost::change_membership(raft::Membership wanted) {
  if (failure_) co_return fail(Code::kUnavailable, "the server failed: {}", failure_->message);
  const raft::ProposalId id(next_id_++);
  const auto outcome = std::make_shared<Outcome<Committed>>(env_);
  proposed_.push_back(
      {id, [outcome](Result<Committed> result) { outcome->settle(std::move(result)); }});
  step(raft::ChangeMembership{id, std::move(wanted)});
  co_await outcome->done.wait();
  co_return std::move(*outcome->result);
}

void RaftHost::propose(Buffer command, ProposalThen then) {
  if (failure_) return then(fail(Code::kUnavailable, "the server failed: {}", failure_->message));
  const raft::ProposalId id(next_id_++);
  to_propose_.proposals.push_back({id, std::move(command)});
  proposed_.push_back({id, std::move(then)});
  requests_wanted_.notify();
}

Task<Result<LogIndex>> RaftHost::read_barrier() {
  const auto outcome = std::make_shared<Outcome<LogIndex>>(env_);
  read_barrier([outcome](Result<LogIndex> result) { outcome->settle(std::move(result)); });
  co_await outcome->done.wait();
  co_return std::move(*outcome->result);
}

void RaftHost::read_barrier(ReadThen then) {
  if (failure_) return then(fail(Code::kUnavailable, "the server failed: {}", failure_->message));
  to_read_.push_back(std::move(then));
  requests_wanted_.notify();
}

Task<> RaftHost::request_loop() {
  for (;;) {
    while (to_propose_.proposals.empty() && to_read_.empty()) co_await requests_wanted_.wait();
    step_requests();
  }
}

void RaftHost::step_requests() {
  if (!to_propose_.proposals.empty()) step(std::exchange(to_propose_, {}));
  if (to_read_.empty() || failure_) return;
  const raft::ReadId id(next_id_++);
  reads_.emplace(id, std::exchange(to_read_, {}));
  step(raft::ReadIndex{id});
}

void RaftHost::receive(raft::Message message) {
  if (started_) step(std::move(message));
}

// A lease is only as good as the ticks.
void RaftHost::step(raft::Input input) {
  if (core_->options().lease_drift_percent) give_due_ticks();
  advance(std::move(input));
}

void RaftHost::advance(raft::Input input) {
  if (failure_) return;
  raft::Output output = core_->step(std::move(input));
  if (parts_.observer != nullptr) parts_.observer->stepped(*core_);
  perform(std::move(output));
}

void RaftHost::perform(raft::Output output) {
  if (output.persist) {
    to_persist_.push_back(std::move(*output.persist));
    persist_wanted_.notify();
  }
  if (!output.messages.empty()) parts_.peers.send(output.messages);
  if (output.role_change && leading()) give_up_overwritten();
  settle_proposed(output);
  settle_refused_reads(output);
  if (output.restore) restore(*output.restore);
  for (const auto& entry : output.committed) apply(entry);
  settle_reads(output.reads);
  if (output.forgotten) forgotten_ = std::move(*output.forgotten);
  for (auto& offer : output.snapshots_to_send) {
    snapshots_to_send_.push_back(std::move(offer));
    send_wanted_.notify();
  }
  if (output.role_change) {
    env_.log().info("group {}: {} in term {}, leader {}; {}", core_->options().group,
                    raft::role_name(output.role_change->role), output.role_change->term,
                    output.role_change->leader.node, describe(*core_));
    role_changed_.notify();
  }
}

void RaftHost::apply(const raft::Entry& entry) {
  if (failure_) return;
  CHECK(entry.index == applied_.next(), "entry {} handed out after {}", entry.index, applied_);
  const GroupId group = core_->options().group;
  if (parts_.observer != nullptr) parts_.observer->committed(group, core_->self(), entry);
  Buffer reply;
  if (entry.kind == raft::EntryKind::kNormal) {
    auto answer = parts_.state.apply(entry.index, entry.payload);
    if (!answer) return fail_with(answer.error().in(fmt::format("log entry {}", entry.index)));
    reply = std::move(*answer);
  } else {
    parts_.state.skip(entry.index);
  }
  applied_ = entry.index;
  if (parts_.observer != nullptr)
    parts_.observer->applied(group, core_->self(), applied_, parts_.state.digest());
  settle_proposal(entry, std::move(reply));
  log_bytes_ += raft::entry_bytes(entry);
  if (snapshot_is_due()) snapshot_wanted_.notify();
}

// Proposals of an earlier term that are not in the log with which this server leads now. Another
// server's log may still hold them, so only "unknown" is true; and nothing would settle them here,
// for the indexes at which they stood are given out anew.
void RaftHost::give_up_overwritten() {
  while (!accepted_.empty() && !core_->log().holds(accepted_.back().position)) {
    accepted_.back().then(fail(Code::kUnknown, "another leader took over"));
    accepted_.pop_back();
  }
}

// The proposals of this step are among those that wait; both stand in the order of their ids.
void RaftHost::settle_proposed(const raft::Output& output) {
  auto accepted = output.accepted.begin();
  auto refused = output.refused.begin();
  if (accepted == output.accepted.end() && refused == output.refused.end()) return;
  for (Proposed& proposed : std::exchange(proposed_, {})) {
    if (accepted != output.accepted.end() && accepted->id == proposed.id) {
      CHECK(accepted_.empty() || accepted_.back().position.index < accepted->position.index,
            "two proposals wait for index {}", accepted->position.index);
      accepted_.push_back({accepted++->position, std::move(proposed.then)});
    } else if (refused != output.refused.end() && refused->id == proposed.id) {
      proposed.then(fail(error_of(refused->reason, refused->leader)));
      ++refused;
    } else {
      proposed_.push_back(std::move(proposed));
    }
  }
  CHECK(accepted == output.accepted.end() && refused == output.refused.end(),
        "the core answered proposals that nobody waits for");
}

void RaftHost::settle_proposal(const raft::Entry& entry, Buffer reply) {
  if (accepted_.empty() || accepted_.front().position.index != entry.index) return;
  AcceptedProposal accepted = std::move(accepted_.front());
  accepted_.pop_front();
  if (accepted.position.term == entry.term)
    accepted.then(Committed{entry.index, std::move(reply)});
  else
    accepted.then(fail(Code::kUnavailable, "another leader took over; retry"));
}

void RaftHost::settle_refused_reads(const raft::Output& output) {
  for (const auto& refused : output.refused_reads) {
    const auto found = reads_.find(refused.id);
    CHECK(found != reads_.end());
    for (ReadThen& then : found->second) then(fail(error_of(refused.reason, refused.leader)));
    reads_.erase(found);
  }
}

void RaftHost::settle_reads(const std::vector<raft::ReadReady>& reads) {
  if (failure_) return;  // settled already
  for (const auto& ready : reads) {
    const auto found = reads_.find(ready.id);
    CHECK(found != reads_.end());
    // Committed entries are applied as they are handed out, so a confirmed index is always here.
    CHECK(ready.index <= applied_, "read at {}, applied {}", ready.index, applied_);
    for (ReadThen& then : found->second) then(ready.index);
    reads_.erase(found);
  }
}

Error error_of(raft::Refusal reason, const raft::Member& leader) {
  switch (reason) {
    case raft::Refusal::kNotLeader:
    case raft::Refusal::kTransferring:
      return {Code::kNotLeader,
              fmt::format("this server does not lead; node {} does", leader.node)};
    case raft::Refusal::kBusy:
      return {Code::kUnavailable, "the leader has too much under way; retry"};
    case raft::Refusal::kTooLarge:
      return {Code::kTooLarge,
              fmt::format("a command may have {} bytes", limits::kProposalBytesMax)};
    case raft::Refusal::kUnsettled:
      return {Code::kUnavailable, "another change of the membership is under way; retry"};
    case raft::Refusal::kInvalidGroup:
      return {Code::kPrecondition, "the group cannot become one of these members"};
    case raft::Refusal::kNothingToChange: return {Code::kExists, "the group is so already"};
    case raft::Refusal::kNoQuorum:
      return {Code::kPrecondition,
              "too few of the voters that would remain are heard: the group would stop"};
  }
  UNREACHABLE("refusal {}", static_cast<int>(reason));
}

void RaftHost::fail_with(Error error) {
  if (failure_) return;
  env_.log().error("group {} stops: {}", core_->options().group, error);
  failure_ = error;
  failed_.set();
  // Nobody will ever settle these: whether they took place is not known here.
  const auto unknown = fail(Code::kUnknown, "the server failed: {}", error.message);
  for (auto& accepted : std::exchange(accepted_, {})) accepted.then(unknown);
  const auto unavailable = fail(Code::kUnavailable, "the server failed: {}", error.message);
  to_propose_ = {};
  for (auto& proposed : std::exchange(proposed_, {})) proposed.then(unavailable);
  for (auto& then : std::exchange(to_read_, {})) then(unavailable);
  for (auto& [id, thens] : std::exchange(reads_, {}))
    for (ReadThen& then : thens) then(unavailable);
  if (const auto arrival = std::exchange(arrival_, nullptr)) arrival->next.settle(unavailable);
}

}  // namespace dogfs::nodes
