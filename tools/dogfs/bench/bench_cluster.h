#pragma once
// BenchCluster: a running local cluster for the benchmarks of metadata, with its leader and the
// directories that scripts work in. Owned by the benchmark; brought down with it.

#include <filesystem>
#include <memory>
#include <string>

#include "core/base/error.h"
#include "tools/dogfs/bench/load.h"
#include "tools/dogfs/bench/metadata_scripts.h"
#include "tools/dogfs/bench/workplace.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/local_cluster.h"

namespace dogfs::tool {

class BenchCluster {
 public:
  // Starts three metadata servers and a chunk server below `directory`. `signal`: that of an
  // interruption, which is then an error, too.
  static Result<std::unique_ptr<BenchCluster>> start(const std::filesystem::path& directory,
                                                     int& signal);

  const LocalCluster& cluster() const { return cluster_; }
  LocalCluster& cluster() { return cluster_; }
  // Runs the body with a client of the cluster (client_session.h).
  Result<void> with_client(const ClientBody& body, int& signal) const;
  // The server that leads now.
  Result<LocalNode> leader(int& signal) const;
  // Connections to the leader for so many operations under way of one kind.
  Result<Load> load(MetadataWork work, uint32_t in_flight, int& signal);

 private:
  explicit BenchCluster(LocalCluster cluster) : cluster_(std::move(cluster)), up_(cluster_) {}

  LocalCluster cluster_;
  const Up up_;
  uint32_t scripts_ = 0;  // made so far
};

// One connection for each 256 operations under way, at least two from 8 on.
uint32_t connections_for(uint32_t in_flight);

}  // namespace dogfs::tool
