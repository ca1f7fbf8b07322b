#pragma once
// SteadyClock: the time of a process. All its timers share one timer of the reactor: they stand in
// a heap of (when, reference), in which those that ended before their time stay until they come up
// or would make up half of it.

#include <memory>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "core/env/clock.h"

namespace dogfs::net {

class Gate;

class SteadyClock final : public Clock {
 public:
  SteadyClock(asio::io_context& io, Operations& operations, std::shared_ptr<Gate> gate);

  Instant now() const override;
  WallTime wall_now() const override;
  void complete_at(Instant when, OperationRef op) override;
  // Entries of the heap, ended ones included.
  size_t size() const { return heap_.size(); }

 private:
  struct Timer {
    Instant when;
    OperationRef op;
    bool operator<(const Timer& other) const { return when > other.when; }  // earliest on top
  };
  void compact();
  void pop();
  void arm();
  void complete_due();
  void elapse();

  Operations& operations_;
  std::shared_ptr<Gate> gate_;
  asio::steady_timer timer_;
  Instant armed_ = kNever;  // what timer_ waits for
  std::vector<Timer> heap_;
  size_t compact_at_;
};

}  // namespace dogfs::net
