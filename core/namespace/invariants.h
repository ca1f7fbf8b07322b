#pragma once
// What must hold of the metadata at every applied index, checked by walking all of it: for tests,
// the simulator and imports.

#include <cstdint>
#include <memory>

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

// The part of it that rows can break which came from elsewhere, for an import, in steps: one reads
// at most limits::kImportRowsMax rows, or checks all that were read in one respect. The rows must
// not change in between; then each step does and says the same whenever, and by whomever, it is
// taken. Owned by Tables while it goes on; it holds all rows, decoded.
class ImportCheck {
 public:
  ImportCheck();
  ~ImportCheck();
  ImportCheck(const ImportCheck&) = delete;
  ImportCheck& operator=(const ImportCheck&) = delete;

  // False when nothing is left to check: all is sound. kCorrupt when it is not, or when there are
  // not as many rows as expected; the step is not taken then.
  Result<bool> step(const Tables& tables, uint64_t rows_expected);
  uint64_t steps() const { return steps_; }  // taken

 private:
  Result<> read_some(const Tables& tables, uint64_t rows_expected);
  struct Parts;
  std::unique_ptr<Parts> parts_;
  uint64_t steps_ = 0;
};

}  // namespace dogfs::metadata
