#pragma once
// `dogfs cluster`: up, status, kill, start and down of a cluster of processes on this machine. Adds
// the commands to the program; their callbacks keep references to `output`, which main() owns. What
// they do stands in cluster_control.h and cluster_view.h.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

void add_cluster_commands(CLI::App& app, Output& output);

}  // namespace dogfs::tool
