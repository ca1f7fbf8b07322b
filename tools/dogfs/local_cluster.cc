#include "tools/dogfs/local_cluster.h"

#include <cstdlib>
#include <fstream>
#include <random>

#include <nlohmann/json.hpp>

#include "core/base/limits.h"
#include "core/namespace/path.h"
#include "core/placement/policy.h"
#include "tools/dogfs/directory_lock.h"
#include "tools/dogfs/port.h"
#include "tools/dogfs/system_error.h"
#include "tools/dogfs/text_file.h"

namespace dogfs::tool {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr uint32_t kServersMax = 99;  // of each kind
constexpr uint32_t kDisksMax = 8;     // of a chunk server
constexpr int kFormat = 1;

uint64_t random_id() {
  std::random_device device;
  const uint64_t id = uint64_t{device()} << 32 | device();
  return id == 0 ? 1 : id;
}

Result<void> write_file(const fs::path& path, const json& value) {
  return replace_file(path, value.dump(2) + '\n');
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = metadata::utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

fs::path normal(const fs::path& directory) {
  std::error_code error;
  const fs::path absolute = fs::absolute(directory, error).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

Result<void> check_shape(const LocalClusterShape& shape) {
  TRY(policy, placement::Policy::parse(shape.policy));
  if (shape.metadata < 1 || shape.metadata > kServersMax || shape.metadata % 2 == 0)
    return fail(Code::kInvalid,
                "{} metadata servers; give an odd number, 3 survive the loss of one",
                shape.metadata);
  if (shape.chunk < 1 || shape.chunk > kServersMax)
    return fail(Code::kInvalid, "{} chunk servers; give 1 to {}", shape.chunk, kServersMax);
  if (shape.disks < 1 || shape.disks > kDisksMax)
    return fail(Code::kInvalid, "{} disks; give 1 to {}", shape.disks, kDisksMax);
  if (policy.width() > shape.chunk)
    return fail(Code::kInvalid, "{} needs {} chunk servers, one for each shard; there are {}",
                shape.policy, policy.width(), shape.chunk);
  const bool sized =
      shape.block_bytes >= limits::kBlockBytesMin && shape.block_bytes <= limits::kBlockBytesMax;
  if (shape.block_bytes != 0 && !sized)
    return fail(Code::kInvalid, "a block may have {} to {} bytes", limits::kBlockBytesMin,
                limits::kBlockBytesMax);
  if (shape.inline_bytes.value_or(0) > limits::kInlineBytesMax)
    return fail(Code::kInvalid, "files in inodes may have up to {} bytes", limits::kInlineBytesMax);
  return {};
}

// Makes it if it is missing.
Result<void> prepare_directory(const fs::path& directory) {
  if (!is_utf8(directory.string()))  // JSON files have to name it
    return fail(Code::kInvalid, "the directory {} is not UTF-8",
                metadata::shown(directory.string()));
  std::error_code error;
  if (fs::exists(directory, error) && !fs::is_directory(directory, error))
    return fail(Code::kExists, "{} is not a directory", directory.string());
  fs::create_directories(directory, error);
  if (error) return fail_errno(error.value(), fmt::format("cannot make {}", directory.string()));
  return {};
}

fs::path state_directory() {
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0')
    return fs::path(state) / "dogfs";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return fs::path(home) / ".local" / "state" / "dogfs";
  return {};
}

}  // namespace

Result<LocalCluster> LocalCluster::create(const fs::path& directory,
                                          const LocalClusterShape& shape) {
  TRY_VOID(check_shape(shape));
  LocalCluster cluster;
  cluster.directory_ = normal(directory);
  TRY_VOID(prepare_directory(cluster.directory_));
  TRY(lock, DirectoryLock::take(cluster.directory_));
  if (holds_cluster(cluster.directory_))
    return fail(Code::kExists, "{} holds a cluster already", directory.string());
  std::error_code error;
  fs::remove(cluster.directory_ / "cluster.json.new", error);  // of one who was killed
  if (!fs::is_empty(cluster.directory_, error))
    return fail(Code::kPrecondition, "{} holds other files and no cluster; give an empty directory",
                directory.string());
  cluster.cluster_ = ClusterId(random_id());
  cluster.policy_ = shape.policy;
  cluster.disks_ = shape.disks;
  cluster.inline_bytes_ = shape.inline_bytes;
  cluster.block_bytes_ = shape.block_bytes == 0 ? limits::kBlockBytesDefault : shape.block_bytes;
  TRY(ports, free_ports(shape.metadata + shape.chunk));
  for (uint32_t i = 0; i < shape.metadata; ++i)
    cluster.nodes_.push_back({.name = fmt::format("meta-{}", i + 1),
                              .id = NodeId(i + 1),
                              .first_store = StoreId(random_id()),
                              .address = {"127.0.0.1", ports[i]}});
  for (uint32_t i = 0; i < shape.chunk; ++i)
    cluster.nodes_.push_back({.name = fmt::format("chunk-{}", i + 1),
                              .address = {"127.0.0.1", ports[shape.metadata + i]}});
  TRY_VOID(cluster.save());
  return cluster;
}

Result<void> LocalCluster::save() const {
  json nodes = json::array();
  for (const auto& node : nodes_)
    nodes.push_back({{"name", node.name},
                     {"id", node.id.value},
                     {"first_store", fmt::format("{:016x}", node.first_store.value)},
                     {"address", node.address.to_string()}});
  json shape{{"format", kFormat}, {"cluster", fmt::format("{:016x}", cluster_.value)},
             {"policy", policy_}, {"block_bytes", block_bytes_},
             {"disks", disks_},   {"nodes", nodes}};
  if (inline_bytes_) shape["inline_bytes"] = *inline_bytes_;
  return write_file(directory_ / "cluster.json", shape);
}

Result<LocalCluster> LocalCluster::open(const fs::path& directory) {
  LocalCluster cluster;
  cluster.directory_ = normal(directory);
  const fs::path path = cluster.directory_ / "cluster.json";
  std::ifstream file(path);
  if (!file)
    return fail(Code::kNotFound, "{} holds no cluster; make one with: dogfs cluster up --dir {}",
                directory.string(), directory.string());
  try {
    const json value = json::parse(file);
    if (value.at("format") != kFormat)
      return fail(Code::kUnsupported, "{} has format {}", path.string(), value.at("format").dump());
    cluster.cluster_ = ClusterId(std::stoull(value.at("cluster").get<std::string>(), nullptr, 16));
    cluster.policy_ = value.at("policy");
    cluster.block_bytes_ = value.at("block_bytes");
    cluster.disks_ = value.value("disks", uint32_t{1});
    if (value.contains("inline_bytes"))
      cluster.inline_bytes_ = value.at("inline_bytes").get<uint32_t>();
    for (const auto& row : value.at("nodes")) {
      TRY(address, Address::parse(row.at("address").get<std::string>()));
      cluster.nodes_.push_back({.name = row.at("name"),
                                .id = NodeId(row.at("id")),
                                .first_store = StoreId(std::stoull(
                                    row.at("first_store").get<std::string>(), nullptr, 16)),
                                .address = address});
    }
  } catch (const std::exception& wrong) {
    return fail(Code::kCorrupt, "{} is damaged: {}", path.string(), wrong.what());
  }
  return cluster;
}

std::vector<Address> LocalCluster::metadata_addresses() const {
  std::vector<Address> addresses;
  for (const auto& node : nodes_)
    if (node.metadata()) addresses.push_back(node.address);
  return addresses;
}

Result<LocalNode> LocalCluster::find(std::string_view name) const {
  std::string names;
  for (const auto& node : nodes_) {
    if (node.name == name) return node;
    names += (names.empty() ? "" : ", ") + node.name;
  }
  return fail(Code::kNotFound, "there is no server '{}'; there are {}", name, names);
}

ServerProcess LocalCluster::process(const LocalNode& node) const {
  return ServerProcess(directory_ / node.name);
}

fs::path LocalCluster::usage_file(const LocalNode& node) const {
  return directory_ / node.name / "usage.json";
}

std::vector<std::string> LocalCluster::more_directories(const LocalNode& node) const {
  std::vector<std::string> more;
  for (uint32_t i = 2; !node.metadata() && i <= disks_; ++i)
    more.push_back((directory_ / node.name / fmt::format("data-{}", i)).string());
  return more;
}

Result<void> LocalCluster::write_server_config(const LocalNode& node) const {
  json peers = json::array();
  json voters = json::array();
  for (const auto& peer : nodes_) {
    if (!peer.metadata()) continue;
    peers.push_back(
        {{"id", peer.id.value}, {"name", peer.name}, {"address", peer.address.to_string()}});
    voters.push_back(
        {{"id", peer.id.value}, {"store", fmt::format("{:016x}", peer.first_store.value)}});
  }
  json config{{"name", node.name},
              {"cluster", fmt::format("{:016x}", cluster_.value)},
              {"listen", node.address.to_string()},
              {"data", (directory_ / node.name / "data").string()},
              {"usage", usage_file(node).string()},
              {"metadata", peers}};
  if (const auto more = more_directories(node); !more.empty()) config["more_data"] = more;
  if (node.metadata()) {
    config["id"] = node.id.value;
    config["policy"] = policy_;
    config["block_bytes"] = block_bytes_;
    if (inline_bytes_) config["inline_bytes"] = *inline_bytes_;
    std::error_code error;
    if (!fs::exists(founded_file(node), error)) {
      config["bootstrap"] = {{"store", fmt::format("{:016x}", node.first_store.value)},
                             {"voters", voters}};
      config["founded"] = founded_file(node).string();
    }
  }
  return write_file(directory_ / node.name / "server.json", config);
}

Result<void> LocalCluster::start(const LocalNode& node) {
  std::error_code error;
  // A server whose directory was lost starts again with an empty one.
  fs::create_directories(directory_ / node.name / "data", error);
  if (!error && node.metadata()) fs::create_directories(founded_file(node).parent_path(), error);
  if (error)
    return fail_errno(error.value(),
                      fmt::format("cannot make {}", (directory_ / node.name).string()));
  TRY_VOID(write_server_config(node));
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return fail(Code::kIo, "cannot find this program: {}", error.message());
  return process(node).start(program, {node.metadata() ? "meta" : "chunk", "--config",
                                       (directory_ / node.name / "server.json").string()});
}

fs::path LocalCluster::founded_file(const LocalNode& node) const {
  return directory_ / "founded" / node.name;
}

bool holds_cluster(const fs::path& directory) {
  std::error_code error;
  return fs::exists(directory / "cluster.json", error);
}

fs::path last_cluster_directory() {
  const fs::path state = state_directory();
  if (state.empty()) return {};
  std::ifstream file(state / "last-cluster");
  std::string line;
  std::getline(file, line);
  return line;
}

void remember_last_cluster(const fs::path& directory) {
  const fs::path state = state_directory();
  if (state.empty()) return;  // a convenience only
  std::error_code error;
  fs::create_directories(state, error);
  std::ofstream(state / "last-cluster", std::ios::trunc) << directory.string() << '\n';
}

}  // namespace dogfs::tool
