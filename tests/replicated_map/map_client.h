#pragma once
// MapClient: a client of the replicated map that appends to a few keys and reads them, one
// operation at a time, wherever the leader is, and tells a history of it. Several share keys. Used
// by tests in either world; the history outlives it.

#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/env/network.h"

namespace dogfs {
class Env;
class Nursery;
}  // namespace dogfs

namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

class MapHistory;

struct MapClientOptions {
  uint32_t number = 0;  // among the clients of one map
  std::vector<std::string> keys;
  std::vector<Address> servers;
  Duration think_max = std::chrono::milliseconds(150);  // between operations
};

class MapClient {
 public:
  MapClient(MapClientOptions options, MapHistory& history)
      : options_(std::move(options)), history_(history) {}

  // Goes on until stop(), and then ends when its operation has.
  Task<> run(Env& env);
  void stop() { stopped_ = true; }

  // Reads the key until a leader answers; nothing within the limit.
  Task<std::optional<std::string>> read(Env& env, std::string key, Duration limit);

 private:
  Task<> operate(Env& env, Nursery& children, rpc::Client& client);
  Task<bool> append(Env& env, rpc::Client& client, std::string key);
  Task<std::optional<std::string>> read_once(rpc::Client& client, std::string key);
  Task<> read_until(Env& env, Nursery& children, rpc::Client& client, std::string key, Instant end,
                    std::optional<std::string>& value);
  const Address& server() const { return options_.servers[next_server_]; }
  void try_another() { next_server_ = (next_server_ + 1) % options_.servers.size(); }

  const MapClientOptions options_;
  MapHistory& history_;
  size_t next_server_ = 0;
  uint32_t appends_ = 0;
  bool stopped_ = false;
};

}  // namespace dogfs::nodes
