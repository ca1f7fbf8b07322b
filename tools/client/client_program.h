#pragma once
// run_with_client: what a program needs that uses DogFS (an example is in ../../README.md): the
// real world, a client of a cluster in it, and one task that uses both. It blocks until the task
// has ended, by itself or cancelled by SIGINT or SIGTERM, and leaves no thread, socket or file
// behind.

#include <functional>

#include "core/base/error.h"
#include "core/env/task.h"

namespace dogfs {
class Env;
namespace nodes {
class Client;
struct ClientOptions;
}  // namespace nodes

using ClientBody = std::function<Task<Result<void>>(Env&, nodes::Client&)>;

// The result is the body's; the number of the signal that cancelled it, or 0, goes to `signal`.
Result<void> run_with_client(const nodes::ClientOptions& options, const ClientBody& body,
                             int* signal = nullptr);

}  // namespace dogfs
