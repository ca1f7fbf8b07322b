#pragma once
// `dogfs bench`: how fast the real thing is on this machine, beside a yardstick in the same run.
// Adds the commands to the program; their callbacks keep references to `output`, which main() owns.
// What they report is told there, with the exit code.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

void add_bench_commands(CLI::App& app, Output& output);

}  // namespace dogfs::tool
