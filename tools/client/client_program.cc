#include "tools/client/client_program.h"

#include <thread>

#include "core/env/nursery.h"
#include "net/runtime.h"
#include "nodes/client/client.h"

namespace dogfs {
namespace {

Task<> run_beside(Nursery& children, nodes::Client& client, Task<Result<void>> body,
                  Result<void>& result) {
  children.spawn(client.run());
  result = co_await std::move(body);
}

Task<> run_session(Env& env, nodes::ClientOptions options, ClientBody body, Result<void>& result) {
  nodes::Client client(env, std::move(options));
  co_await nursery(env, [&](Nursery& children) {
    return run_beside(children, client, body(env, client), result);
  });
}

}  // namespace

Result<void> run_with_client(const nodes::ClientOptions& options, const ClientBody& body,
                             int* signal) {
  net::Runtime::Options runtime_options;
  runtime_options.process.name = "client";
  runtime_options.process.log.level = LogLevel::kError;
  runtime_options.loop.disk_threads = 1;
  // Local files are read and written on the compute pool, beside encoding on every core.
  runtime_options.loop.compute_threads = std::thread::hardware_concurrency() + 1;
  TRY(runtime, net::Runtime::make(std::move(runtime_options)));
  Result<void> result;
  const int number = runtime->run(run_session(runtime->env(), options, body, result));
  if (signal != nullptr) *signal = number;
  return result;
}

}  // namespace dogfs
