#pragma once
// MapStages: orders of events on the replicated map that are rare when faults come at random, each
// staged as a whole, step by step. Correct servers keep every promise through each of them; each is
// one that some old mistake of consensus does not survive (the planted bugs M1, M2, M5 and M43).
//
// A stage begins with all servers well and somebody leading, and afterwards all servers run. None
// is played while nobody leads, or with two voters left.

#include "core/base/random.h"

namespace dogfs::nodes {

class MapCluster;

class MapStages {
 public:
  MapStages(MapCluster& cluster, Random random, bool lose_disks)
      : cluster_(cluster), random_(random), may_lose_disk_(lose_disks) {}

  // Plays one of them, drawn.
  void play();
  uint64_t played() const { return played_; }

 private:
  bool calm();
  // The server with this leader's number, and the two others in random order.
  struct Cast {
    int leader, second, third;
  };
  Cast cast();

  void vote_on_a_hung_disk();
  void entries_of_an_earlier_term();
  void power_loss_before_the_sync();
  void lag_behind_a_snapshot();
  void return_with_a_blank_disk();

  MapCluster& cluster_;
  Random random_;
  const bool may_lose_disk_;
  uint64_t played_ = 0;
};

}  // namespace dogfs::nodes
