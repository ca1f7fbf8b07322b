#pragma once
// Majorities, simple and joint, in one function: everything a group decides by counting (commit
// index, votes, leadership checks, silence) is a number per voter, and the answer is the largest
// value that a quorum has reached.

#include <cstdint>
#include <functional>

#include "core/raft/types.h"

namespace dogfs::raft {

// The largest v for which the voters with value_of(voter) >= v include a majority of
// configuration.voters and, while joint, a majority of configuration.outgoing.
// 0 when there are no voters: an unknown configuration decides nothing.
uint64_t quorum_value(const Configuration& configuration,
                      const std::function<uint64_t(const Member&)>& value_of);

inline bool is_quorum(const Configuration& configuration,
                      const std::function<bool(const Member&)>& agrees) {
  return quorum_value(configuration, [&](const Member& m) { return agrees(m) ? 1u : 0u; }) == 1;
}

}  // namespace dogfs::raft
