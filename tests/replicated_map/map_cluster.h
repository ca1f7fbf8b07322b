#pragma once
// MapCluster: three servers of the replicated map and their clients in a simulated world, and what
// a plan of faults asks for: who leads, to stop servers and start them, to cut them off, to let the
// world go on until something is so.

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/replicated_map/map_client.h"
#include "tests/replicated_map/map_history.h"
#include "tests/replicated_map/map_node.h"
#include "tests/replicated_map/map_watch.h"

namespace dogfs::nodes {

struct MapClusterOptions {
  uint64_t seed = 1;
  uint64_t snapshot_after_bytes = 2000;
  uint64_t tail_entries = 1024;  // of the log, kept behind a snapshot
  int drift_ppm_max = 0;
};

class MapCluster {
 public:
  static constexpr int kServers = 3;
  static constexpr int kClients = 3;

  // Boots everything; the clients begin at once.
  explicit MapCluster(const MapClusterOptions& options);

  // Servers are numbered from 1.
  sim::Host& server(int number) { return *servers_.at(static_cast<size_t>(number - 1)); }
  const std::vector<sim::Host*>& servers() const { return servers_; }
  // Starts a server that is down or has ended, on the disk that it has.
  void start(int number);
  bool runs(int number);
  // The disk, the scheduler and the clock of the server are well again.
  void mend(int number);
  // A server loses power and its disk for good, and will come back blank: no voter any more. Only
  // one ever does, a minority; false for others.
  bool lose_disk(int number);
  bool disk_lost() const { return disk_lost_; }
  // Cuts a server off from the other servers, in both directions; not from clients.
  void cut_off(int number);
  void reconnect(int number);

  // Whoever was elected last.
  int leader() const { return static_cast<int>(watch.last_election().leader.value); }
  Term term() const { return watch.last_election().term; }
  // Goes on, event by event, until it is so; false if it is not within the limit.
  bool run_until(const std::function<bool()>& so, Duration limit);

  // Stops the clients and judges what they were told by what is read in the end.
  void judge();

  sim::World world;
  MapWatch watch;
  MapHistory history;

 private:
  void boot(int number, bool first_start);
  std::optional<std::string> read_finally(const std::string& key);

  const MapClusterOptions options_;
  std::vector<sim::Host*> servers_;
  std::vector<std::unique_ptr<MapClient>> clients_;
  bool disk_lost_ = false;
};

}  // namespace dogfs::nodes
