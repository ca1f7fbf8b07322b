#pragma once
// What a Raft core wants done after a step. Core.h says in which order and with which promises the
// host performs it; every field may be empty.

#include <deque>
#include <optional>
#include <vector>

#include "core/raft/messages.h"
#include "core/raft/types.h"

namespace dogfs::raft {

// One unit for the write-ahead log (record.h encodes it). Requests are made durable in the order of
// their numbers. Within a request: first the snapshot replaces what lies before it, then the
// entries replace everything from entries.front().index on.
struct PersistRequest {
  PersistNumber number;
  std::optional<HardState> hard_state = {};
  std::optional<SnapshotMeta> snapshot = {};
  std::vector<Entry> entries = {};

  bool operator==(const PersistRequest&) const = default;
};

// A proposal became the entry at `position`. That is not an outcome yet. When an entry with that
// index is handed out as committed: the same term means done, another term means that it was
// overwritten and surely never applied. When a snapshot replaces the state at or beyond that
// index, the outcome is unknown.
struct Accepted {
  ProposalId id;
  LogPosition position;
};

enum class Refusal : uint8_t {
  kNotLeader = 1,  // try the leader (may be nobody)
  kBusy,           // a bound is reached (uncommitted bytes, waiting reads): try again later
  kTransferring,   // leadership is being handed over
  kTooLarge,       // the payload can never be proposed
  // Of changes of the membership only:
  kUnsettled,        // an earlier change, or the first entry of the term, is not committed: later
  kInvalidGroup,     // these voters and learners are no group that this one can become
  kNothingToChange,  // the group is so already
  kNoQuorum,         // too few of the wanted voters were heard within an election timeout
};

// Surely never appended: safe to try again anywhere.
struct Refused {
  ProposalId id;
  Refusal reason;
  Member leader;  // as far as this core knows; may be nobody
};

struct RefusedRead {
  ReadId id;
  Refusal reason;
  Member leader;
};

// Once the state machine has applied `index`, reading it is linearizable.
struct ReadReady {
  ReadId id;
  LogIndex index;
};

struct RoleChange {
  Role role;
  Term term;
  Member leader;  // nobody while unknown

  bool operator==(const RoleChange&) const = default;
};

struct Output {
  // 1. Make durable, in the background; then step(Persisted{number}).
  std::optional<PersistRequest> persist;
  // 2. Send at once, without waiting for 1. What had to wait was held back inside the core.
  std::vector<Message> messages;
  // 3. Replace the whole state machine by the snapshot just given with SnapshotReceived. Absent
  //    after SnapshotReceived: it was not needed, delete it.
  std::optional<SnapshotMeta> restore;
  // 4. Apply in this order, after `restore`.
  std::vector<Entry> committed;

  std::vector<Accepted> accepted;
  std::vector<Refused> refused;
  std::vector<ReadReady> reads;
  std::vector<RefusedRead> refused_reads;
  // Present when role, term or known leader differ from before the step.
  std::optional<RoleChange> role_change;
  // Stream the newest snapshot to these members, out of band; then step(SnapshotSent). At most one
  // per member is unanswered at a time.
  std::vector<SnapshotOffer> snapshots_to_send;
  // What Compact took out of the log. There may be a great many: destroy them where that may take
  // time.
  std::optional<std::deque<Entry>> forgotten;
};

}  // namespace dogfs::raft
