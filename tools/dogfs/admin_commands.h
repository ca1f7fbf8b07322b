#pragma once
// Of `dogfs admin`: the metadata servers' Raft group, for an operator: show it, add, remove and
// replace members, move leadership. Every change prints its plan; --dry-run prints it and does
// nothing.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

// `admin` is the command that they are part of.
void add_admin_commands(CLI::App& admin, Output& output);

}  // namespace dogfs::tool
