#pragma once
// `dogfs append`: what a local file or a pipe gives goes behind the end of a file, which others may
// append to at the same time. No piece of up to 1 MiB is cut or mixed with theirs.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

void add_append_command(CLI::App& app, Output& output);

}  // namespace dogfs::tool
