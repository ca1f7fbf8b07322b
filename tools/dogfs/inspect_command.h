#pragma once
// `dogfs chunk inspect FILE...`: what shard files say of themselves, with no server and no metadata
// to ask: whose they are, what they hold, and whether every byte is right. Reads only, so the
// server may run. Exit code 7 when a file is damaged, named with its first wrong cells.

#include "tools/dogfs/output.h"

namespace dogfs::tool {

// Below the command `chunk`.
void add_inspect_command(CLI::App& chunk, Output& output);

}  // namespace dogfs::tool
