#pragma once
// ServerConfig: the server.json of one server, validated. Written by LocalCluster at every start,
// or by a person. A value; what it says of metadata servers and of chunk servers comes out as the
// options of the node.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "nodes/chunk/chunk_node.h"
#include "nodes/metadata/metadata_node.h"

namespace dogfs::tool {

struct ServerConfig {
  NodeId id;  // of a metadata server
  std::string name;
  ClusterId cluster;
  Address listen;
  std::string data_directory;
  std::vector<std::string> more_directories;       // of a chunk server with several disks
  std::optional<uint64_t> scrub_bytes_per_second;  // of each disk; 0: no scrub
  bool replace_lost = false;  // blank directories take the place of those that are missing
  std::string usage_file;     // gets what the server used, when it ends in order; may be empty
  std::string zone;
  Address advertise;  // empty host: `listen`
  std::vector<nodes::MetadataPeer> metadata;
  std::vector<Address> seeds;  // further metadata servers, by address alone
  ClusterId founds;            // what it founds when it belongs to none; 0: any
  std::optional<nodes::Bootstrap> bootstrap;
  std::string founded_file;  // written when the bootstrap has been used for good; may be empty
  nodes::Founding founding;
  std::optional<uint64_t> lease_drift_percent;  // of the leader lease; absent: none

  nodes::MetadataNodeOptions metadata_options() const;
  // `disks`: of the data directories, in order.
  nodes::ChunkNodeOptions chunk_options(const std::vector<Disk*>& disks) const;
};

// kNotFound, or kInvalid naming the file and what is wrong with it.
Result<ServerConfig> read_server_config(const std::filesystem::path& path);

}  // namespace dogfs::tool
