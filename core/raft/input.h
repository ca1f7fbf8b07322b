#pragma once
// Everything that can happen to a Raft core, as values. Core::step takes one at a time; the answers
// are in output.h. Values without behaviour, owned by whoever makes them; a core keeps what it
// needs of them.

#include <variant>
#include <vector>

#include "core/raft/membership.h"
#include "core/raft/messages.h"
#include "core/raft/types.h"

namespace dogfs::raft {

// The host's clock advanced by one tick. All timeouts are counted in ticks.
struct Tick {};

// The host's clock went on by more ticks than the core was given, or will be: the process was
// paused. A leader has no lease until a quorum answers a heartbeat that it sends from now on. What
// a follower promised holds for longer than it need, and no election comes of the pause itself.
struct TicksLost {};

// Commands to append. Every id comes back exactly once in Output::accepted or Output::refused, in
// the Output of the same step.
struct Proposal {
  ProposalId id;
  Buffer payload;  // at most limits::kProposalBytesMax
};
struct Propose {
  std::vector<Proposal> proposals;
};

// Asks for another membership. Answered like a proposal; accepted means that the first entry of the
// change was appended, the leader then does the rest by itself (membership.h): newcomers become
// learners, once they have caught up a joint configuration promotes them and lets go of those that
// are not wanted, and once that is committed it is left. Given up only by another change.
struct ChangeMembership {
  ProposalId id;
  Membership wanted;
};

// Asks for an index that is safe to read at. The id comes back once, now or later, in
// Output::reads or Output::refused_reads.
struct ReadIndex {
  ReadId id;
};

// Every persist request up to and including this number is durable. Cumulative: numbers may be
// skipped, a repeated or lower one says nothing.
struct Persisted {
  PersistNumber number;
};

// Every byte of the snapshot is durable at this server (file synced, directory synced), verified,
// and ready to be loaded.
struct SnapshotReceived {
  SnapshotOffer offer;
};

// The attempt to send the snapshot of Output::snapshots_to_send ended. `ok` says that the receiver
// confirmed it has all bytes durable.
struct SnapshotSent {
  Member to;
  bool ok = false;
};

// This server's own snapshot at `snapshot.last` (from Core::snapshot_meta) is durable: the log up
// to there, less a tail for slow followers, may be forgotten.
struct Compact {
  SnapshotMeta snapshot;
};

// Hand leadership to this voter. Ignored unless leading; given up after an election timeout.
struct TransferLeadership {
  Member to;
};

// Stop leading, and do not campaign until AllowCampaign: the disk is full, or an operator says so.
// The server goes on voting and replicating.
struct StepDown {};
struct AllowCampaign {};

// Whether this server's disk is full, and it lives on a reserve (Core::has_room).
struct ReportSpace {
  bool is_short = false;
};

using Input = std::variant<Tick, Message, Propose, ChangeMembership, ReadIndex, Persisted,
                           SnapshotReceived, SnapshotSent, Compact, TransferLeadership, StepDown,
                           AllowCampaign, ReportSpace, TicksLost>;

}  // namespace dogfs::raft
