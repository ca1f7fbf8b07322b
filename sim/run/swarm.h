#pragma once
// Swarm: draws a whole run from a seed. Each seed decides first which kinds of faults, operations
// and extreme settings are present at all, then how many and when: a run with everything in it
// hides what a run with only two things shows (Groce et al., "Swarm testing").
//
// What is drawn stays within the fault budget of README.md; the injector holds it again at run
// time.

#include <cstdint>

#include "sim/run/scenario.h"

namespace dogfs::sim {

Scenario draw_scenario(uint64_t seed);

}  // namespace dogfs::sim
