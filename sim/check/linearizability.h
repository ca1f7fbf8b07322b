#pragma once
// Linearizability by commit position: the committed log is one order of all changes. Replayed in
// that order on the TreeModel, every client's answer must be the one that the model gives, and the
// order must respect real time. What nobody was told about (unknown outcomes) is found in the log
// itself, by the request that was sent for it: each request there must be one that some client
// made, at most once.
//
// Linear in log and history, but for reads that name no position: for these some state within their
// span of time must explain them.

#include <vector>

#include "core/base/ids.h"
#include "core/namespace/commands.h"
#include "sim/check/history.h"
#include "sim/check/tree_model.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

// A command of the committed log and what the state machine answered.
struct CommittedCommand {
  LogIndex position;
  metadata::Command command;
  metadata::Response response;
};

// Where in the log each operation of the history changed the tree, and LogIndex(0) for those that
// did not.
std::vector<LogIndex> positions_in_log(const History& history,
                                       const std::vector<CommittedCommand>& commands);

struct LoggedTree {
  TreeModel tree;            // at the end: what a reader must find now
  std::vector<Pieces> made;  // all bytes that truncates and concatenates ever left in a file
};

// Reports under kLinearizability and kExactlyOnce. `commands` is ordered by position.
LoggedTree check_linearizability(const History& history,
                                 const std::vector<CommittedCommand>& commands,
                                 Violations& violations);

}  // namespace dogfs::sim
