// The clock, and Event, which stands on it.
#include "core/env/clock.h"

#include "core/env/event.h"

#include "tests/conformance/world.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

Task<> measure_sleep(Env& env, Duration length, Duration& slept) {
  const Instant begin = env.now();
  co_await env.sleep(length);
  slept = env.now() - begin;
}

IN_BOTH_WORLDS("a sleeper wakes after its time, not before") {
  Node& node = world.add_node();
  for (const Duration length : {Duration(0), Duration(1), Duration(300us), Duration(3ms)}) {
    Duration slept{};
    world.run(node, measure_sleep(node.env(), length, slept));
    CHECK(slept >= length);
    CHECK(slept < length + 5s);
  }
}

IN_BOTH_WORLDS("timers fire in the order of their times, however they were set") {
  Node& node = world.add_node();
  Env& env = node.env();
  std::string order;
  const Instant base = env.now() + 50ms;  // enough to set them all
  for (const int number : {3, 0, 4, 1, 2}) {
    const OperationRef op = env.operations().park(
        [&order, number](error_code, size_t) { order += std::to_string(number); });
    env.clock().complete_at(base + number * Duration(2ms), op);
  }
  world.run_until([&] { return order.size() == 5; });
  CHECK_EQ(order, "01234");
}

IN_BOTH_WORLDS("a timer whose time has passed does not fire inside the call that set it") {
  Node& node = world.add_node();
  Env& env = node.env();
  int fired = 0;
  const OperationRef op = env.operations().park([&fired](error_code error, size_t count) {
    CHECK_FALSE(error);
    CHECK_EQ(count, 0);
    ++fired;
  });
  env.clock().complete_at(env.now() - 1s, op);
  CHECK_EQ(fired, 0);
  world.run_until([&] { return fired > 0; });
  world.run_for(2ms);
  CHECK_EQ(fired, 1);
}

IN_BOTH_WORLDS("rule 9: a timer whose operation has ended does nothing") {
  Node& node = world.add_node();
  Env& env = node.env();
  int fired = 0;
  const OperationRef op = env.operations().park([&fired](error_code, size_t) { ++fired; });
  env.clock().complete_at(env.now() + 1ms, op);
  env.operations().discard(op);
  int other = 0;
  const OperationRef next = env.operations().park([&other](error_code, size_t) { ++other; });
  world.run_for(3ms);
  CHECK_EQ(fired, 0);
  CHECK_EQ(other, 0);
  env.operations().discard(next);
}

Task<> many_short_limits(Env& env, Duration& took) {
  const Instant begin = env.now();
  Event event(env);
  for (int i = 0; i < 2000; ++i) {
    event.set();
    co_await event.wait_for(10s);
    event.reset();
  }
  took = env.now() - begin;
}

IN_BOTH_WORLDS("rule 9: limits that were not reached cost no time") {
  Node& node = world.add_node();
  Duration took = 1h;
  world.run(node, many_short_limits(node.env(), took));
  CHECK(took < 10s);
}

Task<> never(Env& env) { co_await env.sleep_until(kNever); }

IN_BOTH_WORLDS("a sleep until never ends only by cancellation") {
  Node& node = world.add_node();
  start_root(node.env(), never(node.env()), {});
  world.run_for(2ms);
  CHECK_EQ(node.live_tasks(), 1);
  node.kill();
  CHECK_EQ(node.live_tasks(), 0);
}

struct Waiters {
  int released = 0;
  int timed_out = 0;
};

Task<> wait_for(Event& event, Duration limit, Waiters& waiters) {
  co_await event.wait_for(limit) ? ++waiters.released : ++waiters.timed_out;
}

Task<> wait_without_limit(Event& event, Waiters& waiters) {
  co_await event.wait();
  ++waiters.released;
}

// One waits for ever, one with a limit that is not reached, one with a limit that is.
Task<> three_waiters(Env& env, Nursery& children, Event& event, Waiters& waiters) {
  children.spawn(wait_without_limit(event, waiters));
  children.spawn(wait_for(event, 1h, waiters));
  children.spawn(wait_for(event, 1ms, waiters));
  while (waiters.timed_out == 0) co_await env.sleep(1ms);
  CHECK_EQ(waiters.released, 0);
  event.set();
  CHECK_EQ(waiters.released, 0);
  co_await children.join();
}

IN_BOTH_WORLDS("an event releases all who wait, and a waiter that gave up disturbs nobody") {
  Node& node = world.add_node();
  Event event(node.env());
  Waiters waiters;
  world.run(node, nursery(node.env(), [&](Nursery& children) {
              return three_waiters(node.env(), children, event, waiters);
            }));
  CHECK_EQ(waiters.released, 2);
  CHECK_EQ(waiters.timed_out, 1);
  CHECK(event.is_set());
}

Task<> cancelled_waiter(Nursery& children, Event& event, Waiters& waiters) {
  children.spawn(wait_without_limit(event, waiters));
  co_await asio::post(asio::use_awaitable);
}

Task<> wait_beside_cancelled(Env& env, Nursery& children, Event& event, Waiters& waiters) {
  children.spawn(wait_without_limit(event, waiters));
  co_await nursery(env, [&](Nursery& inner) { return cancelled_waiter(inner, event, waiters); });
  CHECK_EQ(waiters.released, 0);
  event.notify();
  co_await children.join();
}

IN_BOTH_WORLDS("a cancelled waiter disturbs no other") {
  Node& node = world.add_node();
  Event event(node.env());
  Waiters waiters;
  world.run(node, nursery(node.env(), [&](Nursery& children) {
              return wait_beside_cancelled(node.env(), children, event, waiters);
            }));
  CHECK_EQ(waiters.released, 1);
  CHECK_FALSE(event.is_set());
}

Task<> use_states(Event& event) {
  event.set();
  co_await event.wait();
  CHECK(co_await event.wait_for(Duration(0)));
  event.reset();
  CHECK_FALSE(co_await event.wait_for(Duration(0)));
  event.notify();  // nobody waits: it is not remembered
  CHECK_FALSE(co_await event.wait_for(1ms));
}

IN_BOTH_WORLDS("an event stays set until reset, and a notification reaches only those who wait") {
  Node& node = world.add_node();
  Event event(node.env());
  world.run(node, use_states(event));
}

}  // namespace
}  // namespace dogfs::conformance
