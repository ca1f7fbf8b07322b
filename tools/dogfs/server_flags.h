#pragma once
// ServerFlags: a server on a machine of its own, told by flags instead of a server.json:
//
//   dogfs meta --bootstrap --id 1 --listen a:7000 --data DIR    founds a cluster, alone at first
//   dogfs meta --join a:7000 --id 2 --listen b:7000 --data DIR  joins the metadata group
//   dogfs chunk --join a:7000 --name chunk-1 --listen b:7001 --data DIR [--data DIR ...]
//
// The same command starts the server again: a directory that belongs to a cluster founds and joins
// nothing. One that was lost is founded as another cluster, with another id, which nobody of the
// old one talks to; or, when all metadata is lost, with --cluster-id under the id of old, for its
// names to be imported.

#include <optional>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "tools/dogfs/server_config.h"

namespace CLI {
class App;
}

namespace dogfs::tool {

struct ServerFlags {
  std::string config;  // instead of all others
  bool bootstrap = false;
  std::string cluster_id;  // hexadecimal, with bootstrap; empty: drawn
  std::vector<std::string> join;
  uint32_t id = 0;
  std::string name;
  std::string listen;
  std::string advertise;
  std::vector<std::string> data;
  bool replace_lost = false;
  std::optional<uint64_t> scrub_kib;
  std::string zone;
  std::string policy = "rs-4-2";
  std::optional<uint64_t> lease_drift_percent;
};

void add_metadata_flags(CLI::App& command, ServerFlags& flags);
void add_chunk_flags(CLI::App& command, ServerFlags& flags);

// The configuration that the flags, or their file, stand for, as far as it is known before the
// directory and the cluster are asked. kInvalid, kNotFound.
Result<ServerConfig> config_of(const ServerFlags& flags, bool metadata);

// Completes the configuration of a metadata server: the cluster's id comes from its directory, else
// from the servers that it joins, which are asked until one answers, else it founds a new one.
Task<Result<void>> find_identity(Env& env, ServerConfig& config);

}  // namespace dogfs::tool
