// Kills whole metadata servers, and a client, at every event of a short run of three: election,
// operations on the namespace, a snapshot that is written, and one that is sent. Meant for the
// address sanitizer; which servers may live through it is the concern of other tests.
#include <memory>
#include <optional>

#include "core/env/nursery.h"
#include "nodes/client/client.h"
#include "nodes/metadata/metadata_node.h"
#include "nodes/metadata/raft_observer.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

#include "tests/kill/copy.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

constexpr uint32_t kServers = 3;
constexpr ClusterId kCluster{77};
constexpr uint16_t kPort = 7000;
constexpr uint64_t kEventsPerLeakCheck = 16;  // each takes longer than a kill

std::string server_name(uint32_t number) { return fmt::format("meta-{}", number); }

// How far each server's state has got.
class Progress final : public metadata::RaftObserver {
 public:
  void started(const raft::Core&) override {}
  void stepped(const raft::Core& core) override {
    snapshots = std::max(snapshots, core.log().snapshot().last.index);
  }
  void committed(GroupId, const raft::Member&, const raft::Entry&) override {}
  void applied(GroupId, const raft::Member& member, LogIndex index, uint64_t) override {
    LogIndex& at = of[member.node];
    if (index > at.next()) restored = member.node;
    at = index;
  }

  LogIndex snapshots;  // the newest
  NodeId restored;     // the last that took a snapshot from another
  std::map<NodeId, LogIndex> of;
};

MetadataNodeOptions node_options(uint32_t number, Progress& progress) {
  constexpr uint64_t kStores = 100;
  MetadataNodeOptions options{.raft = {},
                              .listen = {server_name(number), kPort},
                              .founding = {.policy = *placement::Policy::parse("rep-1")},
                              .liveness = {},
                              .expiry = {},
                              .deletion = {}};
  options.raft.node = NodeId(number);
  options.raft.cluster = kCluster;
  options.raft.snapshot_after_bytes = 200;
  options.raft.tail_entries = 0;
  options.raft.observer = &progress;
  Bootstrap birth{StoreId(kStores + number), {}};
  for (uint32_t peer = 1; peer <= kServers; ++peer) {
    options.raft.peers.push_back({NodeId(peer), server_name(peer), {server_name(peer), kPort}});
    birth.voters.push_back({NodeId(peer), StoreId(kStores + peer)});
  }
  options.raft.bootstrap = std::move(birth);
  return options;
}

Task<> server_main(Env& env, MetadataNodeOptions options) {
  MetadataNode node(env, std::move(options));
  auto ended = co_await node.run();
  env.log().error("the metadata server ends: {}", ended.error());
}

// What the client of the run does, and with what outcome.
struct Outcome {
  bool done = false;
  std::optional<Error> failure;
};

Task<Result<void>> use_namespace(Client& client) {
  CO_TRY_VOID(co_await client.make_directory("/a/b", true, std::nullopt));
  CO_TRY_VOID(co_await client.make_directory("/c", false, std::nullopt));
  CO_TRY_VOID(co_await client.rename("/a/b", "/c/b"));
  CO_TRY(listing, co_await client.list("/c", "", 10));
  CHECK_EQ(listing.listing.entries.size(), 1);
  CO_TRY_VOID(co_await client.stat("/c/b"));
  CO_TRY_VOID(co_await client.remove("/c", true));
  CO_TRY_VOID(co_await client.make_directory("/d", false, std::nullopt));
  co_return Result<void>();
}

Task<> use(Nursery& children, Client& client, Outcome& outcome) {
  children.spawn(client.run());
  auto used = co_await use_namespace(client);
  outcome.done = true;
  if (!used) outcome.failure = used.error();
}

Task<> client_main(Env& env, Outcome& outcome) {
  ClientOptions options;
  for (uint32_t i = 1; i <= kServers; ++i) options.metadata.push_back({server_name(i), kPort});
  Client client(env, options);
  co_await nursery(env, [&](Nursery& children) { return use(children, client, outcome); });
}

// Two servers elect a leader and serve a client; the third begins late and is sent a snapshot.
struct Trio {
  Trio() {
    for (uint32_t i = 1; i <= kServers; ++i) {
      sim::Host& host = world.add_host(server_name(i), {});
      host.set_main([options = node_options(i, progress)](Env& env) mutable {
        auto task = server_main(env, options);
        options.raft.bootstrap.reset();
        return task;
      });
      servers.push_back(&host);
    }
    servers[0]->boot();
    servers[1]->boot();
    client.set_main([this](Env& env) { return client_main(env, outcome); });
    client.boot();
  }

  // Nothing is left to do.
  bool over() const {
    const auto third = progress.of.find(NodeId(kServers));
    return outcome.done && third != progress.of.end() && third->second >= progress.of.at(NodeId(1));
  }
  void go_on() {
    if (outcome.done && !servers[2]->up()) servers[2]->boot();
    REQUIRE(world.step());
  }

  Progress progress;
  Outcome outcome;
  sim::World world{11};
  std::vector<sim::Host*> servers;
  sim::Host& client = world.add_host("client", {});
};

TEST_CASE("what is killed below: elections, operations, a snapshot that is written and sent") {
  Trio trio;
  while (!trio.over()) trio.go_on();
  MESSAGE(trio.world.events(), " events");
  REQUIRE_MESSAGE(!trio.outcome.failure, trio.outcome.failure->message);
  CHECK(trio.progress.snapshots > LogIndex(0));
  CHECK_EQ(trio.progress.restored, NodeId(kServers));
}

// Kills a host here, lets the others go on, boots it again, and ends the world while all are busy.
// Says what is wrong with that.
std::string kill_here(std::unique_ptr<Trio>& trio, sim::Host& victim, bool power) {
  constexpr Duration kLittle = std::chrono::milliseconds(20);
  sim::Process& killed = *victim.process();
  power ? victim.power_off() : victim.crash();
  if (killed.live_tasks() != 0) return fmt::format("{} frames live on", killed.live_tasks());
  trio->world.run_for(kLittle);
  victim.boot();
  trio->world.run_for(kLittle);
  for (auto* server : trio->servers)
    if (server->up() && server->process()->ended()) return server->name() + " ended by itself";
  trio.reset();
  return "";
}

TEST_CASE("a server or client may be killed at any event, and its world may end there") {
  auto trio = std::make_unique<Trio>();
  int complaints = 0;
  for (; !trio->over() && complaints < 5; trio->go_on()) {
    const uint64_t event = trio->world.events();
    for (const auto& host : trio->world.hosts()) {
      if (!host->up()) continue;
      const bool power = (event + host->id()) % 2 == 0;
      const auto complaint = testing::in_copy([&] { return kill_here(trio, *host, power); },
                                              event % kEventsPerLeakCheck == 0);
      CHECK_MESSAGE(complaint.empty(), host->name(), " killed at event ", event, ": ", complaint);
      complaints += complaint.empty() ? 0 : 1;
    }
  }
}

}  // namespace
}  // namespace dogfs::nodes
