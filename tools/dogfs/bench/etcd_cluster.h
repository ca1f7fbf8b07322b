#pragma once
// EtcdCluster: three members of etcd on loopback, as Debian packages it, to measure beside. Default
// timers and limits, data on the disk of the given directory. For benchmarks only.

#include <filesystem>
#include <vector>

#include <sys/types.h>

#include "core/base/error.h"
#include "core/env/network.h"
#include "tools/dogfs/server_process.h"

namespace dogfs::tool {

class EtcdCluster {
 public:
  // Waits until a leader stands. kNotFound, naming the packages, when there is no etcd here.
  static Result<EtcdCluster> start(const std::filesystem::path& directory);
  EtcdCluster(EtcdCluster&&) = default;
  EtcdCluster& operator=(EtcdCluster&&) = delete;
  ~EtcdCluster();  // kills the members; their files stay

  // Where the leader takes calls. kUnavailable when none stands.
  Result<Address> leader() const;
  std::vector<pid_t> processes() const;

 private:
  struct Member {
    ServerProcess process;
    uint16_t client_port;
    uint16_t peer_port;
  };
  EtcdCluster() = default;
  Result<void> start_member(const std::filesystem::path& directory, size_t index);

  std::vector<Member> members_;
};

}  // namespace dogfs::tool
