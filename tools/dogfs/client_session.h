#pragma once
// run_command: what every command does that asks a cluster. It blocks until that is answered; on
// SIGINT or SIGTERM it gives up, and the program ends as after the signal.

#include "tools/client/client_program.h"

namespace dogfs::tool {

class Output;

// Finds the cluster, runs the body with a client of it, reports the error and sets the exit code.
void run_command(Output& output, const std::string& cluster, const ClientBody& body);

}  // namespace dogfs::tool
