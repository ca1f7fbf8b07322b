#pragma once
// `dogfs admin export|import`: the whole namespace as text, against the loss of all metadata
// servers.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

// Below the command `admin`.
void add_export_commands(CLI::App& admin, Output& output);

}  // namespace dogfs::tool
