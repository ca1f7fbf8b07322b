#pragma once
// The conformance suite holds both worlds to the contract of core/env with the same tests. This is
// what it asks of a world, beside what Env offers: nodes to run tasks on, a way to let the world go
// on, and killing a node.
//
//   IN_BOTH_WORLDS("a sleeper wakes after its time") { ... world ... }
//
// makes a test case of each world, named after it. Include this before "tests/doctest.h".

#include <functional>
#include <memory>
#include <string>

#include "core/env/env.h"
#include "core/env/network.h"
#include "core/env/nursery.h"
#include "core/env/task.h"

namespace dogfs::conformance {

// One incarnation of a node.
class Node {
 public:
  virtual ~Node() = default;
  virtual Env& env() = 0;
  // The host by which other nodes reach it and on which it listens.
  virtual std::string host() const = 0;
  virtual void kill() = 0;
  int live_tasks() { return env().operations().live_tasks(); }
};

class World {
 public:
  virtual ~World() = default;
  // A node with an empty disk of its own.
  virtual Node& add_node() = 0;
  // The next incarnation of a killed node, on the same disk.
  virtual Node& restart(Node& killed) = 0;
  // An address from which no answer ever comes, for a connect by `node`.
  virtual Address silent_address(Node& node) = 0;
  // Lets one thing happen. False: nothing did for a while.
  virtual bool step() = 0;
  // Lets time pass.
  virtual void run_for(Duration duration) = 0;
  // Goes on until `done`; the test fails if that takes too long.
  virtual void run_until(const std::function<bool()>& done) = 0;

  // Runs a task on the node to its end.
  void run(Node& node, Task<> task) {
    bool ended = false;
    start_root(node.env(), std::move(task), [&ended] { ended = true; });
    run_until([&ended] { return ended; });
  }
};

std::unique_ptr<World> make_real_world();
std::unique_ptr<World> make_simulated_world();

// Counts frames: an object in each of them.
class Live {
 public:
  explicit Live(int& count) : count_(count) { ++count_; }
  ~Live() { --count_; }
  Live(const Live&) = delete;
  Live& operator=(const Live&) = delete;

 private:
  int& count_;
};

}  // namespace dogfs::conformance

#define DOGFS_IN_BOTH_WORLDS_(body, text)                     \
  static void body(World& world);                             \
  TEST_CASE(text " [net]") { body(*make_real_world()); }      \
  TEST_CASE(text " [sim]") { body(*make_simulated_world()); } \
  static void body(World& world)
#define IN_BOTH_WORLDS(text) DOGFS_IN_BOTH_WORLDS_(DOCTEST_ANONYMOUS(promise_), text)
