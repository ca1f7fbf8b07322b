#include "tools/dogfs/cluster_target.h"

#include <algorithm>
#include <cstdlib>

#include <CLI/CLI.hpp>

namespace dogfs::tool {
namespace {

bool is_directory(const std::string& text) {
  std::error_code error;
  return !text.empty() && std::filesystem::is_directory(text, error);
}

Result<ClusterTarget> local_target(const std::filesystem::path& directory) {
  TRY(cluster, LocalCluster::open(directory));
  ClusterTarget target;
  target.metadata = cluster.metadata_addresses();
  target.local = std::move(cluster);
  return target;
}

}  // namespace

nodes::ClientOptions ClusterTarget::client_options() const {
  nodes::ClientOptions options;
  options.metadata = metadata;
  options.refused_limit = 1500ms;  // a person waits; servers that are starting need less
  if (local) options.cluster = local->cluster();
  return options;
}

Error ClusterTarget::explain(Error error) const {
  if (!local || (error.code != Code::kUnavailable && error.code != Code::kUnknown)) return error;
  uint32_t voters = 0;
  uint32_t running = 0;
  for (const auto& node : local->nodes()) {
    if (!node.metadata()) continue;
    ++voters;
    if (local->process(node).running()) ++running;
  }
  if (running > voters / 2) return error;
  error.message +=
      fmt::format("; {} of {} metadata servers run, {} are needed: dogfs cluster up --dir {}",
                  running, voters, voters / 2 + 1, local->directory().string());
  return error;
}

void add_cluster_option(CLI::App& command, std::string& text) {
  command.add_option("--cluster", text,
                     "Metadata servers as host:port[,host:port], or the directory of a local "
                     "cluster; else that of the last `cluster up`");
}

Result<ClusterTarget> find_cluster(const std::string& text) {
  if (text.empty()) {
    TRY(directory, find_cluster_directory(text));
    return local_target(directory);
  }
  if (is_directory(text) || text.find(':') == std::string::npos) return local_target(text);
  ClusterTarget target;
  for (const auto& part : CLI::detail::split(text, ',')) {
    auto address = Address::parse(part);
    if (!address)
      return fail(Code::kInvalid,
                  "--cluster {}: '{}' is not host:port; give those of metadata servers, or the "
                  "directory of a local cluster",
                  text, part);
    target.metadata.push_back(*address);
  }
  return target;
}

Result<std::filesystem::path> find_cluster_directory(const std::string& text) {
  if (!text.empty()) return text;
  const char* variable = std::getenv("DOGFS_CLUSTER");
  if (variable != nullptr && *variable != '\0') {
    // Never another cluster than the one that was meant.
    if (is_directory(variable)) return variable;
    return fail(Code::kInvalid,
                "DOGFS_CLUSTER={} is no directory of a local cluster; name one with --dir",
                variable);
  }
  const auto last = last_cluster_directory();
  if (!last.empty()) return last;
  return fail(Code::kInvalid,
              "which cluster? Start one with: dogfs cluster up --dir DIR; or name one with "
              "--cluster host:port or DOGFS_CLUSTER");
}

}  // namespace dogfs::tool
