#pragma once
// RaftHost: performs what a raft::Core decides. It gives the core its ticks and messages, makes its
// records durable in the node's write-ahead log, sends its messages, applies what is committed to
// the ReplicatedState, writes and installs snapshots, and pairs proposals and reads with their
// outcomes. The obligations it meets are listed in core/raft/README.md.
//
// Owned by a node, one per group; the log, the snapshots, the peers and the state outlive it. One
// thread. Every step of the core and what follows from it in memory happens at once, without
// waiting; only the disk and snapshot transfer wait, in tasks of run().
//
// After a failed write or sync, or an entry that this build cannot read, run() ends with the error
// and the node must stop: what it had acknowledged is safe, what it had not is unknown.

#include <deque>
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
  Duration tick = std::chrono::milliseconds(50);
  uint64_t snapshot_after_bytes = 16 * limits::kMiB;  // of log since the last one
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

  // Begins another membership (core/raft/membership.h); the answer comes when the first entry of
  // the change is committed, the rest follows by itself. As propose, and kPrecondition, kExists:
  // refused, nothing has changed.
  Task<Result<Committed>> change_membership(raft::Membership wanted);

  // When this returns, the state holds everything that was acknowledged before the call, up to the
  // index given. kNotLeader, kUnavailable.
  Task<Result<LogIndex>> read_barrier();

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
  using ProposalOutcome = std::shared_ptr<Outcome<Committed>>;
  using ReadOutcome = std::shared_ptr<Outcome<LogIndex>>;
  struct AcceptedProposal {
    Term term{};
    ProposalOutcome outcome;
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
  Task<> persist_loop();
  Task<> snapshot_loop();
  Task<> send_snapshots_loop();
  Task<Result<void>> send_snapshot(raft::SnapshotOffer offer);
  Task<Result<void>> write_snapshot();
  // The position of the first of the records.
  Task<Result<wal::Lsn>> make_durable(std::vector<std::string> records);
  Task<Result<void>> persist_waiting();
  Task<> take_piece();
  Task<Result<uint64_t>> write_piece(RaftPeers::Piece piece);
  Task<Result<void>> begin_incoming(RaftPeers::Piece piece);
  Task<Result<void>> install();

  void step(raft::Input input);
  void perform(raft::Output output);
  void restore(const raft::SnapshotMeta& snapshot);
  void apply(const raft::Entry& entry);
  void give_up_overwritten();
  void settle_proposal(const raft::Entry& entry, Buffer reply);
  void settle_refusals(const raft::Output& output);
  void settle_reads(const std::vector<raft::ReadReady>& reads);
  void fail_with(Error error);

  Env& env_;
  const RaftHostOptions options_;
  RaftHostParts parts_;
  std::optional<raft::Core> core_;
  LogIndex applied_;

  std::deque<raft::PersistRequest> to_persist_;
  Event persist_wanted_;
  std::deque<raft::SnapshotOffer> snapshots_to_send_;
  Event send_wanted_;
  Sending sending_;
  uint64_t log_bytes_ = 0;  // applied since the last snapshot
  Event snapshot_wanted_;
  std::shared_ptr<Arrival> arrival_;                        // a piece that snapshot_loop() takes
  std::unique_ptr<Incoming> incoming_;                      // a snapshot being received
  std::unique_ptr<ReplicatedState::Restoring> installing_;  // complete, for Output::restore

  uint64_t next_id_ = 1;
  std::map<raft::ProposalId, ProposalOutcome> proposed_;  // within one step
  std::map<LogIndex, AcceptedProposal> accepted_;
  std::map<raft::ReadId, ReadOutcome> reads_;
  Event role_changed_;
  Event failed_;
  std::optional<Error> failure_;
  bool started_ = false;
};

}  // namespace dogfs::nodes
