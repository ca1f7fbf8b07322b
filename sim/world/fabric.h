#pragma once
// Fabric: the network of the simulated world. In-memory byte streams between processes, with the
// behaviour of TCP that matters to a program: bytes of one direction arrive in order, late, in
// pieces of any size; a writer that is not read from stalls; a dead process's kernel resets its
// connections, a host without power does not; what is sent into a partition is retransmitted and
// arrives after it heals, unless the connection timed out before.
//
// Faults are set per directed pair of hosts, so a partition may have one direction or both.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/base/time.h"
#include "core/env/network.h"
#include "sim/world/connection.h"

namespace dogfs::sim {

class Host;
class Process;
class World;

struct NetworkOptions {
  Duration latency_min = std::chrono::microseconds(50);
  Duration latency_max = std::chrono::microseconds(500);
  uint64_t bytes_per_second = 1'000'000'000;
  // How long a sender retransmits into silence before its connection fails.
  Duration timeout = std::chrono::seconds(20);
};

// How often a fault was injected, and how often it changed what somebody saw.
struct NetworkFaultCounts {
  uint64_t partitions = 0, pieces_held_back = 0, connects_blocked = 0;
  uint64_t clogs = 0, pieces_slowed = 0;
  uint64_t resets = 0, resets_seen = 0;
  uint64_t timeouts = 0;
};

class Fabric {
 public:
  explicit Fabric(World& world);
  ~Fabric();

  void set_options(const NetworkOptions& options) { options_ = options; }

  // Directed: what `from` sends does not reach `to`.
  void block(const Host& from, const Host& to);
  void unblock(const Host& from, const Host& to);
  // Every piece from `from` to `to` takes this much longer, until cleared with zero.
  void clog(const Host& from, const Host& to, Duration extra);
  // Resets one connection at random (both ends see it); false if there is none.
  bool reset_one(Random& random);
  // Heals all links.
  void heal();

  const NetworkFaultCounts& counts() const { return counts_; }

  // For processes: their view of the network, and what becomes of their connections when they die.
  std::unique_ptr<Network> attach(Process& process);
  void detach(Process& process);
  // The host lost power: nobody there answers any more, and nobody says goodbye.
  void silence(Process& process);
  // Power is back: what peers retransmit gets an answer again.
  void powered_on(const Host& host);

 private:
  friend class Connection;
  friend class ProcessNetwork;
  friend class ProcessListener;
  friend class ConnectionSocket;

  struct Link {
    bool blocked = false;
    Duration extra{};
  };
  struct ConnectAttempt;

  Link& link(const Process& from, const Process& to);
  bool blocked(const Process& from, const Process& to) { return link(from, to).blocked; }
  // When a piece of `bytes` that leaves now arrives.
  Instant arrival(const Process& from, const Process& to, size_t bytes);
  void connect_step(std::shared_ptr<ConnectAttempt> attempt);
  void unblocked(uint32_t from_host, uint32_t to_host);
  void remember(const std::shared_ptr<Connection>& connection);

  World& world_;
  NetworkOptions options_;
  Random random_;
  NetworkFaultCounts counts_;
  std::map<std::pair<uint32_t, uint32_t>, Link> links_;
  std::map<Address, class ProcessListener*> listeners_;
  std::vector<std::weak_ptr<Connection>> connections_;
  uint16_t next_port_ = 40'000;
};

}  // namespace dogfs::sim
