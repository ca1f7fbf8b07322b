// Compute: work off the event loop.
#include "core/env/compute.h"

#include "core/env/nursery.h"

#include "tests/conformance/world.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

Task<> offload_values(Env& env) {
  CHECK_EQ(co_await offload(env, 10, [] { return 42; }), 42);
  const auto moved = co_await offload(env, 10, [] { return std::make_unique<int>(7); });
  CHECK_EQ(*moved, 7);
  auto only_movable = std::make_unique<int>(8);
  CHECK_EQ(co_await offload(env, 10, [p = std::move(only_movable)] { return *p; }), 8);
}

IN_BOTH_WORLDS("offloaded work gives its value") {
  Node& node = world.add_node();
  world.run(node, offload_values(node.env()));
}

struct Failure : std::exception {
  const char* what() const noexcept override { return "the job failed"; }
};

Task<> offload_failure(Env& env, bool& caught) {
  try {
    co_await offload(env, 10, []() -> int { throw Failure(); });
  } catch (const Failure&) {
    caught = true;
  }
}

IN_BOTH_WORLDS("an exception of offloaded work passes to who waits for it") {
  Node& node = world.add_node();
  bool caught = false;
  world.run(node, offload_failure(node.env(), caught));
  CHECK(caught);
}

struct CountingJob final : Job {
  explicit CountingJob(int& n) : count(n) {}
  void run() noexcept override { ++count; }
  int& count;
};

IN_BOTH_WORLDS("a job runs once, and its operation never ends inside the call that began it") {
  Node& node = world.add_node();
  Env& env = node.env();
  int runs = 0;
  int ended = 0;
  const OperationRef op = env.operations().park([&](error_code error, size_t) {
    CHECK_FALSE(error);
    ++ended;
  });
  env.compute().run(std::make_shared<CountingJob>(runs), 10, op);
  CHECK_EQ(ended, 0);
  world.run_until([&] { return ended > 0; });
  world.run_for(2ms);
  CHECK_EQ(ended, 1);
  CHECK_EQ(runs, 1);
}

Task<> add_offloaded(Env& env, int number, int& sum) {
  sum += co_await offload(env, 1000, [number] { return number; });
}

Task<> offload_many(Env& env, Nursery& children, int& sum) {
  for (int i = 1; i <= 200; ++i) children.spawn(add_offloaded(env, i, sum));
  co_await children.join();
}

IN_BOTH_WORLDS("all of many jobs end") {
  Node& node = world.add_node();
  int sum = 0;
  world.run(node, nursery(node.env(), [&](Nursery& children) {
              return offload_many(node.env(), children, sum);
            }));
  CHECK_EQ(sum, 200 * 201 / 2);
}

}  // namespace
}  // namespace dogfs::conformance
