#pragma once
// The nouns of the Raft core: who takes part (Member, Configuration), what is stored (Entry,
// HardState, SnapshotMeta) and how positions in the log are named. Plain values without behaviour
// that waits; shared by the core, its codecs, its hosts and the oracles of the simulator.

#include <optional>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/ids.h"
#include "core/base/mutation.h"
#include "core/base/strong.h"

namespace dogfs::raft {

using PersistNumber = Strong<struct PersistNumberTag>;  // counts persist requests of one Core
using ProposalId = Strong<struct ProposalIdTag>;        // chosen by the host, opaque here
using ReadId = Strong<struct ReadIdTag>;                // chosen by the host, opaque here
using ReadRound = Strong<struct ReadRoundTag>;          // counts leadership checks within a term

// A member is a server together with one life of its data directory. A server whose directory was
// lost comes back with another store id and is therefore another member: what the old one promised
// (its vote, its acknowledgements) is never asked of the new one.
struct Member {
  NodeId node;
  StoreId store;

  auto operator<=>(const Member&) const = default;
  // False for "nobody".
  explicit operator bool() const { return bool(node); }
};

// The one comparison of identities. Planted bug M43: a member is known by its node alone, so that a
// server with a blank disk inherits the vote of the one before it.
inline bool same_member(const Member& a, const Member& b) {
  if (MUTANT("M43")) return a.node == b.node;
  return a == b;
}

struct LogPosition {
  LogIndex index;
  Term term;

  bool operator==(const LogPosition&) const = default;
};

enum class EntryKind : uint8_t {
  kNormal = 1,         // a command of the state machine
  kNoop = 2,           // the first entry of a leader's term; nothing to apply
  kConfiguration = 3,  // the payload is encode_configuration(...)
};

struct Entry {
  LogIndex index;
  Term term;
  EntryKind kind = EntryKind::kNormal;
  Buffer payload;

  LogPosition position() const { return {index, term}; }
  bool operator==(const Entry&) const = default;
};

// What one entry counts towards every bound in bytes.
inline constexpr size_t kEntryOverheadBytes = 32;
inline size_t entry_bytes(const Entry& entry) { return entry.payload.size() + kEntryOverheadBytes; }

// What must survive a crash beside the log (Raft paper, figure 2, "persistent state").
struct HardState {
  Term term;
  Member voted_for;  // in `term`; nobody at first

  bool operator==(const HardState&) const = default;
};

// Who votes, who only listens. While `outgoing` is not empty the group is joint: every decision
// needs a majority of `voters` and a majority of `outgoing` (Raft paper, section 6). `target` is
// not empty while learners are to become voters: the voters once they have caught up. It decides
// nothing by itself; it stands here so that the next leader goes on with the change (membership.h).
// Each list is sorted and without repetition; see valid().
struct Configuration {
  std::vector<Member> voters;
  std::vector<Member> learners = {};
  std::vector<Member> outgoing = {};
  std::vector<Member> target = {};

  bool operator==(const Configuration&) const = default;

  bool empty() const { return voters.empty(); }
  bool joint() const { return !outgoing.empty(); }
  bool is_voter(const Member& member) const;  // in either majority
  bool contains(const Member& member) const;  // in any list
  // Everybody once, in order.
  std::vector<Member> members() const;
  // Lists sorted and free of repetition, no node twice within a list, no learner among the voters
  // (but one may have the node of a voter whose data directory was lost), a target only of voters
  // and learners, at most limits::kGroupMembersMax members in all. A configuration from a wire or
  // a disk is refused unless it is valid. The empty one ("not known yet") is valid.
  bool valid() const;
};

// A snapshot stands for the log up to and including `last`. The snapshot at position {0, 0} is the
// bootstrap of a group: no entries, only its first configuration.
struct SnapshotMeta {
  LogPosition last;
  Configuration configuration;

  bool operator==(const SnapshotMeta&) const = default;
};

// What a restarted server read back from its data directory (record.h: Replay makes one).
struct Recovered {
  HardState hard_state;
  SnapshotMeta snapshot;
  std::vector<Entry> entries;  // consecutive, the first directly after snapshot.last
};

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };
std::string_view role_name(Role role);

}  // namespace dogfs::raft

template <>
struct fmt::formatter<dogfs::raft::Member> : fmt::formatter<std::string_view> {
  // "3/17": node and store.
  auto format(const dogfs::raft::Member& member, format_context& context) const {
    return fmt::format_to(context.out(), "{}/{}", member.node, member.store);
  }
};

template <>
struct fmt::formatter<dogfs::raft::LogPosition> : fmt::formatter<std::string_view> {
  // "12@3": index and term.
  auto format(const dogfs::raft::LogPosition& position, format_context& context) const {
    return fmt::format_to(context.out(), "{}@{}", position.index, position.term);
  }
};
