#include "core/raft/progress.h"

#include <algorithm>

#include "core/base/check.h"

namespace dogfs::raft {

bool Progress::may_append() const {
  switch (state_) {
    case State::kProbe: return !probe_sent_;
    case State::kReplicate:
      return in_flight_.size() < window_.messages && bytes_in_flight_ < window_.bytes;
    case State::kSnapshot: return false;
  }
  UNREACHABLE();
}

void Progress::sent(LogIndex last, size_t bytes) {
  if (state_ == State::kProbe) {
    probe_sent_ = true;
    return;
  }
  next_ = last.next();
  in_flight_.push_back({last, bytes});
  bytes_in_flight_ += bytes;
}

bool Progress::acknowledged(LogIndex match) {
  const bool news = match > match_;
  match_ = std::max(match_, match);
  next_ = std::max(next_, match_.next());
  while (!in_flight_.empty() && in_flight_.front().last <= match_) {
    bytes_in_flight_ -= in_flight_.front().bytes;
    in_flight_.pop_front();
  }
  return news;
}

void Progress::accepted(LogIndex first_index) {
  const bool log_suffices = match_.next() >= first_index;
  if (state_ == State::kProbe || (state_ == State::kSnapshot && log_suffices)) {
    become(State::kReplicate);
  }
}

bool Progress::rejected(LogIndex previous, LogIndex meet) {
  const bool awaited = state_ == State::kProbe       ? previous == next_.prev()
                       : state_ == State::kReplicate ? previous < next_
                                                     : false;
  if (!awaited || previous <= match_) return false;
  next_ = std::max(match_.next(), std::min(meet.next(), previous));
  become(State::kProbe);
  return true;
}

void Progress::advance_round(LogIndex last, uint64_t now, uint64_t ticks_max) {
  if (!round_end_) {
    round_end_ = last;
    round_start_ = now;
  }
  if (match_ < round_end_) return;
  caught_up_ = caught_up_ || now - round_start_ < ticks_max;
  round_end_ = last;
  round_start_ = now;
}

void Progress::start_snapshot(LogIndex index) {
  become(State::kSnapshot);
  snapshot_index_ = index;
}

void Progress::end_snapshot(bool arrived) {
  if (state_ != State::kSnapshot) return;
  become(State::kProbe);
  next_ = match_.next();
  if (arrived) next_ = std::max(next_, snapshot_index_.next());
  // The acknowledgement of the snapshot, or a heartbeat, wakes it.
  probe_sent_ = true;
}

void Progress::become(State state) {
  state_ = state;
  probe_sent_ = false;
  in_flight_.clear();
  bytes_in_flight_ = 0;
}

std::string_view progress_state_name(Progress::State state) {
  switch (state) {
    case Progress::State::kProbe: return "probe";
    case Progress::State::kReplicate: return "replicate";
    case Progress::State::kSnapshot: return "snapshot";
  }
  UNREACHABLE();
}

}  // namespace dogfs::raft
