// The executor of a node, and what Operations promises of every operation (rules 1 to 3, 7, 10).
#include <boost/asio/experimental/channel.hpp>

#include "core/env/compute.h"
#include "core/env/event.h"

#include "tests/conformance/world.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

Task<> dispatch_inside(Env& env, bool& at_once, bool& post_at_once, bool& posted) {
  bool ran = false;
  asio::dispatch(env.operations().executor(), [&ran] { ran = true; });
  at_once = ran;
  asio::post(env.operations().executor(), [&posted] { posted = true; });
  post_at_once = posted;
  co_await asio::post(asio::use_awaitable);
}

IN_BOTH_WORLDS("rule 3: what a running node dispatches runs at once, what it posts runs later") {
  Node& node = world.add_node();
  bool at_once = false;
  bool post_at_once = true;
  bool posted = false;
  world.run(node, dispatch_inside(node.env(), at_once, post_at_once, posted));
  CHECK(at_once);
  CHECK_FALSE(post_at_once);
  world.run_until([&] { return posted; });
}

IN_BOTH_WORLDS("rule 3: what is dispatched from outside of the node runs later, on its turn") {
  Node& node = world.add_node();
  bool ran = false;
  asio::dispatch(node.env().operations().executor(), [&ran] { ran = true; });
  CHECK_FALSE(ran);
  world.run_until([&] { return ran; });
}

Task<> dispatch_to(Env& other, bool& ran, bool& at_once) {
  asio::dispatch(other.operations().executor(), [&ran] { ran = true; });
  at_once = ran;
  co_return;
}

IN_BOTH_WORLDS("rule 3: one node's dispatch does not run another node's code") {
  Node& node = world.add_node();
  Node& other = world.add_node();
  bool ran = false;
  bool at_once = true;
  world.run(node, dispatch_to(other.env(), ran, at_once));
  CHECK_FALSE(at_once);
  world.run_until([&] { return ran; });
}

Task<> spawn_and_wait(Env& env) {
  co_await asio::co_spawn(env.operations().executor(), env.sleep(1ms), asio::use_awaitable);
}

Task<> cancel_as_it_completes(Env& env, Nursery& children) {
  children.spawn(spawn_and_wait(env));
  co_await env.sleep(1ms);
}

IN_BOTH_WORLDS("rule 3: a task may be cancelled at the moment at which what it waits for ends") {
  Node& node = world.add_node();
  for (int i = 0; i < 50; ++i)
    world.run(node, nursery(node.env(), [&](Nursery& children) {
                return cancel_as_it_completes(node.env(), children);
              }));
  CHECK_EQ(node.live_tasks(), 0);
}

IN_BOTH_WORLDS("rule 2: a dead node's executor destroys what it is given") {
  Node& node = world.add_node();
  const auto executor = node.env().operations().executor();
  node.kill();
  const auto token = std::make_shared<int>();
  bool ran = false;
  asio::post(executor, [token, &ran] { ran = true; });
  asio::dispatch(executor, [token, &ran] { ran = true; });
  CHECK_EQ(token.use_count(), 1);
  world.run_for(1ms);
  CHECK_FALSE(ran);
}

using Channel = asio::experimental::channel<void(error_code, int)>;

Task<> receive(Channel& channel, int& live) {
  const Live counted(live);
  co_await channel.async_receive(asio::use_awaitable);
}

IN_BOTH_WORLDS("rule 2: a kill destroys what waits in services of Asio itself") {
  Node& node = world.add_node();
  int live = 0;
  Channel channel(node.env().operations().executor(), 0);
  start_root(node.env(), receive(channel, live), {});
  world.run_until([&] { return live == 1; });
  node.kill();
  CHECK_EQ(live, 0);
}

struct Seen {
  int calls = 0;
  error_code error;
  size_t count = 0;
  auto handler() {
    return [this](error_code e, size_t n) {
      ++calls;
      error = e;
      count = n;
    };
  }
};

IN_BOTH_WORLDS("an operation completes once, later, with its first result") {
  Node& node = world.add_node();
  Operations& operations = node.env().operations();
  Seen seen;
  const OperationRef op = operations.park(seen.handler());
  CHECK(operations.pending(op));
  operations.complete(op, asio::error::eof, 7);
  operations.complete(op, {}, 8);
  CHECK_EQ(seen.calls, 0);
  CHECK_FALSE(operations.pending(op));
  CHECK(operations.exists(op));
  world.run_until([&] { return seen.calls > 0; });
  operations.complete(op, {}, 9);
  operations.fire(op);
  world.run_for(1ms);
  CHECK_EQ(seen.calls, 1);
  CHECK(seen.error == asio::error::eof);
  CHECK_EQ(seen.count, 7);
}

IN_BOTH_WORLDS("a stale reference does not reach the operation that took its place") {
  Node& node = world.add_node();
  Operations& operations = node.env().operations();
  Seen first;
  Seen second;
  const OperationRef old = operations.park(first.handler());
  operations.discard(old);
  const OperationRef fresh = operations.park(second.handler());
  operations.complete(old, asio::error::eof);
  operations.fire(old);
  operations.discard(old);
  CHECK(operations.pending(fresh));
  operations.complete(fresh, {}, 3);
  world.run_until([&] { return second.calls > 0; });
  CHECK_EQ(first.calls, 0);
  CHECK_EQ(second.count, 3);
}

IN_BOTH_WORLDS("a decided operation can no longer be cancelled") {
  Node& node = world.add_node();
  Operations& operations = node.env().operations();
  Seen seen;
  asio::cancellation_signal signal;
  const OperationRef op = operations.park(seen.handler(), signal.slot());
  operations.complete(op, {}, 5);
  signal.emit(asio::cancellation_type::terminal);
  world.run_until([&] { return seen.calls > 0; });
  CHECK_FALSE(seen.error);
  CHECK_EQ(seen.count, 5);
}

IN_BOTH_WORLDS("rule 6: a signal may be emitted after its operation has ended") {
  Node& node = world.add_node();
  Operations& operations = node.env().operations();
  Seen first;
  Seen second;
  asio::cancellation_signal signal;
  const OperationRef op = operations.park(first.handler(), signal.slot());
  operations.complete(op, {});
  world.run_until([&] { return first.calls > 0; });
  const OperationRef fresh = operations.park(second.handler());  // takes its place
  signal.emit(asio::cancellation_type::terminal);
  CHECK(operations.pending(fresh));
  world.run_for(1ms);
  CHECK_EQ(first.calls, 1);
  CHECK_EQ(second.calls, 0);
  operations.discard(fresh);
}

IN_BOTH_WORLDS("a dead node takes no operation over") {
  Node& node = world.add_node();
  Operations& operations = node.env().operations();
  node.kill();
  const auto token = std::make_shared<int>();
  const OperationRef op = operations.park([token](error_code, size_t) {});
  CHECK_EQ(token.use_count(), 1);
  CHECK_FALSE(operations.pending(op));
  operations.complete(op, {});
  operations.discard(op);
}

}  // namespace
}  // namespace dogfs::conformance
