// The same rpc in both worlds: calls with bulk both ways, cancellation, a server killed within a
// call, and nothing left of either side.
#include "core/env/deadline.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"

#include "tests/conformance/world.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

using rpc::Method;

struct Scene {
  std::optional<Address> address;  // when the server listens
  int begun = 0;
  int hanging = 0;
  int good = 0;
  std::optional<Code> outcome;
};

rpc::Identity member(uint32_t node) {
  return {.cluster = ClusterId(1), .node = NodeId(node), .store = {}, .credentials = {}};
}

Task<Result<rpc::Reply>> echo(rpc::Call call) {
  co_return rpc::Reply{std::move(call.message), std::move(call.bulk)};
}

Task<Result<rpc::Reply>> hang(Env& env, Scene& scene, rpc::Call) {
  const Live live(scene.hanging);
  ++scene.begun;
  co_await env.sleep(1h);
  co_return rpc::Reply{};
}

Task<> serve(Env& env, std::string host, Scene& scene) {
  rpc::Server server(env, member(1));
  server.handle(Method::kMetadataQuery, echo);
  server.handle(Method::kMetadataExecute,
                [&](rpc::Call call) { return hang(env, scene, std::move(call)); });
  auto listener = env.network().listen({host, 0});
  REQUIRE(listener.has_value());
  scene.address = (*listener)->address();
  co_await server.serve(std::move(*listener));
}

Task<> call_echo(rpc::Client& client, Scene& scene, size_t bytes) {
  const Buffer message = Buffer::copy(std::to_string(bytes));
  const Buffer bulk = Buffer::take(std::string(bytes, 'b'));
  const auto reply =
      co_await client.call(*scene.address, Method::kMetadataQuery, message, 30s, bulk);
  scene.good += reply && reply->message == message && reply->bulk == bulk;
}

Task<> call_in_turn(Nursery& children, Env& env, rpc::Client& client, Scene& scene) {
  children.spawn(client.run());
  co_await nursery(env, [&](Nursery& calls) -> Task<> {
    for (size_t i = 0; i < 20; ++i) calls.spawn(call_echo(client, scene, i * 200'000));
    return calls.join();
  });
  auto given_up = client.call(*scene.address, Method::kMetadataExecute, {}, 1h);
  co_await within(env, 50ms, std::move(given_up));
  const auto reply = co_await client.call(*scene.address, Method::kMetadataExecute, {}, 1h);
  if (!reply) scene.outcome = reply.error().code;
}

Task<> call(Env& env, Scene& scene) {
  rpc::Client client(env, member(0));
  co_await nursery(env,
                   [&](Nursery& children) { return call_in_turn(children, env, client, scene); });
}

}  // namespace

IN_BOTH_WORLDS("calls carry bulk, are cancelled, and end as unknown when their server is killed") {
  Scene scene;
  Node& server = world.add_node();
  Node& client = world.add_node();
  start_root(server.env(), serve(server.env(), server.host(), scene), [] {});
  world.run_until([&] { return scene.address.has_value(); });
  bool ended = false;
  start_root(client.env(), call(client.env(), scene), [&] { ended = true; });
  world.run_until([&] { return scene.begun == 2 && scene.hanging == 1; });
  CHECK(scene.good == 20);
  server.kill();
  CHECK(server.live_tasks() == 0);
  CHECK(scene.hanging == 0);
  world.run_until([&] { return ended; });
  CHECK(scene.outcome == Code::kUnknown);
  CHECK(client.live_tasks() == 0);
}

}  // namespace dogfs::conformance
