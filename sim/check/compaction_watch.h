#pragma once
// CompactionWatch: how long each block of a pack has been sparse: sealed, converted, and with less
// of it in use than limits::kPackLivePercentMin, by a recount of the rows (space_recount.h). Given
// time and a healed cluster, none stays so. Owned by the run's census; pure.

#include <cstdint>
#include <map>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "sim/check/space_recount.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

class CompactionWatch {
 public:
  // What the rows say now; the more often, the better it knows since when.
  void look(const SpaceRecount& recount, Instant now);
  // kSpace for each block that is sparse since before `since`.
  void judge(Instant since, Violations& violations) const;

 private:
  struct Sparse {
    Instant since{};
    SpaceRecount::Pack pack;
  };
  std::map<BlockId, Sparse> sparse_;
};

}  // namespace dogfs::sim
