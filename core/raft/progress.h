#pragma once
// Progress: what a leader knows of one other member, and what it may send it next. Owned by the
// Leader role; one per member other than the leader itself.
//
//   probe      one append at a time, until the follower's log and the leader's meet
//   replicate  appends are sent ahead, up to a window in messages and bytes
//   snapshot   the follower needs entries that are forgotten; nothing but heartbeats meanwhile
//
// `match` only ever grows within a term: a late or repeated rejection cannot lower it.

#include <deque>
#include <optional>

#include "core/raft/types.h"

namespace dogfs::raft {

class Progress {
 public:
  enum class State : uint8_t { kProbe, kReplicate, kSnapshot };
  struct Window {
    size_t messages;
    size_t bytes;
  };

  Progress(LogIndex next, Window window) : next_(next), window_(window) {}

  State state() const { return state_; }
  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }  // first index not sent yet
  LogIndex snapshot_index() const { return snapshot_index_; }

  bool may_append() const;
  // `last` is that of the entries sent, `bytes` their size.
  void sent(LogIndex last, size_t bytes);

  // The follower holds the log up to `match`. True when that is news.
  bool acknowledged(LogIndex match);
  // The follower accepted an append: its log and the leader's meet. After a snapshot that is enough
  // only if the log still reaches down to `match`.
  void accepted(LogIndex first_index);
  // The follower refused an append after `previous`; the logs may meet at `meet`. False when the
  // refusal is stale.
  bool rejected(LogIndex previous, LogIndex meet);

  void start_snapshot(LogIndex index);
  // Back to probing, after the snapshot if it arrived.
  void end_snapshot(bool arrived);
  // Thesis 4.2.1: a newcomer takes the log in rounds, each up to where the log ended when the round
  // began. It has caught up when a round took less than `ticks_max`. Called when it answered.
  void advance_round(LogIndex last, uint64_t now, uint64_t ticks_max);
  bool caught_up() const { return caught_up_; }
  // The probe under way may be lost: allow another.
  void allow_probe() { probe_sent_ = false; }

  ReadRound read_round;                   // newest leadership check this member has answered
  bool active = false;                    // heard from since the leader last looked
  std::optional<uint64_t> heard_at = {};  // tick of the newest answer
  bool short_of_space = false;            // it said so last
  bool snapshot_answered = true;          // no SnapshotSent is awaited from the host

 private:
  struct InFlight {
    LogIndex last;
    size_t bytes;
  };
  void become(State state);

  State state_ = State::kProbe;
  LogIndex match_;
  LogIndex next_;
  LogIndex snapshot_index_;
  bool probe_sent_ = false;
  Window window_;
  std::deque<InFlight> in_flight_;
  size_t bytes_in_flight_ = 0;
  LogIndex round_end_;  // of the round under way; 0 before the first
  uint64_t round_start_ = 0;
  bool caught_up_ = false;
};

std::string_view progress_state_name(Progress::State state);

}  // namespace dogfs::raft
