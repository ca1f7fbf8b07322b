#pragma once
// Planted bugs. `MUTANT("M5")` is the constant false, except in the mutation build
// (-DDOGFS_MUTANTS=ON), where it is true while that bug is planted and counts how often the planted
// branch was reached. One bug is planted at a time, in a thread (a run is one thread).
//
//   if (MUTANT("M1")) return vote_at_once();   // the bug, beside the code that it would replace

#include <cstdint>
#include <string_view>

#ifdef DOGFS_MUTANTS

namespace dogfs::mutation {

void plant(std::string_view name);   // "" removes it; resets the count
bool active(std::string_view name);  // counts a visit when true
uint64_t visits();

}  // namespace dogfs::mutation

#define MUTANT(name) (::dogfs::mutation::active(name))
#else
#define MUTANT(name) (false)
#endif
