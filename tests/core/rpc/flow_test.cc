// Credit: large bodies both ways, and memory that stays within the window whatever the other side
// does.
#include "tests/core/rpc/nodes.h"

#include "tests/doctest.h"

namespace dogfs::rpc::testing {
namespace {

struct Tally {
  int good = 0;
  int bad = 0;
};

Task<> move_bulk(Client& client, Address to, size_t bytes, uint64_t number, Tally& tally) {
  const Buffer message = Buffer::copy(std::to_string(number));
  const Buffer bulk = pattern(bytes, number);
  const auto reply = co_await client.call(to, kEcho, message, 1h, bulk);
  const bool good = reply && reply->message == message && reply->bulk == bulk;
  ++(good ? tally.good : tally.bad);
}

Task<> move_all(Nursery& children, Client& client, Address to, size_t bytes, int count,
                Tally& tally) {
  for (int i = 0; i < count; ++i)
    children.spawn(move_bulk(client, to, bytes, static_cast<uint64_t>(i), tally));
  co_await children.join();
}

Nodes::Script bulk_script(const Nodes& nodes, size_t bytes, int count, Tally& tally) {
  return [&nodes, bytes, count, &tally](Env& env, Client& client) {
    return nursery(env, [&nodes, bytes, count, &tally, &client](Nursery& children) {
      return move_all(children, client, nodes.address, bytes, count, tally);
    });
  };
}

// Handlers that wait until the test lets them go.
struct Gate {
  std::unique_ptr<Event> open;
  int waiting = 0;
};

Task<Result<Reply>> pass(Gate& gate, Call call) {
  ++gate.waiting;
  co_await gate.open->wait();
  --gate.waiting;
  co_return Reply{std::move(call.message), std::move(call.bulk)};
}

Nodes::Setup gate_setup(Gate& gate) {
  return [&gate](Env& env, Server& server) {
    gate.open = std::make_unique<Event>(env);
    server.handle(kEcho, [&gate](Call call) { return pass(gate, std::move(call)); });
  };
}

}  // namespace

TEST_CASE("many large bodies go both ways and arrive whole, within the window") {
  Tally tally;
  Nodes nodes(1);
  nodes.serve(echo_setup(1ms));
  nodes.run_client(bulk_script(nodes, limits::kFrameBulkBytesMax, 12, tally));
  CHECK(nodes.finish(60s));
  CHECK(tally.good == 12);
  CHECK(nodes.server->stats().held_bytes_max > limits::kFrameBulkBytesMax);
  CHECK(nodes.server->stats().held_bytes_max <= nodes.options.window);
}

TEST_CASE("a slow handler stalls its sender, and no more than the window is held") {
  Tally tally;
  Gate gate;
  Nodes nodes(2);
  nodes.options.window = limits::kConnectionWindowMin;
  nodes.serve(gate_setup(gate));
  nodes.run_client(bulk_script(nodes, limits::kMiB, 40, tally));
  nodes.world.run_for(5s);
  // Nine of a megabyte and their overhead fit ten megabytes.
  CHECK(gate.waiting == 9);
  CHECK(nodes.server->stats().held_bytes_max <= nodes.options.window);
  CHECK(nodes.client->stats().bytes_sent < nodes.options.window);
  CHECK(tally.good == 0);
  gate.open->set();
  CHECK(nodes.finish(60s));
  CHECK(tally.good == 40);
  CHECK(nodes.server->stats().held_bytes_max <= nodes.options.window);
}

TEST_CASE("a stalled connection still answers pings and small control frames") {
  Tally tally;
  Gate gate;
  Nodes nodes(3);
  nodes.serve(gate_setup(gate));
  nodes.run_client(bulk_script(nodes, limits::kMiB, 40, tally));
  nodes.world.run_for(60s);  // much longer than silent_limit
  CHECK(nodes.server->stats().connections == 1);
  gate.open->set();
  CHECK(nodes.finish(60s));
  CHECK(tally.good == 40);
  CHECK(nodes.server->stats().connections == 1);
}

namespace {

Task<> give_up_unsent(Nursery& children, Env& env, Client& client, Address to, Tally& tally) {
  for (uint64_t i = 0; i < 40; ++i) children.spawn(move_bulk(client, to, limits::kMiB, i, tally));
  co_await env.sleep(500ms);
  const uint64_t sent = client.stats().frames_sent;
  const auto reply = co_await client.call(to, kEcho, {}, 100ms);
  CHECK((!reply && reply.error().is(Code::kUnavailable)));
  co_await env.sleep(100ms);
  CHECK(client.stats().frames_sent == sent);
  ++tally.bad;
}

}  // namespace

TEST_CASE("of a call that was never sent the server does not hear, not even a cancel") {
  Tally tally;
  Gate gate;
  Nodes nodes(4);
  nodes.serve(gate_setup(gate));
  nodes.run_client([&](Env& env, Client& client) {
    return nursery(env, [&](Nursery& children) {
      return give_up_unsent(children, env, client, nodes.address, tally);
    });
  });
  CHECK(nodes.finish(5s));
  CHECK(tally.bad == 1);
}

namespace {

Task<> cancel_many(Nursery& children, Env& env, Client& client, Address to, Tally& tally) {
  const Buffer bulk = pattern(limits::kMiB, 1);
  // More than the windows several times over, cancelled in all stages: half of the requests while
  // they are sent or handled, half of the replies on their way.
  for (int i = 0; i < 60; ++i) {
    auto call = client.call(to, kOther, {}, 1h, i % 2 ? bulk : Buffer());
    co_await within(env, Duration(env.random().below(10'000'000)), std::move(call));
  }
  co_await move_all(children, client, to, limits::kFrameBulkBytesMax, 6, tally);
}

Task<Result<Reply>> big_late_reply(Env& env, Buffer bulk, Call call) {
  co_await env.sleep(call.bulk.empty() ? 4ms : 1s);
  co_return Reply{{}, std::move(bulk)};
}

}  // namespace

TEST_CASE("cancelled calls give all their credit back, on both sides") {
  const Buffer bulk = pattern(limits::kFrameBulkBytesMax, 2);
  Tally tally;
  Nodes nodes(4);
  nodes.serve([&](Env& env, Server& server) {
    echo_setup(1ms)(env, server);
    server.handle(kOther, [&](Call call) { return big_late_reply(env, bulk, std::move(call)); });
  });
  nodes.run_client([&](Env& env, Client& client) {
    return nursery(env, [&](Nursery& children) {
      return cancel_many(children, env, client, nodes.address, tally);
    });
  });
  CHECK(nodes.finish(60s));
  CHECK(tally.good == 6);
  CHECK(nodes.server->stats().connections == 1);
}

namespace {

Task<> tell_slow(Env& env, int& heard, Call) {
  co_await env.sleep(10ms);
  ++heard;
}

Task<> tell_much(Env& env, Client& client, Address to) {
  for (int i = 0; i < 30; ++i) client.send(to, kTell, {}, pattern(limits::kMiB, 1));
  co_await env.sleep(10s);
}

}  // namespace

TEST_CASE("one-way messages wait for credit, too") {
  int heard = 0;
  Nodes nodes(5);
  nodes.serve([&](Env& env, Server& server) {
    server.handle_one_way(kTell, [&](Call call) { return tell_slow(env, heard, std::move(call)); });
  });
  nodes.run_client([&](Env& env, Client& client) { return tell_much(env, client, nodes.address); });
  nodes.world.run_for(5s);
  CHECK(heard == 30);
  CHECK(nodes.server->stats().held_bytes_max <= nodes.options.window);
  CHECK(nodes.server->stats().held_bytes_max > nodes.options.window / 2);
}

namespace {

// A client that reads nothing for a while: its host is paused while replies come.
Task<Result<Reply>> big_reply(int& begun, Buffer bulk, Call) {
  ++begun;
  co_return Reply{{}, std::move(bulk)};
}

Task<> ask(Client& client, Address to, int& good) {
  const auto reply = co_await client.call(to, kEcho, {}, 1h);
  good += reply.has_value();
}

Task<> ask_many(Nursery& children, Client& client, Address to, int& good) {
  for (int i = 0; i < 40; ++i) children.spawn(ask(client, to, good));
  co_await children.join();
}

}  // namespace

TEST_CASE("a server begins no more calls than it has room for unsent responses") {
  const Buffer bulk = pattern(limits::kFrameBulkBytesMax, 3);
  int begun = 0;
  int good = 0;
  Nodes nodes(6);
  nodes.bounds.handlers_per_connection = 4;
  nodes.options.silent_limit = 60s;
  nodes.serve([&](Env&, Server& server) {
    server.handle(kEcho, [&](Call call) { return big_reply(begun, bulk, std::move(call)); });
  });
  nodes.run_client([&](Env& env, Client& client) {
    return nursery(
        env, [&](Nursery& children) { return ask_many(children, client, nodes.address, good); });
  });
  while (begun == 0) nodes.world.step();
  nodes.client_host.process()->pause();
  nodes.world.run_for(5s);
  // The window once in the queue, once with the client, a frame in the writer, and the handlers.
  CHECK(begun <= 4 + 4 + 4 + 1);
  nodes.client_host.process()->resume();
  CHECK(nodes.finish(60s));
  CHECK(good == 40);
}

}  // namespace dogfs::rpc::testing
