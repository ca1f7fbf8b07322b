#pragma once
// LinearizationSearch: is there an order of the operations of a history, each taking effect at one
// instant between its call and its answer, in which a sequential model gives every answer? The
// search of Wing and Gong (1993) with Lowe's memo of configurations (2017): a configuration, which
// is what has taken effect and the state that came of it, is looked at once.
//
// It knows no log. An operation of unknown outcome is open: it may take effect at any time from its
// call on, also long after, or never. Hints only say what to try first; no verdict depends on them.
//
// The search is exponential at worst, so its steps are bounded: beyond that it is undecided, which
// the caller must count. Pure; made for one run().

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "core/base/time.h"

namespace dogfs::sim {

// An operation, as the search sees it.
struct Call {
  Instant began{};
  Instant ended = kNever;
  bool open = false;    // of unknown outcome
  bool changes = true;  // false: it surely leaves the state as it is
  // Of those that may come next, lower ones are tried first; an open one whose turn has passed
  // without it, last.
  uint64_t hint = 0;
};

enum class Verdict : uint8_t { kLinearizable, kRefuted, kUndecided };

struct SearchResult {
  Verdict verdict = Verdict::kUndecided;
  uint64_t steps = 0;
  // Unless linearizable: the operation that had to come next where the search came furthest.
  std::optional<size_t> stuck;
};

// Model: `State start()`; `uint64_t digest(State)`, equal for equal states; and
// `std::optional<Effect<State>> apply(State, size_t call)`, nothing when the answer of that call is
// not what the model gives in that state (of an open one: when it can have no effect).
template <class State>
struct Effect {
  std::optional<State> state;  // absent: it stays
};

template <class Model>
class LinearizationSearch {
 public:
  using State = typename Model::State;

  LinearizationSearch(const Model& model, std::vector<Call> calls, uint64_t steps_max)
      : model_(model), calls_(std::move(calls)), steps_max_(steps_max), placed_(calls_.size()) {
    for (size_t i = 0; i < calls_.size(); ++i) (calls_[i].open ? open_ : order_).push_back(i);
    const auto by_call = [this](size_t i) { return std::pair(calls_[i].began, i); };
    std::ranges::sort(order_, {}, by_call);
    std::ranges::sort(open_, {}, by_call);
    link();
  }

  SearchResult run() {
    enter(model_.start(), kNone);
    while (left_ > 0) {
      if (steps_ >= steps_max_) return result(Verdict::kUndecided);
      Frame& top = frames_.back();
      if (top.next < top.candidates.size()) {
        follow(top.candidates[top.next++]);
      } else if (frames_.size() > 1) {
        leave();
      } else {
        return result(Verdict::kRefuted);
      }
    }
    return result(Verdict::kLinearizable);
  }

 private:
  static constexpr size_t kNone = std::numeric_limits<size_t>::max();
  static constexpr uint64_t kLate = std::numeric_limits<uint64_t>::max();
  struct Frame {
    State state;
    std::vector<size_t> placed;      // on the way from the frame before
    std::vector<size_t> candidates;  // for the next change
    uint64_t latest = 0;             // hint of what was placed, on the whole way here
    size_t next = 0;                 // of candidates
  };

  // The certain operations that are not placed form a list, in the order of their calls. Its head
  // and its end are both the slot behind the last operation.
  void link() {
    left_ = order_.size();
    next_.resize(left_ + 1);
    previous_.resize(left_ + 1);
    slot_.resize(calls_.size());
    for (size_t slot = 0; slot <= left_; ++slot) {
      next_[slot] = slot == left_ ? 0 : slot + 1;
      previous_[slot] = slot == 0 ? left_ : slot - 1;
      if (slot < left_) slot_[order_[slot]] = slot;
    }
  }
  void place(size_t call) {
    placed_[call] = true;
    Random key(call);
    configuration_.first ^= key.next();
    configuration_.second ^= key.next();
    if (calls_[call].open) return;
    const size_t slot = slot_[call];
    next_[previous_[slot]] = next_[slot];
    previous_[next_[slot]] = previous_[slot];
    --left_;
  }
  void take_back(size_t call) {
    placed_[call] = false;
    Random key(call);
    configuration_.first ^= key.next();
    configuration_.second ^= key.next();
    if (calls_[call].open) return;
    const size_t slot = slot_[call];
    next_[previous_[slot]] = slot;
    previous_[next_[slot]] = slot;
    ++left_;
  }

  // Those that nothing unplaced must precede: called before any other of these was answered.
  // `deadline` becomes the first of their answers.
  std::vector<size_t> may_come_next(Instant& deadline) const {
    std::vector<size_t> calls;
    deadline = kNever;
    const size_t end = order_.size();
    for (size_t slot = next_[end]; slot != end; slot = next_[slot]) {
      const Call& call = calls_[order_[slot]];
      if (call.began > deadline) break;
      deadline = std::min(deadline, call.ended);
      calls.push_back(order_[slot]);
    }
    return calls;
  }

  std::optional<Effect<State>> apply(const State& state, size_t call) {
    ++steps_;
    return model_.apply(state, call);
  }

  // Whatever fits and changes nothing is placed at once: no order is lost by that.
  void enter(State state, size_t by) {
    const uint64_t latest = frames_.empty() ? 0 : frames_.back().latest;
    Frame& frame = frames_.emplace_back(Frame{std::move(state), {}, {}, latest});
    if (by != kNone) put(frame, by);
    Instant deadline;
    for (bool more = true; more;) {
      more = false;
      frame.candidates.clear();
      for (const size_t call : may_come_next(deadline)) {
        if (calls_[call].changes) {
          frame.candidates.push_back(call);
        } else if (apply(frame.state, call)) {
          put(frame, call);
          more = true;
        }
      }
    }
    note_progress();
    const uint64_t digest = model_.digest(frame.state);
    const auto seen = std::pair(configuration_.first ^ digest,
                                configuration_.second + digest * 0x9e3779b97f4a7c15);
    if (left_ > 0 && !seen_.insert(seen).second) return leave();
    for (const size_t call : open_)
      if (!placed_[call] && calls_[call].began <= deadline) frame.candidates.push_back(call);
    std::ranges::sort(frame.candidates, {}, [&](size_t i) {
      const bool passed = calls_[i].open && calls_[i].hint < frame.latest;
      return std::tuple(passed ? kLate : calls_[i].hint, calls_[i].open, calls_[i].ended, i);
    });
  }
  void put(Frame& frame, size_t call) {
    place(call);
    frame.placed.push_back(call);
    if (calls_[call].hint != kLate) frame.latest = std::max(frame.latest, calls_[call].hint);
  }
  void leave() {
    auto& placed = frames_.back().placed;
    while (!placed.empty()) {
      take_back(placed.back());
      placed.pop_back();
    }
    frames_.pop_back();
  }

  void follow(size_t call) {
    const State& state = frames_.back().state;
    auto effect = apply(state, call);
    if (!effect) return;
    if (!effect->state && calls_[call].open) return;  // as good as never
    State next = effect->state ? std::move(*effect->state) : state;
    enter(std::move(next), call);
  }

  void note_progress() {
    if (left_ >= least_left_) return;
    least_left_ = left_;
    const size_t end = order_.size();
    Instant first = kNever;
    for (size_t slot = next_[end]; slot != end && calls_[order_[slot]].began <= first;
         slot = next_[slot]) {
      const Instant ended = calls_[order_[slot]].ended;
      if (stuck_ && ended >= first) continue;
      first = ended;
      stuck_ = order_[slot];
    }
  }
  SearchResult result(Verdict verdict) const {
    if (verdict == Verdict::kLinearizable) return {verdict, steps_, std::nullopt};
    return {verdict, steps_, stuck_};
  }

  const Model& model_;
  const std::vector<Call> calls_;
  const uint64_t steps_max_;
  uint64_t steps_ = 0;
  std::vector<bool> placed_;
  std::vector<size_t> order_, open_;  // certain ones and open ones, in the order of their calls
  std::vector<size_t> slot_;          // of a certain one, in order_
  std::vector<size_t> next_, previous_;
  size_t left_ = 0;  // certain ones not placed
  std::pair<uint64_t, uint64_t> configuration_;
  std::set<std::pair<uint64_t, uint64_t>> seen_;
  std::vector<Frame> frames_;
  size_t least_left_ = kNone;
  std::optional<size_t> stuck_;
};

}  // namespace dogfs::sim
