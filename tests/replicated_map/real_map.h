#pragma once
// RealMap: three servers of the replicated map in the real world, and its clients: TCP over
// loopback, files in a temporary directory. Each server has an event loop, pools and a thread of
// its own, as the process of a server has; the clients share a loop that the caller's thread runs.
// The nodes, the clients and the oracles are those of MapCluster.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/loop.h"
#include "net/process.h"

#include "tests/replicated_map/map_client.h"
#include "tests/replicated_map/map_history.h"
#include "tests/replicated_map/map_watch.h"
#include "tests/temporary_directory.h"

namespace dogfs::nodes {

class RealMap {
 public:
  static constexpr int kServers = 3;
  static constexpr int kClients = 3;

  // Founds the group and starts everything.
  RealMap();
  ~RealMap();
  RealMap(const RealMap&) = delete;
  RealMap& operator=(const RealMap&) = delete;

  // Servers are numbered from 1. A stopped one has ended in order, a killed one has not.
  void stop(int number);
  void kill(int number);
  void start(int number);
  int leader() const { return static_cast<int>(watch.last_election().leader.value); }

  // Lets the clients go on until so many more appends were acknowledged; false if that takes
  // absurdly long.
  bool go_on(uint64_t appends);

  // Stops the clients and judges what they were told by what is read in the end. Then all servers
  // are stopped.
  void judge();

  MapWatch watch;
  MapHistory history;

 private:
  class Server;

  std::vector<Address> addresses() const;
  bool run_until(const std::function<bool()>& so);
  net::Process& add_process(std::string name);

  TemporaryDirectory directory_;
  net::Loop loop_{{.disk_threads = 1, .compute_threads = 1}};
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<MapClient>> clients_;
  std::vector<std::unique_ptr<net::Process>> processes_;  // of clients
  size_t clients_running_ = 0;
};

}  // namespace dogfs::nodes
