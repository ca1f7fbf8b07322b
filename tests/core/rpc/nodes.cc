#include "tests/core/rpc/nodes.h"

namespace dogfs::rpc::testing {
namespace {

// Points at a part of a node while that lives.
template <class T>
class Shown {
 public:
  Shown(T*& place, T& thing) : place_(place) { place_ = &thing; }
  ~Shown() { place_ = nullptr; }
  Shown(const Shown&) = delete;
  Shown& operator=(const Shown&) = delete;

 private:
  T*& place_;
};

Task<> run_beside(Nursery& children, Env& env, Client& client, Nodes::Script script) {
  children.spawn(client.run());
  co_await script(env, client);
}

}  // namespace

Nodes::Nodes(uint64_t seed)
    : world(seed),
      server_host(world.add_host("server", {})),
      client_host(world.add_host("client", {})) {
  server_identity.cluster = client_identity.cluster = ClusterId(0xc1);
  server_identity.node = NodeId(1);
  server_identity.store = StoreId(11);
}

void Nodes::serve(Setup setup) {
  server_host.set_main([this, setup](Env& env) { return server_main(env, setup); });
  server_host.boot();
}

void Nodes::run_client(Script script) {
  client_host.set_main([this, script](Env& env) { return client_main(env, script); });
  client_host.boot();
}

bool Nodes::finish(Duration limit) {
  const Instant until = world.now() + limit;
  while (client_host.up() && !client_host.process()->ended() && world.now() < until)
    if (!world.step()) break;
  return !client_host.up() || client_host.process()->ended();
}

Task<> Nodes::server_main(Env& env, Setup setup) {
  Server made(env, server_identity, options, bounds);
  const Shown<Server> shown(server, made);
  setup(env, made);
  auto listener = env.network().listen(address);
  CHECK(listener.has_value());
  co_await made.serve(std::move(*listener));
}

Task<> Nodes::client_main(Env& env, Script script) {
  Client made(env, client_identity, options);
  const Shown<Client> shown(client, made);
  co_await nursery(env, [&](Nursery& children) { return run_beside(children, env, made, script); });
}

Task<Result<Reply>> echo(Env& env, Duration delay_max, Call call) {
  co_await env.sleep(Duration(env.random().below(static_cast<uint64_t>(delay_max.count()) + 1)));
  co_return Reply{std::move(call.message), std::move(call.bulk)};
}

Nodes::Setup echo_setup(Duration delay_max) {
  return [delay_max](Env& env, Server& server) {
    server.handle(kEcho,
                  [&env, delay_max](Call call) { return echo(env, delay_max, std::move(call)); });
  };
}

Buffer pattern(size_t size, uint64_t seed) {
  MutableBuffer bytes(size);
  Random random(seed);
  for (size_t i = 0; i < size; i += 8) {
    const uint64_t word = random.next();
    for (size_t j = i; j < std::min(size, i + 8); ++j)
      bytes.data()[j] = static_cast<uint8_t>(word >> (8 * (j - i)));
  }
  return std::move(bytes).freeze();
}

}  // namespace dogfs::rpc::testing
