#pragma once
// The messages of one Raft group, as typed values. README.md draws who sends which and when; the
// wire form is core/proto/raft_codec.h.
//
// Every message has an envelope that names the group, the exact members at both ends (node and
// store id) and the sender's current term; always the sender's real term, also in a pre-vote, which
// asks about the term after it. Messages may be lost, repeated and reordered without harm.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/raft/types.h"

namespace dogfs::raft {

struct Envelope {
  GroupId group;
  Member from;
  Member to;
  Term term;

  bool operator==(const Envelope&) const = default;
};

// RequestVote (figure 2). A pre-vote asks "would you vote for me in term + 1" and changes nothing
// at the receiver (thesis 9.6).
struct VoteRequest {
  bool pre_vote = false;
  bool transfer = false;  // the leader itself asked for this election: do not protect it
  LogPosition last = {};  // the candidate's last entry

  bool operator==(const VoteRequest&) const = default;
};

struct VoteReply {
  bool pre_vote = false;
  bool granted = false;

  bool operator==(const VoteReply&) const = default;
};

// AppendEntries. Without entries it is a heartbeat, and it then names the position after everything
// sent before, so that its refusal shows a lost append.
struct AppendRequest {
  LogPosition previous = {};
  std::vector<Entry> entries = {};  // consecutive from previous.index + 1
  LogIndex commit = {};             // the leader's; may lie beyond the entries
  ReadRound read_round = {};        // the newest leadership check; the reply echoes it

  bool operator==(const AppendRequest&) const = default;
};

// `match`: the follower holds, durably, the leader's log up to here (the leader of the envelope's
// term). It is valid in a rejection, too, and never beyond what this leader has verified.
struct AppendReply {
  // The request's `previous` is not in the follower's log. The leader tries again after the last
  // of its entries whose index and term are both at most those of `hint`: a whole term of
  // conflicting entries is skipped in one round trip (end of section 5.3).
  struct Rejection {
    LogIndex previous;
    LogPosition hint;

    bool operator==(const Rejection&) const = default;
  };

  LogIndex match = {};
  ReadRound read_round = {};
  std::optional<Rejection> rejection = {};
  bool short_of_space = false;  // the follower's disk is full; it lives on a reserve

  bool operator==(const AppendReply&) const = default;
};

// Sent by a leader to the voter that is to succeed it: campaign at once (thesis 3.10).
struct TimeoutNow {
  bool operator==(const TimeoutNow&) const = default;
};

using Body = std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, TimeoutNow>;

struct Message {
  Envelope envelope;
  Body body;

  bool operator==(const Message&) const = default;
};

// What travels in front of a snapshot's bytes, on a path of its own that the hosts keep (pieces,
// checksums, resumption). It is not a Message on purpose: the receiving core may only see it once
// every byte is durable there (Input SnapshotReceived).
struct SnapshotOffer {
  Envelope envelope;
  SnapshotMeta snapshot;

  bool operator==(const SnapshotOffer&) const = default;
};

// One line for people and golden scripts: "1->2 t3 append 4@2 +2 commit 4".
std::string describe(const Message& message);
// "voters 1/101 2/201 learners 3/301".
std::string describe(const Configuration& configuration);
// "4@2'payload'"; of a configuration, what it says.
std::string describe(const Entry& entry);

}  // namespace dogfs::raft
