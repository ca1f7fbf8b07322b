#pragma once
// Which operation of a client a command of the log came of, and what kind of command it is; for
// checkers that lay a history beside the log. Pure.

#include "core/namespace/commands.h"
#include "sim/check/history.h"

namespace dogfs::sim {

// The client sent it (when it is known what was sent), and it asks for what the operation does.
bool came_of(const Operation& operation, const metadata::Command& command);
// It may change what a client sees of files and directories.
bool changes_the_tree(const metadata::Operation& command);
// It begins or ends an upload's lease.
bool leases(const metadata::Operation& command);

}  // namespace dogfs::sim
