#pragma once
// Cluster: the machines of a run and what runs on them: metadata servers, chunk servers and
// clients, made of the very node classes that the real servers are made of. Hosts are called
// "meta-1", "chunk-3", "client-2". Owned by the run; its world outlives it.
//
// A server that ends by itself (a failed disk, say) is started again after a while, as the service
// manager of a real machine would; a chunk server that was given up, with a new disk.

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/env/network.h"
#include "core/env/task.h"
#include "nodes/client/client.h"
#include "sim/run/raft_watch.h"
#include "sim/run/scenario.h"

namespace dogfs {
class Env;
}

namespace dogfs::sim {

class Host;
class World;

class Cluster {
 public:
  Cluster(World& world, const ClusterShape& shape, RaftWatch& watch);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Boots all servers and keeps them running.
  void start();
  // A machine for a client, not yet booted.
  Host& add_client();

  const std::vector<Host*>& metadata() const { return metadata_; }
  const std::vector<Host*>& chunk() const { return chunk_; }
  const std::vector<Host*>& clients() const { return clients_; }
  // Null while nobody was ever seen leading.
  Host* leader() const;
  Host* find(const std::string& name) const;
  nodes::ClientOptions client_options() const;
  // Of each chunk server, on the disk of its host; each stands for a disk of its own.
  std::vector<std::string> data_directories() const;
  // Where the metadata servers are, in the order of metadata().
  std::vector<Address> metadata_addresses() const;

  // Servers that ended by themselves.
  uint64_t ends() const { return ends_; }
  // Of those, each whose disk had given it no trouble since it last ended: it had no reason to.
  const std::vector<std::string>& unexplained_ends() const { return unexplained_ends_; }
  // Nothing is expected of this server any more: what it held is lost.
  void give_up(const Host& host);
  // Called when a server ended by itself, and when it is started again.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }
  // This server stays broken to the end: nobody waits for it.
  void excuse(const Host& host);
  bool is_excused(const Host& host) const;
  bool is_given_up(const Host& host) const;
  // All servers that are not excused run, and each of their replicas has applied what any has.
  bool caught_up() const;

 private:
  Host& add_host(const std::string& name);
  void add_metadata(uint32_t number);
  void add_chunk(uint32_t number);
  void supervise();
  void restart_if_ended(Host& host);

  World& world_;
  const ClusterShape shape_;
  RaftWatch& watch_;
  std::vector<Host*> metadata_, chunk_, clients_;
  std::set<std::string> restarting_;
  std::set<std::string> blank_;  // given up
  std::set<std::string> excused_;
  std::function<void()> changed_ = [] {};
  uint64_t ends_ = 0;
  std::map<std::string, uint64_t> trouble_seen_;  // by host, when it last ended
  std::vector<std::string> unexplained_ends_;
};

}  // namespace dogfs::sim
