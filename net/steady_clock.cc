#include "net/steady_clock.h"

#include <algorithm>
#include <chrono>

#include "net/gate.h"

namespace dogfs::net {
namespace {
constexpr size_t kCompactAtMin = 64;
}

SteadyClock::SteadyClock(asio::io_context& io, Operations& operations, std::shared_ptr<Gate> gate)
    : operations_(operations), gate_(std::move(gate)), timer_(io), compact_at_(kCompactAtMin) {}

Instant SteadyClock::now() const {
  return Instant(std::chrono::steady_clock::now().time_since_epoch());
}

WallTime SteadyClock::wall_now() const {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<Duration>(since_epoch).count()};
}

void SteadyClock::complete_at(Instant when, OperationRef op) {
  if (when == kNever) return;
  if (heap_.size() >= compact_at_) compact();
  heap_.push_back({when, op});
  std::push_heap(heap_.begin(), heap_.end());
  if (when <= now()) complete_due();  // not before those that are due as well and were set earlier
  if (!heap_.empty() && heap_.front().when < armed_) arm();
}

void SteadyClock::compact() {
  std::erase_if(heap_, [this](const Timer& timer) { return !operations_.pending(timer.op); });
  std::make_heap(heap_.begin(), heap_.end());
  compact_at_ = std::max(kCompactAtMin, 2 * heap_.size());
}

void SteadyClock::pop() {
  std::pop_heap(heap_.begin(), heap_.end());
  heap_.pop_back();
}

void SteadyClock::arm() {
  armed_ = heap_.front().when;
  timer_.expires_at(std::chrono::steady_clock::time_point(armed_.time_since_epoch()));
  timer_.async_wait([this, gate = gate_](error_code error) {
    if (!error && gate->process() != nullptr) elapse();
  });
}

void SteadyClock::complete_due() {
  const Instant time = now();
  while (!heap_.empty() && (heap_.front().when <= time || !operations_.pending(heap_.front().op))) {
    const OperationRef op = heap_.front().op;
    pop();
    operations_.complete(op, {});  // ignored where it has ended
  }
}

void SteadyClock::elapse() {
  armed_ = kNever;
  complete_due();
  if (!heap_.empty()) arm();
}

}  // namespace dogfs::net
