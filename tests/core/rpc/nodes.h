#pragma once
// A server and a client on two hosts of a simulated world: what most tests of rpc stand on. A test
// gives what the server handles and what the client does, runs the world and looks at what both
// left behind. State of a test is declared before its Nodes, which refer to it.

#include <functional>
#include <string>
#include <vector>

#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

namespace dogfs::rpc::testing {

inline constexpr Method kEcho = Method::kMetadataExecute;
inline constexpr Method kOther = Method::kMetadataQuery;
inline constexpr Method kTell = Method::kRaftMessages;

class Nodes {
 public:
  using Setup = std::function<void(Env&, Server&)>;
  using Script = std::function<Task<>(Env&, Client&)>;

  explicit Nodes(uint64_t seed);

  // Boots the node; a restart of its host does the same again.
  void serve(Setup setup);
  void run_client(Script script);
  // Until the client's script has ended; false if it did not within `limit`.
  bool finish(Duration limit);

  sim::World world;
  sim::Host& server_host;
  sim::Host& client_host;
  const Address address{"server", 7000};
  Identity server_identity;
  Identity client_identity;
  Options options;
  ServerBounds bounds;
  // While their nodes live.
  Server* server = nullptr;
  Client* client = nullptr;

 private:
  Task<> server_main(Env& env, Setup setup);
  Task<> client_main(Env& env, Script script);
};

// Answers with the request's message and bulk after up to `delay_max`.
Task<Result<Reply>> echo(Env& env, Duration delay_max, Call call);
Nodes::Setup echo_setup(Duration delay_max);

// Bytes that depend on `seed` everywhere.
Buffer pattern(size_t size, uint64_t seed);

}  // namespace dogfs::rpc::testing
