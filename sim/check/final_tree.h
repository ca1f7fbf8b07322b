#pragma once
// FinalTree: the whole namespace as a client found it when everything had healed, compared with the
// tree that the log leads to. Nothing may be missing, nothing may be there that nobody made, and
// every file must read as what was put there last, unknown outcomes included: the log has settled
// them. Only which of several unknown puts of one length it was may stay open.

#include <cstdint>
#include <map>
#include <string>

#include "core/base/error.h"
#include "sim/check/history.h"
#include "sim/check/tree_model.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

struct FoundEntry {
  bool is_directory = true;
  uint64_t length = 0;      // of a file
  Result<Content> content;  // of a file; the last refusal if it could not be read
};
// Everything below the root, by path.
using FinalTree = std::map<std::string, FoundEntry>;

enum class Demand : uint8_t {
  kReadable,  // every file
  kNoLies,    // a file may be unreadable, what is read must be right
};

// kDurability for what is missing, unreadable or other, kLinearizability for what should not be
// there or is of the wrong kind. Returns how many files were compared.
uint64_t check_final_tree(const TreeModel& tree, const FinalTree& found, Demand demand,
                          Violations& violations);

}  // namespace dogfs::sim
