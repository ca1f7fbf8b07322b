#pragma once
// LocalCluster: a cluster of real server processes on this machine, below one directory:
//
//   DIR/cluster.json         what it consists of; written before any server starts
//   DIR/meta-1/, chunk-3/    one directory a server: server.json (its configuration), data/ (what
//                            the server owns; with several disks data-2/ ... too), server.log, pid,
//                            usage.json
//   DIR/founded/meta-1       the data directory of this first member was its own once
//
// For trying DogFS, for tests and for benchmarks. All addresses are on loopback. Two programs may
// hold one open; those that start servers take the lock first.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/env/network.h"
#include "tools/dogfs/server_process.h"

namespace dogfs::tool {

struct LocalNode {
  std::string name;     // "meta-1", "chunk-3"
  NodeId id;            // of a metadata server; a chunk server is given its id by the cluster
  StoreId first_store;  // of a metadata server: the store id of its bootstrap
  Address address;
  bool metadata() const { return name.starts_with("meta-"); }
};

struct LocalClusterShape {
  uint32_t metadata = 3;
  uint32_t chunk = 6;
  uint32_t disks = 1;  // data directories of each chunk server
  std::string policy = "rs-4-2";
  uint64_t block_bytes = 0;              // 0: the default
  std::optional<uint32_t> inline_bytes;  // files up to here live in their inode
};

class LocalCluster {
 public:
  // Lays out a new one; starts nothing. kInvalid for an impossible shape or policy, kExists when
  // there is one in the directory or a file in its place, kPrecondition when the directory holds
  // something else, kUnavailable while another program lays one out or starts it, kNotFound,
  // kDenied, kNoSpace, kIo.
  static Result<LocalCluster> create(const std::filesystem::path& directory,
                                     const LocalClusterShape& shape);
  // kNotFound when the directory holds none, kCorrupt when its cluster.json is not readable.
  static Result<LocalCluster> open(const std::filesystem::path& directory);

  const std::filesystem::path& directory() const { return directory_; }
  ClusterId cluster() const { return cluster_; }
  const std::string& policy() const { return policy_; }
  uint64_t block_bytes() const { return block_bytes_; }
  uint32_t disks() const { return disks_; }
  const std::vector<LocalNode>& nodes() const { return nodes_; }
  std::vector<Address> metadata_addresses() const;
  // kNotFound, naming those there are.
  Result<LocalNode> find(std::string_view name) const;
  ServerProcess process(const LocalNode& node) const;
  // {"report", "syncs", "longest_turn_us"}: what the server had used when it was asked last
  // (SIGUSR1), or ended in order.
  std::filesystem::path usage_file(const LocalNode& node) const;

  // Starts one server. The first start of a metadata server bootstraps it.
  Result<void> start(const LocalNode& node);

 private:
  Result<void> save() const;
  std::vector<std::string> more_directories(const LocalNode& node) const;
  Result<void> write_server_config(const LocalNode& node) const;
  // A first member writes this file before it takes part in the group; from then on no directory
  // of its is made a voter again, or it would vote with what was lost.
  std::filesystem::path founded_file(const LocalNode& node) const;

  std::filesystem::path directory_;
  ClusterId cluster_;
  std::string policy_;
  uint64_t block_bytes_ = 0;
  uint32_t disks_ = 1;
  std::optional<uint32_t> inline_bytes_;
  std::vector<LocalNode> nodes_;
};

bool holds_cluster(const std::filesystem::path& directory);
// The directory of the newest `cluster up` of this user, or empty.
std::filesystem::path last_cluster_directory();
void remember_last_cluster(const std::filesystem::path& directory);

}  // namespace dogfs::tool
