#include "core/env/event.h"

namespace dogfs {
namespace {
constexpr size_t kReleased = 1;  // as against 0, with which a timer fires
}  // namespace

void Event::set() {
  set_ = true;
  notify();
}

void Event::notify() {
  for (const OperationRef op : std::exchange(waiting_, {}))
    env_.operations().complete(op, {}, kReleased);
}

void Event::add(OperationRef op) {
  // Waiters that timed out leave stale references; they go before the list would grow.
  if (waiting_.size() == waiting_.capacity())
    std::erase_if(waiting_, [&](OperationRef old) { return !env_.operations().pending(old); });
  waiting_.push_back(op);
}

Task<> Event::wait() {
  if (set_) co_return;
  co_await suspend(env_.operations(), [this](OperationRef op) { add(op); });
}

Task<bool> Event::wait_until(Instant when) {
  if (set_) co_return true;
  const size_t released = co_await suspend(env_.operations(), [this, when](OperationRef op) {
    add(op);
    env_.clock().complete_at(when, op);
  });
  co_return released == kReleased;
}

}  // namespace dogfs
