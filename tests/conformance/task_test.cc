// How tasks wait together: nursery, within and Deadline (rules 4 to 7).
#include "core/env/compute.h"
#include "core/env/deadline.h"

#include "tests/conformance/connected.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

namespace this_coro = asio::this_coro;

Task<> run_body(Nursery& children, Task<> body) {
  children.spawn(std::move(body));
  co_await children.join();
}

Task<> note(std::string& order, std::string word) {
  order += word;
  co_return;
}

Task<> spawn_and_note(Nursery& children, std::string& order) {
  children.spawn(note(order, "child "));
  order += "spawned ";
  co_await children.join();
  order += "joined";
}

IN_BOTH_WORLDS("rule 7: a child first runs after spawn()") {
  Node& node = world.add_node();
  std::string order;
  world.run(node, nursery(node.env(),
                          [&](Nursery& children) { return spawn_and_note(children, order); }));
  CHECK_EQ(order, "spawned child joined");
}

// Sleeps until it is cancelled; its end is noted.
Task<> sleep_on(Env& env, std::string& order, std::string word) {
  struct AtEnd {
    std::string& order;
    std::string word;
    ~AtEnd() { order += word; }
  };
  const AtEnd at_end{order, word};
  co_await env.sleep(1h);
}

Task<> leave_children(Env& env, Nursery& children, std::string& order) {
  children.spawn(sleep_on(env, order, "a"));
  children.spawn(sleep_on(env, order, "b"));
  co_await env.sleep(1ms);
}

Task<> nursery_then(Env& env, std::string& order) {
  co_await nursery(env, [&](Nursery& children) { return leave_children(env, children, order); });
  order += "|";
}

IN_BOTH_WORLDS("a nursery is left when its children, cancelled, have ended") {
  Node& node = world.add_node();
  std::string order;
  world.run(node, nursery_then(node.env(), order));
  CHECK((order == "ab|" || order == "ba|"));
}

struct Failure : std::exception {};

Task<> fail_beside_children(Env& env, Nursery& children, std::string& order) {
  children.spawn(sleep_on(env, order, "a"));
  co_await env.sleep(1ms);
  throw Failure();
}

Task<> catch_failure(Env& env, std::string& order) {
  try {
    co_await nursery(env,
                     [&](Nursery& children) { return fail_beside_children(env, children, order); });
  } catch (const Failure&) {
    order += "caught";
  }
}

IN_BOTH_WORLDS("what a nursery's body throws passes on once the children have ended") {
  Node& node = world.add_node();
  std::string order;
  world.run(node, catch_failure(node.env(), order));
  CHECK_EQ(order, "acaught");
}

// Cancelled, it needs a little longer: as a task does that waits for something of its own to end.
Task<> end_slowly(Env& env, std::string& order) {
  co_await this_coro::throw_if_cancelled(false);
  try {
    co_await env.sleep(1h);
  } catch (const boost::system::system_error&) {
    order += "c";
  }
  co_await env.sleep(2ms);
  order += "d";
}

Task<> hold_slow_child(Env& env, std::string& order) {
  co_await nursery(env, [&](Nursery& inner) { return run_body(inner, end_slowly(env, order)); });
  order += "never";
}

Task<> cancel_holder(Env& env, Nursery& children, std::string& order) {
  children.spawn(hold_slow_child(env, order));
  co_await env.sleep(1ms);
}

IN_BOTH_WORLDS("rule 5: a cancelled task waits for the children of its nurseries, deep down") {
  Node& node = world.add_node();
  Env& env = node.env();
  std::string order;
  world.run(node, nursery(env, [&](Nursery& outer) {
              return run_body(outer, nursery(env, [&](Nursery& children) {
                                return cancel_holder(env, children, order);
                              }));
            }));
  CHECK_EQ(order, "cd");
}

Task<> start_slow_child(Env& env, Nursery& children, std::string& order) {
  children.spawn(end_slowly(env, order));
  co_await asio::post(asio::use_awaitable);
  co_await asio::post(asio::use_awaitable);
}

// Its body returns at once; while it joins, it is cancelled itself.
Task<> join_slow_child(Env& env, std::string& order) {
  co_await nursery(env, [&](Nursery& inner) { return start_slow_child(env, inner, order); });
  order += "went on";
}

Task<> cancel_while_joining(Env& env, Nursery& children, std::string& order) {
  children.spawn(join_slow_child(env, order));
  while (!order.contains('c')) co_await env.sleep(100us);
}

IN_BOTH_WORLDS("rule 5: a nursery that is cancelled while it joins remembers it") {
  Node& node = world.add_node();
  std::string order;
  world.run(node, nursery(node.env(), [&](Nursery& children) {
              return cancel_while_joining(node.env(), children, order);
            }));
  CHECK_EQ(order, "cd");
}

Task<> just_sleep(Env& env, Nursery&) { co_await env.sleep(1h); }

// Goes on where it should let cancellation pass. It must be reminded, or whoever joins it would
// wait for ever.
Task<> ignore_once(Env& env, std::string& order) {
  try {
    co_await nursery(env, [&](Nursery& inner) { return just_sleep(env, inner); });
  } catch (const boost::system::system_error&) {
    order += "c";
  }
  co_await env.sleep(1h);
  order += "never";
}

Task<> cancel_ignorer(Env& env, Nursery& children, std::string& order) {
  children.spawn(ignore_once(env, order));
  co_await env.sleep(1ms);
}

IN_BOTH_WORLDS("rule 5: a task that was cancelled in a nursery stays cancelled") {
  Node& node = world.add_node();
  std::string order;
  const Instant begin = node.env().now();
  world.run(node, nursery(node.env(), [&](Nursery& children) {
              return cancel_ignorer(node.env(), children, order);
            }));
  CHECK_EQ(order, "c");
  CHECK(node.env().now() - begin < 30min);
}

Task<> spawn_after_stop(Nursery& children, std::string& order) {
  children.stop();
  children.spawn(note(order, "child"));
  co_await asio::post(asio::use_awaitable);
  CHECK_EQ(children.size(), 0);
}

IN_BOTH_WORLDS("a stopped nursery starts no more children") {
  Node& node = world.add_node();
  std::string order;
  bool threw = false;
  world.run(node, nursery(node.env(),
                          [&](Nursery& children) { return spawn_after_stop(children, order); }));
  CHECK_FALSE(threw);
  CHECK_EQ(order, "");
}

Task<> stop_before_start(Env& env, Nursery& children, std::string& order) {
  children.spawn(sleep_on(env, order, "ran"));
  co_return;
}

IN_BOTH_WORLDS("a child that is cancelled before its first step never begins") {
  Node& node = world.add_node();
  std::string order;
  world.run(node, nursery(node.env(), [&](Nursery& children) {
              return stop_before_start(node.env(), children, order);
            }));
  CHECK_EQ(order, "");
  CHECK_EQ(node.live_tasks(), 0);
}

// within

Task<Result<int>> answer_after(Env& env, Duration delay, int answer) {
  co_await env.sleep(delay);
  if (answer < 0) co_return fail(Code::kIo, "a bad answer");
  co_return answer;
}

Task<> ask_within(Env& env, Duration delay, int answer, Duration limit, Result<int>& result) {
  result = co_await within(env, limit, answer_after(env, delay, answer));
}

Result<int> ask_within(World& world, Node& node, Duration delay, int answer, Duration limit) {
  Result<int> result;
  world.run(node, ask_within(node.env(), delay, answer, limit, result));
  CHECK_EQ(node.live_tasks(), 0);
  return result;
}

IN_BOTH_WORLDS("a task that ends within its limit gives its result") {
  Node& node = world.add_node();
  CHECK_EQ(ask_within(world, node, 1ms, 5, 1h), 5);
  CHECK_EQ(ask_within(world, node, Duration(0), 6, 1h), 6);
}

IN_BOTH_WORLDS("a task that does not end within its limit is cancelled and has ended") {
  Node& node = world.add_node();
  const auto result = ask_within(world, node, 1h, 5, 1ms);
  REQUIRE_FALSE(result);
  CHECK_EQ(result.error().code, Code::kDeadline);
}

IN_BOTH_WORLDS("rule 4: an error is seen at once, not as the end of the limit") {
  Node& node = world.add_node();
  const Instant begin = node.env().now();
  const auto result = ask_within(world, node, 1ms, -1, 1h);
  REQUIRE_FALSE(result);
  CHECK_EQ(result.error().code, Code::kIo);
  CHECK(node.env().now() - begin < 30min);
}

// Has its answer when it is cancelled.
Task<Result<int>> answer_when_cancelled(Env& env) {
  try {
    co_await env.sleep(1h);
  } catch (const boost::system::system_error&) {
    co_return 9;
  }
  co_return 0;
}

Task<> ask_stubborn(Env& env, Result<int>& result) {
  result = co_await within(env, 1ms, answer_when_cancelled(env));
}

IN_BOTH_WORLDS("rule 4: a result that was there when the time ended is not dropped") {
  Node& node = world.add_node();
  Result<int> result;
  world.run(node, ask_stubborn(node.env(), result));
  CHECK_EQ(result, 9);
}

Task<Result<int>> abort_itself() {
  co_await asio::post(asio::use_awaitable);
  throw boost::system::system_error(asio::error::operation_aborted);
}

Task<> ask_aborting(Env& env, bool& aborted) {
  try {
    const auto result = co_await within(env, 1h, abort_itself());
    CHECK_FALSE(result);
  } catch (const boost::system::system_error& error) {
    aborted = error.code() == asio::error::operation_aborted;
  }
}

IN_BOTH_WORLDS("rule 4: a task within a limit that ends by itself as if cancelled ends the wait") {
  Node& node = world.add_node();
  bool aborted = false;
  const Instant begin = node.env().now();
  world.run(node, ask_aborting(node.env(), aborted));
  CHECK(aborted);
  CHECK(node.env().now() - begin < 30min);
}

Task<> ask_for_ever(Env& env, std::string& order) {
  const auto result = co_await within(env, 1h, answer_after(env, 2h, 1));
  order += "went on";
}

Task<> cancel_asker(Env& env, Nursery& children, std::string& order) {
  children.spawn(ask_for_ever(env, order));
  co_await env.sleep(1ms);
}

IN_BOTH_WORLDS("who is cancelled while it waits within a limit does not go on") {
  Node& node = world.add_node();
  std::string order;
  world.run(node, nursery(node.env(), [&](Nursery& children) {
              return cancel_asker(node.env(), children, order);
            }));
  CHECK_EQ(order, "");
}

// Deadline

struct Outcome {
  error_code error;
  bool expired = false;
};

Task<> read_with_deadline(Env& env, Stream& stream, Duration limit, Outcome& outcome) {
  const Deadline deadline(env, stream, limit);
  outcome.error = (co_await read_bytes(stream, 1)).error;
  outcome.expired = deadline.expired();
}

IN_BOTH_WORLDS("a deadline closes its stream, and who reads from it hears so") {
  Connected pair(world);
  Outcome outcome;
  world.run(pair.client, read_with_deadline(pair.client.env(), pair.client_stream, 1ms, outcome));
  CHECK(outcome.expired);
  CHECK(outcome.error == asio::error::operation_aborted);
  CHECK(read_bytes(world, pair.server, pair.server_stream, 1).error == asio::error::eof);
}

IN_BOTH_WORLDS("a deadline that was met leaves its stream alone") {
  Connected pair(world);
  CHECK_FALSE(write_bytes(world, pair.server, pair.server_stream, "ab"));
  Outcome outcome;
  world.run(pair.client, read_with_deadline(pair.client.env(), pair.client_stream, 200ms, outcome));
  CHECK_FALSE(outcome.expired);
  CHECK_FALSE(outcome.error);
  world.run_for(250ms);
  CHECK_EQ(read_bytes(world, pair.client, pair.client_stream, 1).bytes, "b");
}

}  // namespace
}  // namespace dogfs::conformance
