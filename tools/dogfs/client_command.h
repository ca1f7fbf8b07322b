#pragma once
// A subcommand that asks a cluster something: --json, --cluster, and what it performs with a client
// once the command line is read. `Request` is what the command line says; it has a member `cluster`
// and lives as long as the command.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "nodes/client/client.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {

template <class Request>
struct ClientCommand {
  CLI::App* app;
  std::shared_ptr<Request> request;
};

template <class Request>
ClientCommand<Request> add_client_command(CLI::App& app, Output& output, const std::string& name,
                                          const std::string& what,
                                          Task<Result<void>> (*perform)(nodes::Client&, Output&,
                                                                        Request)) {
  ClientCommand<Request> command{app.add_subcommand(name, what), std::make_shared<Request>()};
  output.add_json_option(*command.app);
  add_cluster_option(*command.app, command.request->cluster);
  command.app->callback([&output, request = command.request, perform] {
    run_command(output, request->cluster,
                [&](Env&, nodes::Client& client) { return perform(client, output, *request); });
  });
  return command;
}

}  // namespace dogfs::tool
