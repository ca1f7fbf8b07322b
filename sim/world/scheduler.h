#pragma once
// Scheduler: virtual time, as the parts of the simulated world see it. Implemented by the World,
// which outlives them; tests of one part may bring a smaller one. One thread.

#include <functional>

#include "core/base/time.h"

namespace dogfs::sim {

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // Nanoseconds of virtual time since the world began.
  virtual Instant now() const = 0;
  // Runs `action` after `delay`, as an event of the world itself.
  virtual void after(Duration delay, std::move_only_function<void()> action) = 0;
};

}  // namespace dogfs::sim
