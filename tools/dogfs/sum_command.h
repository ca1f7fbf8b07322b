#pragma once
// `dogfs sum PATH [LOCAL]`: the SHA-256 of a file's content, from end to end: its bytes are read as
// any reader gets them. With a local file it says whether the two are the same.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

void add_sum_command(CLI::App& app, Output& output);

}  // namespace dogfs::tool
