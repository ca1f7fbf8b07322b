#pragma once
// The metadata servers' own group, on whole servers in the simulated world, with an operator who
// has the calls that operators have: what the tests of the group play on.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "core/env/nursery.h"
#include "core/proto/cluster.pb.h"
#include "core/proto/metadata.pb.h"
#include "core/rpc/client.h"
#include "core/rpc/message_codec.h"
#include "nodes/client/client.h"
#include "nodes/client/group_admin.h"
#include "nodes/metadata/forced_recovery.h"
#include "nodes/metadata/metadata_node.h"
#include "sim/world/disk_content.h"
#include "sim/world/disk_image.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/process.h"
#include "sim/world/world.h"

#include "tests/doctest.h"

namespace dogfs::nodes {

inline constexpr ClusterId kCluster{0xD06};
inline constexpr uint32_t kFirstServers = 3;

inline std::string name_of(uint32_t number) { return fmt::format("meta-{}", number); }
inline Address address_of(uint32_t number) { return {name_of(number), 7001}; }
inline StoreId first_store(uint32_t number) { return StoreId(100 + number); }

// A server knows the first three; those found the group at their first start.
inline MetadataNodeOptions options_of(uint32_t number, bool founds) {
  MetadataNodeOptions options;
  options.listen = address_of(number);
  options.founding.policy = *placement::Policy::parse("rep-1");
  options.raft.node = NodeId(number);
  options.raft.cluster = kCluster;
  options.raft.snapshot_after_bytes = 4'000;
  options.raft.tail_entries = 10;
  options.raft.reserve_bytes = 64 * limits::kKiB;
  Bootstrap bootstrap{.store = first_store(number), .voters = {}};
  for (uint32_t n = 1; n <= kFirstServers; ++n) {
    options.raft.peers.push_back({NodeId(n), name_of(n), address_of(n)});
    bootstrap.voters.push_back({NodeId(n), first_store(n)});
  }
  if (founds) options.raft.bootstrap = std::move(bootstrap);
  return options;
}

inline Task<> serve(Env& env, MetadataNodeOptions options) {
  MetadataNode node(env, std::move(options));
  const auto ended = co_await node.run();
  if (!ended) env.log().warning("ends: {}", ended.error());
}

// The world, its servers, and an operator on a machine of his own.
struct Stage {
  using Script = Task<> (*)(Stage&);

  using Tune = void (*)(RaftServerOptions&);

  explicit Stage(
      uint64_t seed = 1, metadata::RaftObserver* watches = nullptr,
      Tune tune = [](RaftServerOptions&) {})
      : world(seed), observer(watches), tuned(tune) {
    for (uint32_t number = 1; number <= kFirstServers; ++number) start(number);
  }

  sim::Host& server(uint32_t number) { return world.host(name_of(number)); }
  // A new machine, or one that is down. `founds` only at the first start of all.
  void start(uint32_t number) {
    const bool known = std::ranges::any_of(
        world.hosts(), [&](const auto& host) { return host->name() == name_of(number); });
    sim::Host& host = known ? server(number) : world.add_host(name_of(number), {});
    auto options = options_of(number, !known && number <= kFirstServers);
    options.raft.observer = observer;
    tuned(options.raft);
    host.set_main([options](Env& env) { return serve(env, options); });
    host.boot();
  }

  void play(Script script, Duration limit = std::chrono::minutes(5)) {
    bool finished = false;
    sim::Host& host = world.add_host(fmt::format("operator-{}", ++plays), {});
    host.set_main([&](Env& e) { return operate(e, script, finished); });
    host.boot();
    const Instant end = world.now() + limit;
    while (!finished && world.now() < end) world.run_for(100ms);
    CHECK(finished);
  }

  Task<> operate(Env& e, Script script, bool& finished) {
    env = &e;
    ClientOptions options;
    options.cluster = kCluster;
    for (uint32_t n = 1; n <= kFirstServers; ++n) options.metadata.push_back(address_of(n));
    options.metadata.push_back(address_of(4));
    client.emplace(e, options);
    admin.emplace(e, options.metadata, kCluster);
    co_await nursery(e, [&](Nursery& children) { return beside(children, script); });
    admin.reset();
    client.reset();
    finished = true;
  }
  Task<> beside(Nursery& children, Script script) {
    children.spawn(client->run());
    children.spawn(admin->run());
    co_await script(*this);
  }

  // Waits until the group is at rest and consists of these nodes, all voting, none far behind.
  Task<GroupView> settled(std::set<uint32_t> nodes) {
    for (;;) {
      const auto view = co_await admin->view();
      if (view && is_settled(*view, nodes)) co_return *view;
      co_await env->sleep(200ms);
    }
  }
  // The same, when a new member has taken the place of the one that this server was at first.
  Task<GroupView> replaced(uint32_t number) {
    for (;;) {
      const GroupView view = co_await settled({1, 2, 3});
      if (store(view, number) != first_store(number)) co_return view;
      co_await env->sleep(200ms);
    }
  }
  static bool is_settled(const GroupView& view, std::set<uint32_t> nodes) {
    const bool all = std::ranges::all_of(view.members, [&](const GroupMember& member) {
      return member.part == "voter" && member.heard && !member.name.empty() &&
             nodes.erase(member.node.value) == 1 && member.match >= view.commit;
    });
    return all && nodes.empty() && view.settled();
  }
  Task<> must_work(std::string path) {
    const auto made = co_await client->make_directory(path, false, std::nullopt);
    CHECK_MESSAGE(made.has_value(), path);
  }
  StoreId store(const GroupView& view, uint32_t node) {
    const auto found = std::ranges::find(view.members, NodeId(node), &GroupMember::node);
    return found == view.members.end() ? StoreId() : found->store;
  }

  sim::World world;
  metadata::RaftObserver* observer;
  Tune tuned;
  int plays = 0;
  Env* env = nullptr;
  std::optional<Client> client;
  std::optional<GroupAdmin> admin;
};

// All but the newest segment of the log, in its middle.
inline void damage_the_log(sim::Host& host) {
  const auto files = host.disk_image().files();
  const auto log =
      std::ranges::find_if(files, [](const std::string& path) { return path.starts_with("wal/"); });
  REQUIRE(log != files.end());
  REQUIRE(host.disk_image().rot(*log, 300, 3));
}

enum class Spoiled { kRotten, kUnreadable, kGone };

inline void spoil_snapshots(sim::Host& host, Spoiled how) {
  auto& image = host.disk_image();
  for (const std::string& path : image.files()) {
    if (!path.starts_with("snapshots/") || path.ends_with("part")) continue;
    switch (how) {
      case Spoiled::kRotten: CHECK(image.rot(path, 300, 1)); break;
      case Spoiled::kUnreadable: CHECK(image.add_latent_error(path, 300)); break;
      case Spoiled::kGone: CHECK(image.remove(path).has_value()); break;
    }
  }
}

inline std::vector<std::string> segments_of(sim::Host& host) {
  auto files = host.disk_image().files();
  std::erase_if(files, [](const std::string& path) { return !path.starts_with("wal/wal-"); });
  return files;
}

}  // namespace dogfs::nodes
