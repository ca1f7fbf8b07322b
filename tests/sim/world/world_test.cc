#include "sim/world/world.h"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "core/env/deadline.h"
#include "core/env/event.h"
#include "core/env/network.h"
#include "core/env/nursery.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

Task<Result<std::string>> read_text(Stream& stream, size_t length) {
  std::string text(length, '\0');
  const auto [error, count] =
      co_await asio::async_read(stream, asio::buffer(text), asio::as_tuple(asio::use_awaitable));
  if (error) co_return fail(Code::kClosed, "{}", error.message());
  co_return text;
}

Task<Result<void>> write_text(Stream& stream, std::string text) {
  const auto [error, count] =
      co_await asio::async_write(stream, asio::buffer(text), asio::as_tuple(asio::use_awaitable));
  if (error) co_return fail(Code::kClosed, "{}", error.message());
  co_return Result<void>();
}

Task<> echo(Stream stream) {
  for (;;) {
    auto text = co_await read_text(stream, 8);
    if (!text || !co_await write_text(stream, *text)) co_return;
  }
}

Task<> accept_all(std::unique_ptr<Listener>& listener, Nursery& children) {
  for (;;) {
    auto stream = co_await listener->accept();
    if (!stream) co_return;
    children.spawn(echo(std::move(*stream)));
  }
}

Task<> echo_server(Env& env) {
  auto listener = env.network().listen({"server", 7});
  CHECK(listener);
  co_await nursery(env, [&](Nursery& children) { return accept_all(*listener, children); });
}

struct Tally {
  int replies = 0;
  int failures = 0;
};

Task<Result<std::string>> ask(Env& env, std::string text) {
  CO_TRY(stream, co_await env.network().connect({"server", 7}));
  CO_TRY_VOID(co_await write_text(stream, text));
  co_return co_await read_text(stream, text.size());
}

Task<> asker(Env& env, int count, Tally& tally) {
  for (int i = 0; i < count; ++i) {
    const auto text = fmt::format("{:8}", i);
    const auto reply = co_await within(env, 2s, ask(env, text));
    if (reply) CHECK_EQ(*reply, text);
    reply ? ++tally.replies : ++tally.failures;
    co_await env.sleep(10ms);
  }
}

struct Two {
  explicit Two(uint64_t seed) : world(seed) {
    server.set_main([](Env& env) { return echo_server(env); });
    client.set_main([this](Env& env) { return asker(env, 20, tally); });
  }
  World world;
  Host& server = world.add_host("server", {});
  Host& client = world.add_host("client", {});
  Tally tally;
};

TEST_CASE("a client is answered, and time passes only by events") {
  Two two(1);
  two.server.boot();
  two.client.boot();
  two.world.run_for(10s);
  CHECK_EQ(two.tally.replies, 20);
  CHECK_EQ(two.tally.failures, 0);
  CHECK_EQ(two.world.now(), Instant(10s));
}

uint64_t hash_of(uint64_t seed) {
  Two two(seed);
  two.server.boot();
  two.client.boot();
  two.world.run_for(5s);
  return two.world.trace_hash();
}

TEST_CASE("one seed gives one trace hash, another seed another") {
  CHECK_EQ(hash_of(3), hash_of(3));
  CHECK_NE(hash_of(3), hash_of(4));
}

TEST_CASE("killing either node at any event leaves none of its frames and the world goes on") {
  uint64_t events = 0;
  {
    Two two(5);
    two.server.boot();
    two.client.boot();
    two.world.run_for(5s);
    events = two.world.events();
  }
  REQUIRE(events > 100);
  for (uint64_t at = 0; at < events; ++at) {
    Two two(5);
    two.server.boot();
    two.client.boot();
    while (two.world.events() < at && two.world.step()) {
    }
    Host& victim = at % 2 == 0 ? two.server : two.client;
    if (at % 3 == 0)
      victim.power_off();
    else
      victim.crash();
    two.world.run_for(50ms);
    victim.boot();
    two.world.run_for(60s);
    CHECK(two.tally.replies >= 1);
  }
}

TEST_CASE("what is sent into a partition arrives after it heals") {
  Two two(6);
  two.server.boot();
  two.client.boot();
  two.world.run_for(5ms);
  two.world.fabric().block(two.client, two.server);
  const int before = two.tally.replies;
  two.world.run_for(1s);
  CHECK(two.tally.replies <= before + 1);
  two.world.fabric().heal();
  two.world.run_for(10s);
  CHECK_EQ(two.tally.replies + two.tally.failures, 20);
  CHECK(two.tally.failures <= 1);
  CHECK(two.world.fabric().counts().pieces_held_back +
            two.world.fabric().counts().connects_blocked >
        0);
}

TEST_CASE("a paused process does nothing until it is resumed") {
  Two two(7);
  two.server.boot();
  two.client.boot();
  two.world.run_for(3ms);
  two.server.process()->pause();
  const int before = two.tally.replies;
  two.world.run_for(500ms);
  CHECK_EQ(two.tally.replies, before);
  two.server.process()->resume();
  two.world.run_for(10s);
  CHECK_EQ(two.tally.replies, 20);
}

TEST_CASE("clocks that drift apart still measure their own durations") {
  World world(8);
  HostOptions fast;
  fast.drift_ppm = 50'000;
  Host& host = world.add_host("fast", fast);
  Duration slept{};
  host.set_main([&](Env& env) -> Task<> {
    return [](Env& e, Duration& result) -> Task<> {
      const Instant start = e.now();
      co_await e.sleep(10s);
      result = e.now() - start;
    }(env, slept);
  });
  host.boot();
  world.run();
  CHECK(slept >= 10s);
  CHECK(slept < 10001ms);
  CHECK(world.now() < Instant(9600ms));
}

Task<> set_at(Env& env, Event& event, Instant when) {
  co_await env.sleep_until(when);
  event.set();
}

// Whichever of the two comes first at that instant leaves the other's event behind.
Task<> wait_and_set_at(Env& env, Nursery& children, Event& event, Instant when) {
  children.spawn(set_at(env, event, when));
  co_await event.wait_until(when);
  co_await env.sleep(5s);
}

Task<> race_to_one_instant(Env& env) {
  Event event(env);
  const Instant when = env.now() + 1s;
  co_await nursery(env,
                   [&](Nursery& children) { return wait_and_set_at(env, children, event, when); });
}

TEST_CASE("a world that runs until an instant never runs past it") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world(seed);
    Host& host = world.add_host("a", {});
    host.set_main(race_to_one_instant);
    host.boot();
    world.run_until(Instant(1s + 1ns));
    CHECK_EQ(world.now().time_since_epoch().count(), Duration(1s + 1ns).count());
  }
}

}  // namespace
}  // namespace dogfs::sim
