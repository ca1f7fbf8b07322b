#pragma once
// Event: a flag that tasks of one node wait for. Any number may wait; set() releases them all. It
// stays set until reset(). A cancelled or timed-out waiter does not disturb the others.
//
// This is how tasks share a result: an awaitable can be awaited once, an Event by anybody.

#include <vector>

#include "core/base/time.h"
#include "core/env/env.h"

namespace dogfs {

class Event {
 public:
  explicit Event(Env& env) : env_(env) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  bool is_set() const { return set_; }
  void set();
  void reset() { set_ = false; }
  // Releases those who wait now, and leaves the flag as it was: a condition changed, look again.
  void notify();

  Task<> wait();
  // False if `when` came first.
  Task<bool> wait_until(Instant when);
  Task<bool> wait_for(Duration duration) { return wait_until(env_.now() + duration); }

 private:
  void add(OperationRef op);

  Env& env_;
  std::vector<OperationRef> waiting_;
  bool set_ = false;
};

// Sets an event when its scope is left, in whatever way.
class SetAtEnd {
 public:
  explicit SetAtEnd(Event& event) : event_(event) {}
  ~SetAtEnd() { event_.set(); }
  SetAtEnd(const SetAtEnd&) = delete;
  SetAtEnd& operator=(const SetAtEnd&) = delete;

 private:
  Event& event_;
};

}  // namespace dogfs
