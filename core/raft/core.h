#pragma once
// Core: one member of one Raft group as a pure state machine, step(Input) -> Output. It has no
// clock, no I/O, no randomness but the generator it was given, and it never waits. One Core is
// owned by one host, which calls it from one thread; two Cores share nothing.
// The host's obligations stand above the class, and nowhere else.

#include <deque>
#include <optional>
#include <variant>

#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/raft/input.h"
#include "core/raft/log.h"
#include "core/raft/output.h"
#include "core/raft/roles.h"
#include "core/raft/types.h"

namespace dogfs::raft {

struct Options {
  GroupId group;
  Member self;
  // A follower campaigns after election_ticks to 2 * election_ticks of silence; a leader whose
  // quorum is silent for election_ticks steps down.
  uint64_t election_ticks = 10;
  uint64_t heartbeat_ticks = 1;  // less than election_ticks
  uint64_t tail_entries = 1024;  // kept behind a snapshot for slow followers
  size_t append_entries = limits::kAppendEntriesMax;
  size_t append_bytes = limits::kAppendBytesMax;
  size_t appends_in_flight = limits::kAppendsInFlightMax;
  size_t append_bytes_in_flight = limits::kAppendBytesInFlightMax;
  size_t uncommitted_bytes = limits::kUncommittedBytesMax;
  // Leader lease (thesis 6.4.1): reads need no round while a quorum will surely elect nobody else.
  // Absent: no lease. The same for all members, for it is also what a follower promises. It bounds
  // the drift of clocks: while one member counts 100 ticks, no other counts more than 100 plus
  // this. A host gives every tick that is due before it gives anything else; those that a pause
  // swallowed it may leave out if it gives TicksLost instead, first of all.
  std::optional<uint64_t> lease_drift_percent = {};
};

// THE HOST'S OBLIGATIONS
//
//  1. One step at a time. Perform the Output of a step, or queue it for performing, before the next
//     step; steps need not wait until the performing is done.
//  2. Output::persist goes to the write-ahead log, in order of numbers, none skipped. When request
//     n and all before it are durable (synced, not merely written): step(Persisted{n}). One sync
//     may cover many requests; then only the last number need be given. If a write or sync fails,
//     stop the server: never retry, never give Persisted for it.
//  3. Output::messages are sent at once, in order per receiver, without waiting for persist. The
//     core itself holds back whatever promises something that is not durable yet. Losing,
//     repeating or delaying messages is harmless.
//  4. Output::restore, then Output::committed, are performed on the state machine in the order of
//     the Outputs. They need not be durable: after a restart the state machine starts from the
//     snapshot and is handed every later entry again. A no-op or configuration entry is handed out
//     too, so that indexes have no gaps.
//  5. A read that is ready waits until the state machine has applied its index.
//  6. An accepted proposal is answered when an entry with its index is handed out: the same term,
//     done; another term, refused (it never happened). If the server stops, or restore jumps over
//     the index first: unknown. Leadership changes alone decide nothing.
//  7. Snapshots travel outside Output::messages. For each of Output::snapshots_to_send, stream the
//     own newest snapshot file together with the offer, and end with one step(SnapshotSent). The
//     receiving host gives SnapshotReceived only when the file is durable and verified, and keeps
//     the file it had before until the persist request of that step is durable.
//  8. To compact: apply up to some index i, write a snapshot file that contains
//     core.snapshot_meta(i), make it durable, step(Compact{meta}). The older file may go once the
//     persist request of that step is durable.
//  9. After a restart: read the log back (record.h, Replay), load the snapshot file named there
//     into the state machine, construct a Core. Persist numbers begin again at 1.
//  10. Everything of several groups may share one log, one sync and one connection.
//
// A new group is bootstrapped, once and explicitly, by writing the record of SnapshotMeta{{0, 0},
// configuration} into the empty log of every first member and restarting from it. A server that was
// given nothing has an empty configuration: it neither votes nor campaigns, and takes its place
// when a leader of a configuration that names it sends it the log.
class Core {
 public:
  // `random` draws election timeouts: fork it per member. Preconditions: options.self is a member,
  // recovered passed Replay.
  Core(Options options, Recovered recovered, Random random);

  // Input from the network is validated here: a message for another group or another store id, or
  // one that no correct member could have sent, is ignored (ignored_messages() counts them).
  Output step(Input input);

  // --- Views for hosts, status pages and oracles. They change nothing. ---
  Role role() const;
  const Member& self() const { return options_.self; }
  Term term() const { return hard_state_.term; }
  const HardState& hard_state() const { return hard_state_; }
  Member leader() const;  // nobody while unknown; self while leading
  LogIndex commit() const { return log_.commit(); }
  LogPosition last() const { return log_.last(); }
  LogIndex durable() const { return log_.durable(); }
  const Log& log() const { return log_; }
  const Configuration& configuration() const;  // in force
  const Options& options() const { return options_; }
  // Only of a leader: one row per other member. Null otherwise.
  const std::map<Member, Progress>* followers() const;
  PersistNumber persist_issued() const { return persist_issued_; }
  PersistNumber persist_done() const { return persist_done_; }
  uint64_t ignored_messages() const { return ignored_messages_; }

  // Names a snapshot of the state at `applied`, which must have been handed out and not be
  // forgotten: what Compact takes.
  SnapshotMeta snapshot_meta(LogIndex applied) const;
  // Why `wanted` would be refused now; nothing: it would not be.
  std::optional<Refusal> refusal_of(const Membership& wanted) const;
  // Whether this member answered within an election timeout; of nobody but a leader is it known.
  bool is_heard(const Member& member) const;
  // Whether it is known to have said nothing for an election timeout: this member leads for longer
  // than that and did not hear it. A new leader has no such knowledge of anybody.
  bool is_silent(const Member& member) const;
  // Of a leader: whether its group may grow. Not while so many disks are full that the others are
  // no quorum; what is left on those is for votes and removals. A voter that is silent has no room.
  bool has_room() const;
  // Whether this leader knows the member's disk, or its own, to be full.
  bool is_short_of_space(const Member& member) const;
  // Everything this member must not lose, as one request: a log that begins with it needs nothing
  // older. For the start of a fresh log segment; its number is that of the newest request issued.
  PersistRequest image() const;

 private:
  // core.cc: what all roles share. One `on` per input, one `receive` per message body.
  void on(Tick);
  void on(TicksLost);
  void on(const Message& message);
  void on(Persisted persisted);
  void on(const Compact& compact);
  void on(StepDown);
  void on(AllowCampaign);
  void on(ReportSpace report) { short_of_space_ = report.is_short; }
  void receive_stale(const Message& message);
  Output finish_step(const RoleChange& before);
  RoleChange role_change() const { return {role(), term(), leader()}; }
  void build_persist_request();
  bool has_unrequested() const;
  void become_follower(Term term, const Member& leader);
  void send(const Member& to, Body body);
  void send_when_durable(const Member& to, Body body);
  void release_held();
  bool is_addressed_here(const Envelope& envelope) const;
  void ignore() { ++ignored_messages_; }
  void restart_election_timer();

  // core_election.cc
  bool may_campaign() const;
  bool may_vote() const;
  bool may_grant(const Envelope& envelope, const VoteRequest& request) const;
  bool is_up_to_date(const LogPosition& candidate_last) const;
  bool hears_leader() const;
  bool has_promised() const { return options_.lease_drift_percent && now_ < promised_until_; }
  void receive_vote_request(const Envelope& envelope, const VoteRequest& request);
  void receive_pre_vote_grant(const Envelope& envelope);
  void receive(const Envelope& envelope, const VoteReply& reply);
  void tick_election();
  void campaign_pre_vote();
  void campaign(bool transfer);
  void count_own_vote();
  void count_pre_votes();
  void count_votes();

  // core_follower.cc
  void on(const SnapshotReceived& received);
  void receive(const Envelope& envelope, const AppendRequest& request);
  void receive(const Envelope& envelope, const TimeoutNow&);
  Follower* follow(const Envelope& envelope);  // null when this member leads the same term
  bool contradicts_committed(const AppendRequest& request) const;
  void append_missing(const AppendRequest& request, Follower& follower);
  LogIndex own_match(const Follower& follower) const;
  void acknowledge();
  void acknowledge_if_news();
  void reject_append(const AppendRequest& request);

  // core_leader.cc
  void on(Propose& propose);
  void on(SnapshotSent sent);
  void on(TransferLeadership transfer);
  void receive(const Envelope& envelope, const AppendReply& reply);
  void receive(const Envelope&, const VoteRequest&) {}  // dispatched before
  Leader& leading() { return std::get<Leader>(role_); }
  const Leader& leading() const { return std::get<Leader>(role_); }
  const Progress* progress_of(const Member& member) const;
  Progress* progress_of(const Member& member);
  void become_leader();
  void tick_leader();
  bool quorum_is_active();
  bool own_disk_moves() const;
  bool own_disk_hangs() const;  // for so long that others should lead
  std::optional<Refusal> refusal_of(const Proposal& proposal) const;
  void append_own(EntryKind kind, Buffer payload);
  void send_appends();
  void send_appends_to(const Member& to, Progress& progress);
  void send_heartbeat(const Member& to, Progress& progress);
  void want_snapshot(const Member& to, Progress& progress);
  void advance_commit();
  void advance_transfer();

  // core_membership.cc
  void on(ChangeMembership& change);
  bool is_settled() const;
  void append_configuration(const Configuration& next);
  void follow_configuration();
  void advance_membership();
  std::vector<Member> ready_newcomers() const;
  void hand_over();

  // core_reads.cc
  void on(ReadIndex read);
  void begin_read_round();
  void begin_lease_round();
  void renew_lease();
  bool lease_holds() const;
  uint64_t lease_ticks() const;
  void finish_read_round();
  void refuse_read(ReadId id, Refusal reason);
  static std::vector<ReadId> take_reads(ReadQueue& reads);

  Options options_;
  Random random_;
  HardState hard_state_;
  Log log_;
  RoleState role_;

  uint64_t now_ = 0;                   // ticks since construction
  uint64_t election_timer_start_ = 0;  // of a leader: when it last looked at its quorum
  uint64_t election_timeout_ = 0;      // drawn anew for each wait
  bool campaign_allowed_ = true;
  bool short_of_space_ = false;
  uint64_t promised_until_ = 0;  // with a lease: elects nobody before this tick

  // Persistence. A request is issued at most once per step; numbers count from 1.
  PersistNumber persist_issued_;
  PersistNumber persist_done_;
  bool hard_state_changed_ = false;
  bool snapshot_changed_ = false;
  struct Issued {
    PersistNumber number;
    uint64_t at;  // tick
  };
  std::deque<Issued> outstanding_;
  struct Held {
    PersistNumber until;
    Message message;
  };
  std::deque<Held> held_;

  uint64_t ignored_messages_ = 0;
  Output output_;
};

}  // namespace dogfs::raft
