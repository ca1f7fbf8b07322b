#pragma once
// The bugs that can be planted (MUTANT("...") in product code, -DDOGFS_MUTANTS=ON), with what must
// happen for each to matter and which oracles are meant for it. `dogfs sim mutants` plants one at a
// time: a simulator that does not find them finds nothing.

#include <string_view>
#include <vector>

#include "sim/check/violation.h"

namespace dogfs::sim {

struct Mutant {
  std::string_view id;
  std::string_view what;
  std::vector<Oracle> oracles;  // one of them must be among those that fire
  std::string_view needs;       // the figure of the tally that shows that its fault came; "" none
  bool staged = false;          // for scenarios that catch it: drawn runs are too small
};

const std::vector<Mutant>& mutants();
// It must be killed by the first seed; otherwise the job that looks for bugs runs nothing.
const Mutant& canary();

}  // namespace dogfs::sim
