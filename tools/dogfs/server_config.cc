#include "tools/dogfs/server_config.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "tools/dogfs/text_file.h"

namespace dogfs::tool {
namespace {
using nlohmann::json;

// Ids travel as hexadecimal text: JSON numbers are exact only up to 2^53.
uint64_t hex(const json& value) { return std::stoull(value.get<std::string>(), nullptr, 16); }

Result<nodes::Bootstrap> read_bootstrap(const json& value) {
  nodes::Bootstrap bootstrap;
  bootstrap.store = StoreId(hex(value.at("store")));
  for (const auto& row : value.at("voters"))
    bootstrap.voters.push_back(
        {NodeId(row.at("id").get<uint32_t>()), StoreId(hex(row.at("store")))});
  return bootstrap;
}

Result<ServerConfig> read(const json& value) {
  ServerConfig config;
  config.id = NodeId(value.value("id", uint32_t{0}));
  config.name = value.at("name");
  config.cluster = ClusterId(hex(value.at("cluster")));
  config.data_directory = value.at("data");
  config.more_directories = value.value("more_data", std::vector<std::string>());
  config.replace_lost = value.value("replace_lost", false);
  if (value.contains("scrub_bytes_per_second"))
    config.scrub_bytes_per_second = value.at("scrub_bytes_per_second").get<uint64_t>();
  config.usage_file = value.value("usage", "");
  config.zone = value.value("zone", "");
  TRY(listen, Address::parse(value.at("listen").get<std::string>()));
  config.listen = listen;
  for (const auto& row : value.at("metadata")) {
    TRY(address, Address::parse(row.at("address").get<std::string>()));
    config.metadata.push_back({NodeId(row.at("id").get<uint32_t>()), row.at("name"), address});
  }
  if (value.contains("policy")) {
    TRY(policy, placement::Policy::parse(value.at("policy").get<std::string>()));
    config.founding.policy = policy;
    config.founding.block_bytes = value.at("block_bytes");
    config.founding.inline_bytes = value.value("inline_bytes", config.founding.inline_bytes);
  }
  if (value.contains("lease_drift_percent"))
    config.lease_drift_percent = value.at("lease_drift_percent").get<uint64_t>();
  if (value.contains("bootstrap")) {
    TRY(bootstrap, read_bootstrap(value.at("bootstrap")));
    config.bootstrap = bootstrap;
    config.founded_file = value.value("founded", "");
  }
  return config;
}

}  // namespace

nodes::MetadataNodeOptions ServerConfig::metadata_options() const {
  nodes::MetadataNodeOptions options;
  options.raft.node = id;
  options.raft.cluster = cluster;
  options.raft.peers = metadata;
  options.raft.bootstrap = bootstrap;
  options.raft.reserve_bytes = limits::kMetadataReserveBytes;
  if (!founded_file.empty())
    options.raft.founded = [path = founded_file] {
      return replace_file(path, "This metadata server is a member, and never again a first one.\n");
    };
  options.raft.seeds = seeds;
  options.raft.lease_drift_percent = lease_drift_percent;
  options.name = name;
  options.advertise = advertise;
  options.listen = listen;
  options.founding = founding;
  return options;
}

nodes::ChunkNodeOptions ServerConfig::chunk_options(const std::vector<Disk*>& disks) const {
  nodes::ChunkNodeOptions options;
  options.directories = {{.path = "", .disk = disks.at(0), .name = data_directory}};
  for (size_t i = 0; i < more_directories.size(); ++i)
    options.directories.push_back(
        {.path = "", .disk = disks.at(i + 1), .name = more_directories[i]});
  options.replace_lost = replace_lost;
  options.scrub.bytes_per_second = scrub_bytes_per_second.value_or(options.scrub.bytes_per_second);
  options.name = name;
  options.zone = zone;
  options.cluster = cluster;
  options.listen = listen;
  options.advertise = advertise.host.empty() ? listen : advertise;
  options.metadata = seeds;
  for (const auto& peer : metadata) options.metadata.push_back(peer.address);
  return options;
}

Result<ServerConfig> read_server_config(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return fail(Code::kNotFound, "cannot read {}", path.string());
  try {
    auto config = read(json::parse(file));
    if (!config) return fail(config.error().in(path.string()));
    return config;
  } catch (const std::exception& wrong) {
    return fail(Code::kInvalid, "{}: {}", path.string(), wrong.what());
  }
}

}  // namespace dogfs::tool
