#pragma once
// The commands that work on files of a cluster: put, get, cat (transfer_commands.cc) and ls, stat,
// mkdir, mv, rm (file_commands.cc).

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

void add_file_commands(CLI::App& app, Output& output);
void add_transfer_commands(CLI::App& app, Output& output);

}  // namespace dogfs::tool
