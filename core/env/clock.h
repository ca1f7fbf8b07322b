#pragma once
// Clock: a node's time. now() is monotonic; wall_now() is for display and may jump. Waiting is
// Env::sleep and Event::wait_until, which stand on complete_at.

#include "core/base/time.h"
#include "core/env/operations.h"

namespace dogfs {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual WallTime wall_now() const = 0;
  // Fires `op` (success, count 0) at `when`, or soon if that has passed, unless it ended before.
  virtual void complete_at(Instant when, OperationRef op) = 0;
};

}  // namespace dogfs
