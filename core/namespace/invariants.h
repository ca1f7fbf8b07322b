#pragma once
// What must hold of the metadata at every applied index, checked by walking all of it: for tests,
// the simulator and imports.

#include "core/base/error.h"

namespace dogfs::metadata {

class StateMachine;
class Tables;

// kCorrupt with the first violation found:
// - every directory is reached exactly once, from the root or from a tree being removed, and knows
//   its parent; every name leads to a row;
// - every file has exactly one name, or is an open upload, or is named by the outbox;
// - every block is referred to by exactly one extent, or by just the files that its set of
// referrers
//   names, or is garbage that the outbox names; extents are contiguous and, once published, lie in
//   blocks sealed at min_shards or more;
// - what every directory holds is what a walk finds;
// - no two shards of a block are on one server;
// - ids lie below the counters of their slot;
// - counters and sets kept on the side equal what the rows say; sessions count their results.
Result<> check_invariants(const StateMachine& machine);
Result<> check_invariants(const Tables& tables);
// The part of it that rows can break which came from elsewhere, in a tree that is otherwise right:
// all but sessions and what is kept on the side. Takes a time and memory as the rows are many.
Result<> check_rows(const Tables& tables);

}  // namespace dogfs::metadata
