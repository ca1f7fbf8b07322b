#pragma once
// run_with_client: the real world, a client of a cluster in it, and one task that uses both. It
// blocks until the task has ended, by itself or cancelled by SIGINT or SIGTERM, and leaves no
// thread, socket or file behind.

#include <functional>

#include "core/base/error.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
namespace nodes {
class Client;
struct ClientOptions;
}  // namespace nodes
}  // namespace dogfs

namespace dogfs::tool {

class Output;
struct ClusterTarget;

using ClientBody = std::function<Task<Result<void>>(Env&, nodes::Client&)>;

// Runs the body until it ends or a signal cancels it. The result is the body's; the signal, or 0,
// goes to `signal`.
Result<void> run_with_client(const nodes::ClientOptions& options, const ClientBody& body,
                             int& signal);

// The same for a command: finds the cluster, reports the error and sets the exit code.
void run_command(Output& output, const std::string& cluster, const ClientBody& body);

}  // namespace dogfs::tool
