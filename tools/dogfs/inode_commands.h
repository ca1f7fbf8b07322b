#pragma once
// The commands that change what a file or directory carries, and how long it is: chmod, chown,
// label, truncate, concat, quota, trash.

#include "tools/dogfs/output.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

void add_inode_commands(CLI::App& app, Output& output);

}  // namespace dogfs::tool
