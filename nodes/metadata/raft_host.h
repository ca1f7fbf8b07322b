#pragma once
// RaftHost: performs what a raft::Core decides. It gives the core its ticks and messages, makes its
// records durable in the node's write-ahead log, sends its messages, applies what is committed to
// the ReplicatedState, writes and installs snapshots, and pairs proposals and reads with their
// outcomes. The obligations it meets are listed in core/raft/README.md.
//
// Owned by a node, one per group; the log, the snapshots, the peers and the state outlive it. One
// thread. Every step of the core and what follows from it in memory happens at once, without
// waiting; only the disk and snapshot transfer wait, in tasks of run(). What is proposed and asked
// within one turn of the event loop goes into one step, and so into one append for each follower,
// one sync and one round of the leadership check.
//
// After a failed write or sync, or an entry that this build cannot read, run() ends with the error
// and the node must stop: what it had acknowledged is safe, what it had not is unknown.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/env/event.h"
#include "core/raft/core.h"
#include "core/wal/snapshot_file.h"
#include "core/wal/wal.h"
#include "nodes/metadata/raft_observer.h"
#include "nodes/metadata/raft_peers.h"
#include "nodes/metadata/replicated_state.h"

namespace dogfs {
class Nursery;
}  // namespace dogfs

namespace dogfs::nodes {

// A refusal of the core for whoever asked.
Error error_of(raft::Refusal reason, const raft::Member& leader);

struct RaftHostOptions {
  raft::Options raft;
  // With the core's ten to twenty ticks: a leader is missed after 200 to 400 ms of silence, ten
  // heartbeats or more. Nothing that a heartbeat waits for takes as long: not the disk, nor a turn
  // of the event loop.
  Duration tick = std::chrono::milliseconds(20);
  // Of log since the last snapshot, at least; a large state asks for more. Up to half as much again
  // is drawn each time: members that apply the same log do not all write at the same moment.
  uint64_t snapshot_after_bytes = 16 * limits::kMiB;
};

// What the host uses and does not own.
struct RaftHostParts {
  wal::Wal& wal;
  wal::SnapshotPlace snapshots;
  RaftPeers& peers;
  ReplicatedState& state;
  metadata::RaftObserver* observer;  // may be null
};

// An answer of the state machine, and the index at which it was given.
struct Committed {
  LogIndex index;
  Buffer reply;
};

class RaftHost {
 public:
  RaftHost(Env& env, RaftHostOptions options, const RaftHostParts& parts,
           raft::Recovered recovered);
  ~RaftHost();
  RaftHost(const RaftHost&) = delete;
  RaftHost& operator=(const RaftHost&) = delete;

  // Loads the newest snapshot and then drives the group, until it fails or is cancelled.
  Task<Result<void>> run();

  // Replicates a command and gives the state machine's answer to it. kNotLeader and kUnavailable:
  // surely not applied. kUnknown: it may be applied, or have been. Waits as long as that takes;
  // whoever has a deadline cancels, and then the outcome is unknown.
  Task<Result<Committed>> propose(Buffer command);
  // The same without a coroutine: `then` is called with the outcome, later, from within a step. It
  // must not wait nor call this host. A host that is destroyed drops it.
  using ProposalThen = std::move_only_function<void(Result<Committed>)>;
  void propose(Buffer command, ProposalThen then);

  // Begins another membership (core/raft/membership.h); the answer comes when the first entry of
  // the change is committed, the rest follows by itself. As propose, and kPrecondition, kExists:
  // refused, nothing has changed.
  Task<Result<Committed>> change_membership(raft::Membership wanted);

  // When this returns, the state holds everything that was acknowledged before the call, up to the
  // index given. kNotLeader, kUnavailable.
  Task<Result<LogIndex>> read_barrier();
  using ReadThen = std::move_only_function<void(Result<LogIndex>)>;
  void read_barrier(ReadThen then);

  // A message of this group from the network.
  void receive(raft::Message message);
  // A piece of a snapshot file that a leader sends. Gives the offset to go on from: where this
  // server has got to, or file_bytes when all of it is durable and installed (or not needed).
  Task<Result<uint64_t>> receive_snapshot_piece(RaftPeers::Piece piece);

  // Of a snapshot that is being sent to this member; bytes 0: none is.
  struct Sending {
    raft::Member to;
    uint64_t sent = 0;
    uint64_t bytes = 0;
  };
  const Sending& sending() const { return sending_; }
  // Takes part: what was on the disk is loaded.
  bool started() const { return started_; }

  const raft::Core& core() const { return *core_; }
  bool leading() const { return core_->role() == raft::Role::kLeader; }
  LogIndex applied() const { return applied_; }
  // Notified when role, term or leader changed.
  Event& role_changed() { return role_changed_; }
  void transfer_leadership(const raft::Member& to) { step(raft::TransferLeadership{to}); }

 private:
  template <class T>
  struct Outcome {
    explicit Outcome(Env& env) : done(env) {}
    void settle(Result<T> value) {
      result.emplace(std::move(value));
      done.set();
    }
    std::optional<Result<T>> result;
    Event done;
  };
  struct Proposed {
    raft::ProposalId id;
    ProposalThen then;
  };
  struct AcceptedProposal {
    raft::LogPosition position;
    ProposalThen then;
  };
  struct Incoming;
  // A piece of a snapshot that arrived, and what its sender is told.
  struct Arrival {
    Arrival(Env& env, RaftPeers::Piece p) : piece(std::move(p)), next(env) {}
    RaftPeers::Piece piece;
    Outcome<uint64_t> next;
  };

  Task<Result<void>> load_newest_snapshot();
  Task<> drive(Nursery& children);
  Task<> tick_loop();
  void report_space();
  Task<> request_loop();
  Task<> persist_loop();
  Task<> snapshot_loop();
  Task<> send_snapshots_loop();
  Task<Result<void>> send_snapshot(raft::SnapshotOffer offer);
  template <class T>
  Result<T> own(LogIndex index, Result<T> read);
  template <class T>
  Task<> let_go(T unwanted);
  bool snapshot_is_due() const;
  void draw_snapshot_delay();
  Task<Result<void>> write_snapshot();
  Task<> forget(std::deque<raft::Entry> entries);
  Task<Result<std::shared_ptr<ReplicatedState::Restoring>>> read_state(wal::SnapshotFile& file);
  Task<Result<void>> write_pieces(std::shared_ptr<ReplicatedState::Frozen> frozen, LogIndex index,
                                  std::string head);
  // The position of the first of the records.
  Task<Result<wal::Lsn>> make_durable(std::vector<std::string> records);
  Task<Result<void>> persist_waiting();
  Task<Result<void>> forget_before(LogIndex snapshot, wal::Lsn record);
  Task<> take_piece();
  Task<Result<uint64_t>> write_piece(RaftPeers::Piece piece);
  Task<Result<void>> begin_incoming(RaftPeers::Piece piece);
  Task<Result<void>> install();

  void step_requests();
  void give_due_ticks();
  void step(raft::Input input);
  void advance(raft::Input input);
  void perform(raft::Output output);
  void restore(const raft::SnapshotMeta& snapshot);
  void apply(const raft::Entry& entry);
  void give_up_overwritten();
  void settle_proposal(const raft::Entry& entry, Buffer reply);
  void settle_proposed(const raft::Output& output);
  void settle_refused_reads(const raft::Output& output);
  void settle_reads(const std::vector<raft::ReadReady>& reads);
  void fail_with(Error error);

  Env& env_;
  const RaftHostOptions options_;
  RaftHostParts parts_;
  std::optional<raft::Core> core_;
  Instant next_tick_ = {};
  LogIndex applied_;

  // The batches in the log that hold entries, with the highest of each: which of them go when a
  // snapshot stands for it.
  struct Written {
    LogIndex last;
    wal::Lsn first;
  };
  std::deque<Written> written_;
  raft::HardState hard_state_;  // the last one given to the log
  std::deque<raft::PersistRequest> to_persist_;
  Event persist_wanted_;
  std::deque<raft::SnapshotOffer> snapshots_to_send_;
  Event send_wanted_;
  Sending sending_;
  uint64_t log_bytes_ = 0;             // applied since the last snapshot
  uint64_t snapshot_bytes_ = 0;        // size of that
  uint64_t snapshot_delay_ = 0;        // in 1/1024 of the log after which the next one is due
  bool newest_is_spoiled_ = false;     // the newest snapshot file: to be written anew
  std::deque<raft::Entry> forgotten_;  // of the log, by the latest step
  Event snapshot_wanted_;
  std::shared_ptr<Arrival> arrival_;                        // a piece that snapshot_loop() takes
  std::unique_ptr<Incoming> incoming_;                      // a snapshot being received
  std::shared_ptr<ReplicatedState::Restoring> installing_;  // complete, for Output::restore

  uint64_t next_id_ = 1;
  raft::Propose to_propose_;               // in the next step
  std::vector<Proposed> proposed_;         // who waits for them, in their order
  std::vector<ReadThen> to_read_;          // in the next step
  Event requests_wanted_;                  // one of both is not empty
  std::deque<AcceptedProposal> accepted_;  // by index
  std::map<raft::ReadId, std::vector<ReadThen>> reads_;
  Event role_changed_;
  Event failed_;
  std::optional<Error> failure_;
  bool started_ = false;
  bool short_of_space_ = false;  // as the core knows
};

}  // namespace dogfs::nodes
