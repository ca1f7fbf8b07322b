#pragma once
// `dogfs admin recover`: forced recovery from the data directory of one metadata server that does
// not run (nodes/metadata/forced_recovery.h). Nothing is asked of the cluster: it has no majority.

#include "tools/dogfs/output.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

void add_recover_command(CLI::App& admin, Output& output);

}  // namespace dogfs::tool
