#include "tools/dogfs/cluster_commands.h"

#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/cluster_view.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

struct Request {
  std::string directory;
  std::string node;
  std::optional<uint32_t> metadata;
  std::optional<uint32_t> chunk;
  std::optional<uint32_t> disks;
  std::optional<uint64_t> block;
  std::optional<uint32_t> inline_bytes;
  std::optional<std::string> policy;
};

Report report_to(Output& output) {
  return [&output](const LocalNode& node, const std::string& done) {
    output.object({{"name", node.name}, {"done", done}});
    output.line(fmt::format("{:<10} {}", node.name, done));
  };
}

Result<LocalCluster> open_cluster(const Request& request) {
  TRY(directory, find_cluster_directory(request.directory));
  return LocalCluster::open(directory);
}

// A cluster never changes its shape by `up`: to be told otherwise is a mistake.
Result<void> check_same(const Request& request, const LocalCluster& cluster) {
  uint32_t metadata = 0;
  uint32_t chunk = 0;
  for (const auto& node : cluster.nodes()) ++(node.metadata() ? metadata : chunk);
  if (request.metadata.value_or(metadata) == metadata && request.chunk.value_or(chunk) == chunk &&
      request.disks.value_or(cluster.disks()) == cluster.disks() &&
      request.block.value_or(cluster.block_bytes()) == cluster.block_bytes() &&
      request.policy.value_or(cluster.policy()) == cluster.policy())
    return {};
  return fail(Code::kPrecondition,
              "{} holds a cluster of {} metadata and {} chunk servers with policy {}; leave the "
              "options away, or give another directory",
              cluster.directory().string(), metadata, chunk, cluster.policy());
}

Result<LocalCluster> open_or_create(const Request& request) {
  auto directory = find_cluster_directory(request.directory);
  if (!directory) return fail(std::move(directory).error());
  if (holds_cluster(*directory)) {
    TRY(cluster, LocalCluster::open(*directory));
    TRY_VOID(check_same(request, cluster));
    return cluster;
  }
  LocalClusterShape shape;
  shape.metadata = request.metadata.value_or(shape.metadata);
  shape.chunk = request.chunk.value_or(shape.chunk);
  shape.disks = request.disks.value_or(shape.disks);
  shape.block_bytes = request.block.value_or(shape.block_bytes);
  shape.inline_bytes = request.inline_bytes;
  shape.policy = request.policy.value_or(shape.policy);
  return LocalCluster::create(*directory, shape);
}

Result<void> up(Output& output, const Request& request) {
  TRY(cluster, open_or_create(request));
  TRY_VOID(bring_up(cluster, report_to(output)));
  remember_last_cluster(cluster.directory());
  output.object({{"up", cluster.directory().string()}});
  output.line(
      fmt::format("the cluster is up: export DOGFS_CLUSTER={}", cluster.directory().string()));
  return {};
}

Task<Result<void>> show_status(Env& env, nodes::Client& client, Output& output,
                               LocalCluster cluster) {
  const ClusterView view = co_await observe(env, client, cluster);
  show(output, cluster, view);
  if (view.leader() == nullptr)
    co_return fail(Code::kUnavailable, "no metadata server leads at the moment");
  co_return Result<void>();
}

Result<void> status(Output& output, const Request& request) {
  TRY(cluster, open_cluster(request));
  run_command(output, cluster.directory().string(), [&](Env& env, nodes::Client& client) {
    return show_status(env, client, output, cluster);
  });
  return {};
}

Result<void> kill(Output& output, const Request& request) {
  TRY(cluster, open_cluster(request));
  TRY(node, cluster.find(request.node));
  TRY_VOID(kill_server(cluster, node));
  report_to(output)(node, "killed");
  return {};
}

Result<void> start(Output& output, const Request& request) {
  TRY(cluster, open_cluster(request));
  TRY(node, cluster.find(request.node));
  TRY_VOID(start_server(cluster, node));
  report_to(output)(node, fmt::format("started on {}", node.address.to_string()));
  return {};
}

Result<void> down(Output& output, const Request& request) {
  TRY(cluster, open_cluster(request));
  TRY_VOID(bring_down(cluster, report_to(output)));
  output.object({{"down", cluster.directory().string()}});
  output.line("the cluster is down; its files stay in " + cluster.directory().string());
  return {};
}

using Perform = Result<void> (*)(Output&, const Request&);

struct Command {
  CLI::App* app;
  std::shared_ptr<Request> request;
};

Command add(CLI::App& cluster, Output& output, const std::string& name, const std::string& what,
            Perform perform) {
  Command command{cluster.add_subcommand(name, what), std::make_shared<Request>()};
  output.add_json_option(*command.app);
  command.app->add_option("--dir", command.request->directory,
                          "Directory of the cluster; else DOGFS_CLUSTER, or that of the last "
                          "`cluster up`");
  command.app->callback([&output, request = command.request, perform] {
    if (auto done = perform(output, *request); !done) output.error(done.error());
  });
  return command;
}

}  // namespace

void add_cluster_commands(CLI::App& app, Output& output) {
  CLI::App& cluster = *app.add_subcommand("cluster", "Run a cluster of processes on this machine");
  cluster.require_subcommand(1);

  const Command start_all =
      add(cluster, output, "up", "Start a cluster, or what of it is down", up);
  start_all.app->add_option("--meta", start_all.request->metadata,
                            "Metadata servers of a new cluster: an odd number, else 3");
  start_all.app->add_option("--chunk", start_all.request->chunk,
                            "Chunk servers of a new cluster, else 6");
  start_all.app->add_option("--disks", start_all.request->disks,
                            "Data directories of each chunk server (1)");
  start_all.app
      ->add_option("--block", start_all.request->block,
                   "Bytes of a block of a new cluster, as in 16MiB (64MiB)")
      ->transform(CLI::AsSizeValue(false));
  start_all.app->add_option("--inline", start_all.request->inline_bytes,
                            "Bytes of files that live in their inode, in a new cluster (4096)");
  start_all.app->add_option("--policy", start_all.request->policy,
                            "Policy of a new cluster: rs-k-m or rep-N, else rs-4-2");

  add(cluster, output, "status", "Show every server and what the cluster holds", status);
  const Command end = add(cluster, output, "kill", "Kill a server as kill -9 does", kill);
  end.app->add_option("NODE", end.request->node, "meta-1, chunk-3")->required();
  const Command begin = add(cluster, output, "start", "Start a server that is down", start);
  begin.app->add_option("NODE", begin.request->node, "meta-1, chunk-3")->required();
  add(cluster, output, "down", "Stop every server; files stay", down);
}

}  // namespace dogfs::tool
