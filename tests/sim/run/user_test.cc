#include "sim/run/user.h"

#include <algorithm>

#include "core/env/nursery.h"
#include "sim/run/cluster.h"
#include "sim/run/raft_watch.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

Task<> look_often(Env& env, User& user) {
  co_await env.sleep(10s);  // the cluster forms
  for (int i = 0; i < 20; ++i) {
    Operation stat;
    stat.act = Act::kStat;
    stat.path = "/none";
    co_await user.perform(std::move(stat), {});
  }
}

Task<> main_of(Env& env, World& world, Cluster& cluster, Record& record) {
  nodes::Client client(env, cluster.client_options());
  User user(world, env, client, record);
  co_await nursery(env, [&](Nursery& children) {
    children.spawn(client.run());
    return look_often(env, user);
  });
}

TEST_CASE("every refusal that a server pronounced names its position, also when none moved it") {
  World world(1);
  Violations violations;
  RaftWatch watch(world, violations);
  const ClusterShape shape;
  Cluster cluster(world, shape, watch);
  Record record;
  Host& host = world.add_host("reader", {});
  host.set_main([&](Env& env) { return main_of(env, world, cluster, record); });
  cluster.start();
  host.boot();
  world.run_until(Instant(20s));
  for (const auto& each : world.hosts()) each->destroy();

  const auto& told = record.history.operations();
  REQUIRE_EQ(told.size(), 20);
  for (const Operation& stat : told) {
    CHECK(stat.code == Code::kNotFound);
    CHECK(stat.position > LogIndex());
  }
  CHECK(std::ranges::adjacent_find(told, {}, &Operation::position) != told.end());
}

}  // namespace
}  // namespace dogfs::sim
