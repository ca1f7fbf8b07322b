#include "tools/dogfs/bench/etcd_cluster.h"

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include <nlohmann/json.hpp>

#include "tools/dogfs/port.h"
#include "tools/dogfs/system_error.h"

namespace dogfs::tool {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t kMembers = 3;
constexpr const char* kServer = "/usr/bin/etcd";
constexpr const char* kControl = "/usr/bin/etcdctl";
constexpr auto kStartLimit = std::chrono::seconds(20);
constexpr auto kLook = std::chrono::milliseconds(200);

std::string url(uint16_t port) { return fmt::format("http://127.0.0.1:{}", port); }

// What a command writes to its output.
std::string output_of(const std::string& command) {
  std::string output;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> piece;
  for (size_t count; (count = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;)
    output.append(piece.data(), count);
  ::pclose(pipe);
  return output;
}

}  // namespace

Result<EtcdCluster> EtcdCluster::start(const fs::path& directory) {
  std::error_code error;
  if (!fs::exists(kServer, error) || !fs::exists(kControl, error))
    return fail(Code::kNotFound,
                "there is no etcd here to measure against; install it with: apt-get install "
                "--no-install-recommends etcd-server etcd-client");
  EtcdCluster cluster;
  TRY(ports, free_ports(2 * kMembers));
  for (size_t i = 0; i < kMembers; ++i) {
    const fs::path place = directory / fmt::format("etcd-{}", i + 1);
    fs::create_directories(place, error);
    if (error) return fail_errno(error.value(), place.string());
    cluster.members_.push_back({ServerProcess(place), ports[2 * i], ports[2 * i + 1]});
  }
  for (size_t i = 0; i < kMembers; ++i) TRY_VOID(cluster.start_member(directory, i));
  const auto end = std::chrono::steady_clock::now() + kStartLimit;
  while (!cluster.leader()) {
    if (std::chrono::steady_clock::now() > end)
      return fail(Code::kDeadline, "etcd has no leader; the end of its log:\n{}",
                  cluster.members_.front().process.log_tail());
    std::this_thread::sleep_for(kLook);
  }
  return cluster;
}

Result<void> EtcdCluster::start_member(const fs::path& directory, size_t index) {
  std::string members;
  for (size_t i = 0; i < members_.size(); ++i)
    members += fmt::format("{}m{}={}", i == 0 ? "" : ",", i + 1, url(members_[i].peer_port));
  const std::string name = fmt::format("m{}", index + 1);
  Member& member = members_[index];
  return member.process.start(kServer,
                              {"--name",
                               name,
                               "--data-dir",
                               (directory / fmt::format("etcd-{}", index + 1) / "data").string(),
                               "--listen-client-urls",
                               url(member.client_port),
                               "--advertise-client-urls",
                               url(member.client_port),
                               "--listen-peer-urls",
                               url(member.peer_port),
                               "--initial-advertise-peer-urls",
                               url(member.peer_port),
                               "--initial-cluster",
                               members,
                               "--initial-cluster-state",
                               "new",
                               "--quota-backend-bytes",
                               "4294967296",
                               "--log-level",
                               "error"});
}

EtcdCluster::~EtcdCluster() {
  for (Member& member : members_)
    if (member.process.signal(SIGKILL))
      (void)member.process.wait_until_gone(std::chrono::seconds(5));
}

Result<Address> EtcdCluster::leader() const {
  std::string endpoints;
  for (const Member& member : members_)
    endpoints += (endpoints.empty() ? "" : ",") + url(member.client_port);
  const std::string command =
      fmt::format("ETCDCTL_API=3 {} --endpoints {} --dial-timeout 2s endpoint status -w json 2>&1",
                  kControl, endpoints);
  const json status = json::parse(output_of(command), nullptr, false);
  if (status.is_array())
    for (const json& row : status) {
      const json& answer = row.at("Status");
      if (answer.value("leader", uint64_t{0}) !=
          answer.at("header").value("member_id", uint64_t{1}))
        continue;
      return Address::parse(
          std::string(row.at("Endpoint")).substr(std::string_view("http://").size()));
    }
  return fail(Code::kUnavailable, "etcd has no leader");
}

std::vector<pid_t> EtcdCluster::processes() const {
  std::vector<pid_t> pids;
  for (const Member& member : members_)
    if (const auto pid = member.process.running()) pids.push_back(*pid);
  return pids;
}

}  // namespace dogfs::tool
