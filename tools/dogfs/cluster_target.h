#pragma once
// Which cluster a command means, and who can be asked there. A cluster is named by addresses of its
// metadata servers or, on this machine, by its directory; then an error can also tell which of its
// servers do not run.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "nodes/client/client.h"
#include "tools/dogfs/local_cluster.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

struct ClusterTarget {
  std::vector<Address> metadata;
  std::optional<LocalCluster> local;

  nodes::ClientOptions client_options() const;
  // The same error, with what to do about it where that is known.
  Error explain(Error error) const;
};

void add_cluster_option(CLI::App& command, std::string& text);

// `text` is "host:port[,host:port]" or the directory of a local cluster; empty: that of the last
// `cluster up`. kInvalid, kNotFound.
Result<ClusterTarget> find_cluster(const std::string& text);

// The directory that `cluster` commands work on: `text`, or DOGFS_CLUSTER when that is a directory,
// or that of the last `cluster up`. kInvalid when there is none of them.
Result<std::filesystem::path> find_cluster_directory(const std::string& text);

}  // namespace dogfs::tool
