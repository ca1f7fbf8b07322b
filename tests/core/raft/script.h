#pragma once
// Script: runs one golden script over a Cluster. core/raft/README.md lists the commands. A script
// is a sequence of blocks: command lines, a line "----", the expected output, an empty line. Lines
// that begin with '#' before the commands are kept as they are.

#include <string>

namespace dogfs::raft {

// The script with every expected output replaced by the real one. Equal to the input when the
// script passes. A command that is wrong shows as "error: ..." in its output.
std::string run_script(const std::string& script);

}  // namespace dogfs::raft
