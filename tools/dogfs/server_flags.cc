#include "tools/dogfs/server_flags.h"

#include <charconv>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <arpa/inet.h>

#include "core/base/limits.h"
#include "core/chunk/store_identity.h"
#include "core/env/nursery.h"
#include "core/proto/metadata.pb.h"
#include "core/rpc/client.h"
#include "nodes/data_directory.h"
#include "nodes/metadata/peer_file.h"

namespace dogfs::tool {
namespace {

constexpr Duration kAskLimit = std::chrono::seconds(2);

void add_common_flags(CLI::App& command, ServerFlags& flags) {
  command.add_option("--config", flags.config,
                     "server.json of this server, instead of all other flags");
  command
      .add_option("--join", flags.join, "Metadata servers of the cluster, host:port[,host:port]")
      ->delimiter(',');
  command.add_option("--name", flags.name, "Name of this server, else its kind and id");
  command.add_option("--listen", flags.listen, "host:port to serve on");
  command.add_option("--advertise", flags.advertise,
                     "host:port at which others reach it, else that of --listen");
  command
      .add_option("--data", flags.data,
                  "Data directory; made if it is missing. A chunk server may have several, one for "
                  "each disk")
      ->allow_extra_args(false);
}

Result<void> check(const ServerFlags& flags, bool metadata) {
  if (flags.listen.empty() || flags.data.empty())
    return fail(Code::kInvalid, "give --listen and --data, or --config");
  if (flags.bootstrap == !flags.join.empty())
    return fail(Code::kInvalid, "give {}--join", metadata ? "one of --bootstrap and " : "");
  if (metadata && flags.data.size() > 1)
    return fail(Code::kInvalid, "a metadata server has one --data");
  if (flags.data.size() > chunk::kDisksMax)
    return fail(Code::kInvalid, "{} data directories; at most {}", flags.data.size(),
                chunk::kDisksMax);
  if (metadata && (flags.id == 0 || flags.id >= limits::kFirstAssignedNode))
    return fail(Code::kInvalid, "give --id, a number from 1 to {}", limits::kFirstAssignedNode - 1);
  if (!flags.bootstrap && !flags.cluster_id.empty())
    return fail(Code::kInvalid, "--cluster-id goes with --bootstrap");
  if (!metadata && flags.name.empty()) return fail(Code::kInvalid, "give --name");
  return {};
}

Result<ClusterId> parse_cluster_id(const std::string& text) {
  ClusterId id;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, id.value, 16);
  if (error != std::errc() || rest != end || !id)
    return fail(Code::kInvalid, "--cluster-id {}: not an id of 1 to 16 hexadecimal digits", text);
  return id;
}

// It is written down for all others, who would reach themselves.
Result<void> check_reachable(const Address& advertise) {
  in_addr address{};
  const bool zero = ::inet_aton(advertise.host.c_str(), &address) != 0 && address.s_addr == 0;
  const bool anywhere = zero || advertise.host == "::";
  if (!anywhere && advertise.port != 0) return {};
  return fail(Code::kInvalid, "others cannot reach {}; give --advertise with this host's address",
              advertise.to_string());
}

Result<void> make_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(Code::kIo, "cannot make {}: {}", path, error.message());
  return {};
}

Task<Result<ClusterId>> ask(rpc::Client& client, Address server) {
  CO_TRY(answer,
         co_await client.call<proto::MetadataStatusReply>(
             server, rpc::Method::kMetadataStatus, proto::MetadataStatusRequest(), kAskLimit));
  co_return ClusterId(answer.message.cluster());
}

Task<> ask_all(Env& env, Nursery& children, rpc::Client& client, std::vector<Address> servers,
               ClusterId& cluster) {
  children.spawn(client.run());
  for (;;) {
    for (const Address& server : servers) {
      const auto answer = co_await ask(client, server);
      if (answer) cluster = *answer;
      if (cluster) co_return;
      env.log().info("{} does not answer: {}", server.to_string(), answer.error());
    }
    co_await env.sleep(std::chrono::milliseconds(500));
  }
}

}  // namespace

void add_metadata_flags(CLI::App& command, ServerFlags& flags) {
  add_common_flags(command, flags);
  command.add_flag("--bootstrap", flags.bootstrap,
                   "Found a new cluster, unless the directory belongs to one");
  command.add_option("--cluster-id", flags.cluster_id,
                     "Id of the new cluster, to import the names of a lost one of that id");
  command.add_option("--id", flags.id, "Number of this metadata server, unique in the cluster");
  command.add_option("--policy", flags.policy, "Policy of a new cluster: rs-k-m or rep-N");
  command
      .add_option("--lease-drift-percent", flags.lease_drift_percent,
                  "Leader lease: reads without asking a majority, while no clock of a metadata "
                  "server is faster than another by more than this. The same for all, and changed "
                  "only while all are down; not where machines are suspended. Without it there is "
                  "no lease")
      ->check(CLI::Range(0, 1000));
}

void add_chunk_flags(CLI::App& command, ServerFlags& flags) {
  add_common_flags(command, flags);
  command.add_option("--zone", flags.zone, "Failure domain; empty: one of its own");
  command
      .add_option("--scrub-kib", flags.scrub_kib,
                  "KiB of each disk that are read per second to find damage (2048); 0: none")
      ->check(CLI::Range(uint64_t{0}, uint64_t{1} << 30));
  command.add_flag("--replace-lost", flags.replace_lost,
                   "Blank data directories take the place of those that are missing");
}

Result<ServerConfig> config_of(const ServerFlags& flags, bool metadata) {
  if (!flags.config.empty()) return read_server_config(flags.config);
  TRY_VOID(check(flags, metadata));
  ServerConfig config;
  config.id = NodeId(flags.id);
  config.name = flags.name.empty() ? fmt::format("meta-{}", flags.id) : flags.name;
  config.data_directory = flags.data.front();
  config.more_directories.assign(flags.data.begin() + 1, flags.data.end());
  config.replace_lost = flags.replace_lost;
  if (flags.scrub_kib) config.scrub_bytes_per_second = *flags.scrub_kib * limits::kKiB;
  config.zone = flags.zone;
  config.lease_drift_percent = flags.lease_drift_percent;
  if (!flags.cluster_id.empty()) {
    TRY(founds, parse_cluster_id(flags.cluster_id));
    config.founds = founds;
  }
  TRY(listen, Address::parse(flags.listen));
  config.listen = config.advertise = listen;
  if (!flags.advertise.empty()) {
    TRY(advertise, Address::parse(flags.advertise));
    config.advertise = advertise;
  }
  TRY_VOID(check_reachable(config.advertise));
  for (const auto& text : flags.join) {
    TRY(address, Address::parse(text));
    config.seeds.push_back(address);
  }
  TRY(policy, placement::Policy::parse(flags.policy));
  config.founding.policy = policy;
  for (const auto& directory : flags.data) {
    const auto made = make_directory(directory);
    if (!made && flags.data.size() == 1) return fail(made.error());
  }
  return config;
}

Task<Result<void>> find_identity(Env& env, ServerConfig& config) {
  if (config.cluster) co_return Result<void>();
  CO_TRY(known, co_await nodes::known_identity(env));
  if (known) {
    config.cluster = known->cluster;
    if (config.founds && config.founds != known->cluster)
      co_return fail(Code::kPrecondition, "{} belongs to cluster {:016x}", config.data_directory,
                     known->cluster.value);
    co_return Result<void>();
  }
  // A directory that was set aside as damaged still knows where the others are.
  for (const auto& [node, address] : co_await nodes::read_peer_file(env))
    if (node != config.id) config.seeds.push_back(address);
  if (config.seeds.empty()) {
    config.cluster = config.founds ? config.founds : ClusterId(env.random().next() | 1);
    const StoreId store(env.random().next() | 1);
    config.bootstrap = nodes::Bootstrap{store, {{config.id, store}}};
    env.log().info("founds cluster {:016x}", config.cluster.value);
    co_return Result<void>();
  }
  rpc::Client client(env, {.cluster = {}, .node = {}, .store = {}, .credentials = {}});
  co_await nursery(env, [&](Nursery& children) {
    return ask_all(env, children, client, config.seeds, config.cluster);
  });
  env.log().info("joins cluster {:016x}", config.cluster.value);
  co_return Result<void>();
}

}  // namespace dogfs::tool
