#pragma once
// `dogfs sim`: run seeds or scenarios in the simulated world, replay one with its trace, and see
// that planted bugs are found.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

void add_sim_commands(CLI::App& app, Output& output);

}  // namespace dogfs::tool
