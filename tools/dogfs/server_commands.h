#pragma once
// `dogfs meta` and `dogfs chunk`: one server in this process, until a signal ends it in order (exit
// code 128 and the signal) or it fails (the error, on stderr, and its exit code). A server holds
// the lock of its data directory, so that two never share one.

namespace CLI {
class App;
}

namespace dogfs::tool {

class Output;

void add_server_commands(CLI::App& app, Output& output);

}  // namespace dogfs::tool
