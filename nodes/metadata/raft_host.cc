#include "nodes/metadata/raft_host.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/mutation.h"
#include "core/env/nursery.h"
#include "core/raft/record.h"
#include "core/wal/wal.h"

namespace dogfs::nodes {
namespace {
constexpr Duration kFullDiskRetry = std::chrono::milliseconds(500);
}  // namespace

using wal::Lsn;

Task<Result<void>> RaftHost::run() {
  if (auto loaded = co_await load_newest_snapshot(); !loaded) co_return loaded;
  if (parts_.observer != nullptr) parts_.observer->started(*core_);
  started_ = true;
  co_await nursery(env_, [this](Nursery& children) { return drive(children); });
  co_return fail(failure_.value_or(Error{Code::kClosed, "the raft host was stopped"}));
}

Task<> RaftHost::drive(Nursery& children) {
  children.spawn(tick_loop());
  children.spawn(persist_loop());
  children.spawn(snapshot_loop());
  children.spawn(send_snapshots_loop());
  while (!failure_) co_await failed_.wait();
}

Task<> RaftHost::tick_loop() {
  for (Instant next = env_.now() + options_.tick;;
       next = std::max(next, env_.now()) + options_.tick) {
    co_await env_.sleep_until(next);
    step(raft::Tick{});
  }
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

// Takes everything that waits as one batch: one sync covers it (group commit). With a new snapshot
// among it the batch is the image of the core, which stands for all requests issued so far. Nothing
// is issued between the two, so no request that is older than the image can follow it in the log.
Task<Result<void>> RaftHost::persist_waiting() {
  auto requests = std::exchange(to_persist_, {});
  const raft::PersistNumber last = requests.back().number;
  const bool compacted = std::any_of(requests.begin(), requests.end(), [](const auto& request) {
    return request.snapshot.has_value();
  });
  if (compacted) requests = {core_->image()};
  const LogIndex snapshot = core_->log().snapshot().last.index;
  std::vector<std::string> records;
  for (const auto& request : requests)
    for (auto& record : raft::encode_records(core_->options().group, request))
      records.push_back(std::move(record));
  // Planted bug M5: the log is told durable before it is.
  if (MUTANT("M5")) step(raft::Persisted{last});
  CO_TRY(first, co_await make_durable(std::move(records)));
  step(raft::Persisted{last});
  if (!compacted) co_return Result<void>();
  // The log does not name what is older than this snapshot any more; it may name a newer one soon.
  parts_.wal.release(core_->options().group, first);
  co_return co_await wal::remove_snapshots_below(env_, parts_.snapshots, snapshot);
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
  if (failure_) co_return fail(Code::kUnavailable, "the server failed: {}", failure_->message);
  const raft::ProposalId id(next_id_++);
  const auto outcome = std::make_shared<Outcome<Committed>>(env_);
  proposed_.emplace(id, outcome);
  raft::Propose propose;
  propose.proposals.push_back({id, std::move(command)});
  step(std::move(propose));
  co_await outcome->done.wait();
  co_return std::move(*outcome->result);
}

Task<Result<Committed>> RaftHost::change_membership(raft::Membership wanted) {
  if (failure_) co_return fail(Code::kUnavailable, "the server failed: {}", failure_->message);
  const raft::ProposalId id(next_id_++);
  const auto outcome = std::make_shared<Outcome<Committed>>(env_);
  proposed_.emplace(id, outcome);
  step(raft::ChangeMembership{id, std::move(wanted)});
  co_await outcome->done.wait();
  co_return std::move(*outcome->result);
}

Task<Result<LogIndex>> RaftHost::read_barrier() {
  if (failure_) co_return fail(Code::kUnavailable, "the server failed: {}", failure_->message);
  const raft::ReadId id(next_id_++);
  const auto outcome = std::make_shared<Outcome<LogIndex>>(env_);
  reads_.emplace(id, outcome);
  step(raft::ReadIndex{id});
  co_await outcome->done.wait();
  co_return std::move(*outcome->result);
}

void RaftHost::receive(raft::Message message) {
  if (started_) step(std::move(message));
}

void RaftHost::step(raft::Input input) {
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
  for (const auto& accepted : output.accepted) {
    const auto found = proposed_.find(accepted.id);
    CHECK(found != proposed_.end());
    const bool fresh =
        accepted_
            .try_emplace(accepted.position.index, accepted.position.term, std::move(found->second))
            .second;
    CHECK(fresh, "two proposals wait for index {}", accepted.position.index);
    proposed_.erase(found);
  }
  settle_refusals(output);
  if (output.restore) restore(*output.restore);
  for (const auto& entry : output.committed) apply(entry);
  settle_reads(output.reads);
  for (auto& offer : output.snapshots_to_send) {
    snapshots_to_send_.push_back(std::move(offer));
    send_wanted_.notify();
  }
  if (output.role_change) {
    env_.log().info("group {}: {} in term {}, leader {}", core_->options().group,
                    raft::role_name(output.role_change->role), output.role_change->term,
                    output.role_change->leader.node);
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
  if (log_bytes_ >= options_.snapshot_after_bytes) snapshot_wanted_.notify();
}

// Proposals of an earlier term that are not in the log with which this server leads now. Another
// server's log may still hold them, so only "unknown" is true; and nothing would settle them here,
// for the indexes at which they stood are given out anew.
void RaftHost::give_up_overwritten() {
  while (!accepted_.empty()) {
    const auto last = std::prev(accepted_.end());
    if (core_->log().holds({last->first, last->second.term})) return;
    last->second.outcome->settle(fail(Code::kUnknown, "another leader took over"));
    accepted_.erase(last);
  }
}

void RaftHost::settle_proposal(const raft::Entry& entry, Buffer reply) {
  const auto found = accepted_.find(entry.index);
  if (found == accepted_.end()) return;
  const AcceptedProposal accepted = std::move(found->second);
  accepted_.erase(found);
  if (accepted.term == entry.term)
    accepted.outcome->settle(Committed{entry.index, std::move(reply)});
  else
    accepted.outcome->settle(fail(Code::kUnavailable, "another leader took over; retry"));
}

void RaftHost::settle_refusals(const raft::Output& output) {
  for (const auto& refused : output.refused) {
    const auto found = proposed_.find(refused.id);
    CHECK(found != proposed_.end());
    found->second->settle(fail(error_of(refused.reason, refused.leader)));
    proposed_.erase(found);
  }
  for (const auto& refused : output.refused_reads) {
    const auto found = reads_.find(refused.id);
    CHECK(found != reads_.end());
    found->second->settle(fail(error_of(refused.reason, refused.leader)));
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
    found->second->settle(ready.index);
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
  for (auto& [index, accepted] : std::exchange(accepted_, {})) accepted.outcome->settle(unknown);
  for (auto& [id, outcome] : std::exchange(reads_, {}))
    outcome->settle(fail(Code::kUnavailable, "the server failed: {}", error.message));
  if (const auto arrival = std::exchange(arrival_, nullptr))
    arrival->next.settle(fail(Code::kUnavailable, "the server failed: {}", error.message));
}

}  // namespace dogfs::nodes
