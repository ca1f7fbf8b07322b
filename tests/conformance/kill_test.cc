// Cancelling and killing from every parking place (rules 1, 2 and 10).
#include "core/env/disk.h"
#include "core/env/nursery.h"

#include "tests/conformance/connected.h"
#include "tests/conformance/parking.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

Task<> park_a_while(Ground& ground, Nursery& children, Task<> place) {
  children.spawn(std::move(place));
  co_await ground.node.env().sleep(3ms);
  CHECK(ground.live > 0);
}

IN_BOTH_WORLDS("every operation honours its cancellation slot") {
  Ground ground(world);
  for (const Place& place : parking_places()) {
    CAPTURE(place.name);
    world.run(ground.node, nursery(ground.node.env(), [&](Nursery& children) {
                return park_a_while(ground, children, place.task(ground));
              }));
    CHECK_EQ(ground.live, 0);
    CHECK_EQ(ground.node.live_tasks(), 0);
  }
}

Task<> spawn_all_for(Ground& ground, Nursery& children, int steps) {
  for (const Place& place : parking_places()) children.spawn(place.task(ground));
  for (int i = 0; i < steps; ++i) co_await asio::post(asio::use_awaitable);
}

IN_BOTH_WORLDS("tasks may be cancelled at any of their steps") {
  Ground ground(world);
  for (int steps = 0; steps < 60; ++steps) {
    world.run(ground.node, nursery(ground.node.env(), [&](Nursery& children) {
                return spawn_all_for(ground, children, steps);
              }));
    CHECK_EQ(ground.live, 0);
  }
}

Task<> still_alive(Env& env, bool& alive) {
  co_await env.sleep(1ms);
  alive = true;
}

IN_BOTH_WORLDS("rules 1, 2: a kill destroys all frames, wherever they wait, and nobody else's") {
  for (const Place& place : parking_places()) {
    CAPTURE(place.name);
    Ground ground(world);
    start_root(ground.node.env(), place.task(ground), {});
    world.run_until([&] { return ground.live > 0; });
    world.run_for(3ms);
    ground.node.kill();
    CHECK_EQ(ground.live, 0);
    CHECK_EQ(ground.node.live_tasks(), 0);
    bool alive = false;
    world.run(ground.peer, still_alive(ground.peer.env(), alive));
    CHECK(alive);
  }
}

IN_BOTH_WORLDS("rule 2: a node may be killed after any of its steps") {
  for (int steps = 0; steps < 150; ++steps) {
    Ground ground(world);
    for (const Place& place : parking_places())
      start_root(ground.node.env(), place.task(ground), {});
    for (int i = 0; i < steps && world.step(); ++i) {
    }
    ground.node.kill();
    CHECK_EQ(ground.live, 0);
    for (int i = 0; i < 20 && world.step(); ++i) {
    }
    ground.peer.kill();
  }
}

Task<> kill_other(Node& other) {
  other.kill();
  co_return;
}

IN_BOTH_WORLDS("a node may be killed while another runs") {
  Ground ground(world);
  for (const Place& place : parking_places()) start_root(ground.node.env(), place.task(ground), {});
  world.run_for(2ms);
  world.run(ground.peer, kill_other(ground.node));
  CHECK_EQ(ground.live, 0);
}

// What a frame owns and those below it use.
struct Uses {
  int begun = 0;
  int ended = 0;
};

struct Owned {
  Uses& uses;
  std::string state = "alive";
  ~Owned() { state = "destroyed"; }
};

class UsesAtEnd {
 public:
  explicit UsesAtEnd(Owned& owned) : owned_(owned) { ++owned_.uses.begun; }
  ~UsesAtEnd() {
    CHECK_EQ(owned_.state, "alive");
    ++owned_.uses.ended;
  }

 private:
  Owned& owned_;
};

Task<> use_until_end(Env& env, Owned& owned) {
  const UsesAtEnd at_end(owned);
  co_await env.sleep(1h);
}

Task<> own_and_use(Env& env, Owned& outer, Uses& uses, int depth);

Task<> spawn_users(Env& env, Nursery& children, Owned& outer, Owned& own, Uses& uses, int depth) {
  children.spawn(use_until_end(env, own));
  if (depth > 0) {
    children.spawn(own_and_use(env, own, uses, depth - 1));
    children.spawn(own_and_use(env, outer, uses, depth - 1));
  }
  children.spawn(use_until_end(env, outer));
  co_await env.sleep(1h);
}

Task<> own_and_use(Env& env, Owned& outer, Uses& uses, int depth) {
  Owned own{uses};
  const UsesAtEnd at_end(outer);
  co_await nursery(env, [&, depth](Nursery& children) {
    return spawn_users(env, children, outer, own, uses, depth);
  });
}

Task<> own_all(Env& env, Uses& uses, int depth) {
  Owned own{uses};
  co_await own_and_use(env, own, uses, depth);
}

IN_BOTH_WORLDS("a child's destructors may use what its parent's frame owns, in a kill as well") {
  for (int depth = 0; depth < 4; ++depth) {
    Node& node = world.add_node();
    // Places in the registry that were used before, so that parents do not come first.
    Uses before;
    world.run(node, nursery(node.env(), [&](Nursery& children) -> Task<> {
                children.spawn(own_all(node.env(), before, 2));
                return node.env().sleep(5ms);
              }));
    CHECK(before.begun > 0);
    CHECK_EQ(before.begun, before.ended);
    Uses uses;
    start_root(node.env(), own_all(node.env(), uses, depth), {});
    const int nodes_of_tree = (2 << depth) - 1;
    world.run_until([&] { return uses.begun == 3 * nodes_of_tree; });
    CHECK_EQ(uses.ended, 0);
    node.kill();
    CHECK_EQ(uses.ended, uses.begun);
  }
}

Task<> write_file(Env& env) {
  auto file = co_await env.disk().open("kept", OpenMode::kCreate);
  REQUIRE(file);
  CHECK(co_await (*file)->write(0, Buffer::copy("kept")));
}

Task<> read_file(Env& env, std::string& text) {
  auto file = co_await env.disk().open("kept", OpenMode::kRead);
  REQUIRE(file);
  text = (co_await (*file)->read(0, 10))->text();
}

IN_BOTH_WORLDS("a node killed and started anew finds its files, and its address free") {
  Node& node = world.add_node();
  world.run(node, write_file(node.env()));
  auto listener = node.env().network().listen({node.host(), 0});
  REQUIRE(listener);
  const Address address = (*listener)->address();
  listener->reset();
  start_root(node.env(),
             [](Env& env, Address a) -> Task<> {
               const auto held = env.network().listen(a);
               CHECK(held);
               co_await env.sleep(1h);
             }(node.env(), address),
             {});
  world.run_for(2ms);
  CHECK_FALSE(node.env().network().listen(address));
  node.kill();
  Node& next = world.restart(node);
  std::string text;
  world.run(next, read_file(next.env(), text));
  CHECK_EQ(text, "kept");
  CHECK(next.env().network().listen(address));
}

}  // namespace
}  // namespace dogfs::conformance
