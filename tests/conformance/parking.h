#pragma once
// Parking places: a task for each kind of place where node code can wait, each waiting for
// something that does not come. Cancelling and killing are tested from all of them.

#include <functional>
#include <string>
#include <vector>

#include "core/env/event.h"

#include "tests/conformance/world.h"

namespace dogfs::conformance {

// The node on which places are taken, and what they wait for. The peer takes connections and says
// nothing on them.
class Ground {
 public:
  explicit Ground(World& world);

  Node& node;
  Node& peer;
  Address silence;
  Address talkative;  // the peer's listener
  Event never;        // of the node
  int live = 0;       // frames on the node that hold a Live
};

struct Place {
  std::string name;
  std::function<Task<>(Ground&)> task;
};
std::vector<Place> parking_places();

}  // namespace dogfs::conformance
