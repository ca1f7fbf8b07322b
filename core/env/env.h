#pragma once
// Env: the world as one node sees it. Everything a node asks of its surroundings goes through here:
// time, randomness, network, disk, compute, log. Made by a world (sim/world or net), one for each
// incarnation of a node; the node keeps a reference and is destroyed before it.
//
// One thread: all of a node's code runs on its executor. Nothing here tells which world it is.

#include <string_view>

#include "core/base/random.h"
#include "core/base/time.h"
#include "core/env/clock.h"
#include "core/env/log.h"
#include "core/env/operations.h"
#include "core/env/task.h"

namespace dogfs {

class Network;
class Disk;
class Compute;

// Places in node code where a rare but allowed thing can be made to happen. Never, in the real
// world; in a simulated run some points are armed by its seed and then fire now and then.
class Buggify {
 public:
  virtual ~Buggify() = default;
  virtual bool fires(std::string_view point) = 0;
};

class Env {
 public:
  struct Parts {
    Operations& operations;
    Clock& clock;
    Network& network;
    Disk& disk;
    Compute& compute;
    Log& log;
    Buggify* buggify;  // null: nothing ever fires
  };
  Env(const Parts& parts, Random random) : parts_(parts), random_(random) {}
  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;

  Operations& operations() { return parts_.operations; }
  Clock& clock() { return parts_.clock; }
  Network& network() { return parts_.network; }
  Disk& disk() { return parts_.disk; }
  Compute& compute() { return parts_.compute; }
  Log& log() { return parts_.log; }
  Random& random() { return random_; }

  Instant now() const { return parts_.clock.now(); }
  WallTime wall_now() const { return parts_.clock.wall_now(); }
  Task<> sleep(Duration duration);
  Task<> sleep_until(Instant when);
  bool buggify(std::string_view point) {
    return parts_.buggify != nullptr && parts_.buggify->fires(point);
  }

 private:
  Parts parts_;
  Random random_;
};

}  // namespace dogfs
