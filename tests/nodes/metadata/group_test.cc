// The metadata servers' own group, on whole servers in the simulated world: they join, come back
// without their disks or with damaged ones, are removed, replaced and made to lead, by the calls
// that an operator has.
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
namespace {

constexpr ClusterId kCluster{0xD06};
constexpr uint32_t kFirstServers = 3;

std::string name_of(uint32_t number) { return fmt::format("meta-{}", number); }
Address address_of(uint32_t number) { return {name_of(number), 7001}; }
StoreId first_store(uint32_t number) { return StoreId(100 + number); }

// A server knows the first three; those found the group at their first start.
MetadataNodeOptions options_of(uint32_t number, bool founds) {
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

Task<> serve(Env& env, MetadataNodeOptions options) {
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

Task<> a_fourth_joins(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  for (int i = 0; i < 200; ++i) co_await stage.must_work(fmt::format("/before-{}", i));
  stage.start(4);
  const GroupView view = co_await stage.settled({1, 2, 3, 4});
  CHECK_GT(view.snapshot, LogIndex(0));  // it came by one
  // It is reached although no configuration file names it, and it votes: without it, two of four
  // would be no majority.
  stage.server(view.leader.value == 1 ? 2 : 1).power_off();
  co_await stage.must_work("/after");
}

TEST_CASE("a server with a blank directory joins by itself, by snapshot, and votes") {
  Stage().play(a_fourth_joins);
}

enum class Spoiled { kRotten, kUnreadable, kGone };

void spoil_snapshots(sim::Host& host, Spoiled how) {
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

// While nothing else is written, so that no other snapshot is due.
template <Spoiled how>
Task<> the_leaders_snapshot_is_spoiled(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  for (int i = 0; i < 100; ++i) co_await stage.must_work(fmt::format("/before-{}", i));
  const GroupView view = co_await stage.settled({1, 2, 3});
  CHECK_GT(view.snapshot, LogIndex(0));
  spoil_snapshots(stage.server(view.leader.value), how);
  stage.start(4);
  co_await stage.settled({1, 2, 3, 4});
  CHECK_GT(stage.world.host("meta-4").disk_image().files().size(), 0);
}

TEST_CASE("a leader whose snapshot file is spoiled writes another, and a newcomer gets that") {
  Stage().play(the_leaders_snapshot_is_spoiled<Spoiled::kRotten>);
  Stage().play(the_leaders_snapshot_is_spoiled<Spoiled::kUnreadable>);
  Stage().play(the_leaders_snapshot_is_spoiled<Spoiled::kGone>);
}

Task<> a_disk_is_lost(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  co_await stage.must_work("/before");
  stage.server(3).lose_disk();
  stage.start(3);
  co_await stage.replaced(3);
  stage.server(1).power_off();
  co_await stage.must_work("/after");
  CHECK((co_await stage.client->stat("/before")).has_value());
}

TEST_CASE("a server that lost its disk replaces its former self, and the group is whole again") {
  Stage().play(a_disk_is_lost);
}

// Another machine with a blank directory and the id of a server that runs.
MetadataNodeOptions impostor_options(uint32_t number) {
  MetadataNodeOptions options = options_of(number, false);
  std::erase_if(options.raft.peers,
                [&](const MetadataPeer& peer) { return peer.node == NodeId(number); });
  options.listen = {"impostor", 7001};
  return options;
}

Task<> an_id_is_given_twice(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  sim::Host& impostor = stage.world.add_host("impostor", {});
  impostor.set_main([](Env& env) { return serve(env, impostor_options(3)); });
  impostor.boot();
  for (uint32_t heir : {1, 2, 1, 2}) {  // a new leader has not heard everybody yet
    co_await stage.env->sleep(5s);
    CHECK((co_await stage.admin->transfer(name_of(heir), false)).has_value());
  }
  co_await stage.env->sleep(5s);
  const GroupView view = co_await stage.settled({1, 2, 3});
  CHECK_EQ(stage.store(view, 3), first_store(3));
  // Only when that one is gone does it get the place.
  stage.server(3).power_off();
  co_await stage.replaced(3);
}

TEST_CASE("a blank server with the id of one that runs neither replaces it nor cuts it off") {
  Stage().play(an_id_is_given_twice);
}

// Cuts the leader off from the other first members when it has written that the fourth joins.
struct CutsOff final : metadata::RaftObserver {
  void started(const raft::Core&) override {}
  void stepped(const raft::Core& core) override {
    const raft::Member self = core.self();
    const bool names_fourth = std::ranges::any_of(
        core.configuration().learners, [](const auto& m) { return m.node == NodeId(4); });
    if (!leader && names_fourth && core.role() == raft::Role::kLeader) {
      leader = self.node.value;
      for (uint32_t n = 1; n <= kFirstServers; ++n) link(n, true);
    }
    if (self.node == NodeId(4)) fourth_knows = names_fourth;
  }
  void committed(GroupId, const raft::Member&, const raft::Entry&) override {}
  void applied(GroupId, const raft::Member&, LogIndex, uint64_t) override {}
  void link(uint32_t other, bool cut) {
    if (other == leader) return;
    sim::Host& a = world->host(name_of(leader));
    sim::Host& b = world->host(name_of(other));
    for (auto [from, to] : {std::pair(&a, &b), std::pair(&b, &a)})
      cut ? world->fabric().block(*from, *to) : world->fabric().unblock(*from, *to);
  }

  sim::World* world = nullptr;
  uint32_t leader = 0;  // that was cut off
  bool fourth_knows = false;
};

Task<> an_admission_is_lost(Stage& stage) {
  CutsOff& cuts = *static_cast<CutsOff*>(stage.observer);
  co_await stage.settled({1, 2, 3});
  stage.start(4);
  while (!cuts.fourth_knows) co_await stage.env->sleep(1ms);
  const uint32_t other = cuts.leader % kFirstServers + 1;
  stage.server(cuts.leader).power_off();
  stage.server(other).power_off();
  co_await stage.env->sleep(10s);  // longer than it asks at a time
  stage.start(other);
  co_await stage.env->sleep(3s);  // they elect one who never heard of the fourth
  for (uint32_t n = 1; n <= kFirstServers; ++n) cuts.link(n, false);
  stage.start(cuts.leader);
  co_await stage.settled({1, 2, 3, 4});
}

TEST_CASE("a server whose admission is lost with the leader that wrote it asks the next") {
  CutsOff cuts;
  Stage stage(1, &cuts);
  cuts.world = &stage.world;
  stage.play(an_admission_is_lost);
}

// All but the newest segment of the log, in its middle.
void damage_the_log(sim::Host& host) {
  const auto files = host.disk_image().files();
  const auto log =
      std::ranges::find_if(files, [](const std::string& path) { return path.starts_with("wal/"); });
  REQUIRE(log != files.end());
  REQUIRE(host.disk_image().rot(*log, 300, 3));
}

bool keeps_damaged(sim::Host& host) {
  return std::ranges::any_of(host.disk_image().files(), [](const std::string& path) {
    return path.starts_with("damaged-") && path.find("/wal-") != std::string::npos;
  });
}

Task<> a_log_is_damaged(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  co_await stage.must_work("/before");
  stage.server(2).crash();
  damage_the_log(stage.server(2));
  stage.start(2);
  co_await stage.replaced(2);
  CHECK(keeps_damaged(stage.server(2)));
  stage.server(3).power_off();
  co_await stage.must_work("/after");
}

TEST_CASE(
    "a server with a damaged log keeps it for a person, heals from the others under a new store "
    "id") {
  Stage().play(a_log_is_damaged);
}

Task<> a_log_is_gone(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  co_await stage.must_work("/before");
  sim::Host& host = stage.server(2);
  host.crash();
  for (const std::string& path : host.disk_image().files()) {
    if (path.starts_with("wal/")) CHECK(host.disk_image().remove(path).has_value());
  }
  stage.start(2);
  co_await stage.replaced(2);
  stage.server(3).power_off();
  co_await stage.must_work("/after");
}

TEST_CASE("a server whose log is gone, but not its identity, comes back under a new store id") {
  Stage().play(a_log_is_gone);
}

std::vector<std::string> segments_of(sim::Host& host) {
  auto files = host.disk_image().files();
  std::erase_if(files, [](const std::string& path) { return !path.starts_with("wal/wal-"); });
  return files;
}

// At either end of the log.
Task<> ends_of_the_log_are_gone(Stage& stage) {
  GroupView view = co_await stage.settled({1, 2, 3});
  sim::Host& host = stage.server(2);
  int made = 0;
  for (const bool first : {true, false}) {
    while (segments_of(host).size() < 2)
      co_await stage.must_work(fmt::format("/{}-{}", std::string(200, 'x'), ++made));
    // What was just made holds nothing yet.
    co_await stage.must_work(fmt::format("/last-{}", ++made));
    co_await stage.settled({1, 2, 3});
    host.crash();
    const auto segments = segments_of(host);
    CHECK(host.disk_image().remove(first ? segments.front() : segments.back()).has_value());
    stage.start(2);
    const StoreId former = stage.store(view, 2);
    while (stage.store(view, 2) == former) {
      co_await stage.env->sleep(200ms);
      view = co_await stage.settled({1, 2, 3});
    }
    CHECK(keeps_damaged(host));
  }
  stage.server(3).power_off();
  co_await stage.must_work("/after");
}

TEST_CASE("a server that lost the first or the last file of its log comes back as a new member") {
  Stage(1, nullptr, [](RaftServerOptions& options) {
    options.segment_bytes = 100'000;  // the first goes with the third snapshot or so
    options.snapshot_after_bytes = 40'000;
  }).play(ends_of_the_log_are_gone);
}

// One sector of everything that a start reads.
Task<> sectors_cannot_be_read(Stage& stage) {
  GroupView view = co_await stage.settled({1, 2, 3});
  sim::Host& host = stage.server(2);
  const auto file_in = [&](std::string_view place) {
    const auto files = host.disk_image().files();
    const auto found = std::ranges::find_if(files, [&](const auto& path) {
      return path.starts_with(place) && !path.ends_with("part");
    });
    return found == files.end() ? std::string() : *found;
  };
  int made = 0;
  for (const char* place : {"identity", "wal/wal-", "snapshots/"}) {
    CAPTURE(place);
    do co_await stage.must_work(fmt::format("/before-{}", ++made));
    while (file_in(place).empty());
    host.power_off();
    CHECK(host.disk_image().add_latent_error(file_in(place), 20));
    stage.start(2);
    const StoreId former = stage.store(view, 2);
    while (stage.store(view, 2) == former || !Stage::is_settled(view, {1, 2, 3})) {
      co_await stage.env->sleep(200ms);
      if (host.process()->ended()) {  // whoever supervises it starts it again
        host.crash();
        stage.start(2);
      }
      if (auto now = co_await stage.admin->view()) view = *now;
    }
    CHECK(keeps_damaged(host));
  }
  stage.server(3).power_off();
  co_await stage.must_work("/after");
}

TEST_CASE("a server whose disk cannot read its identity, log or snapshot comes back as new") {
  Stage().play(sectors_cannot_be_read);
}

// The server is killed at the n-th event of its start on a damaged log; then started again.
Task<> heal_after_kill(Stage& stage) {
  co_await stage.replaced(2);
  CHECK(keeps_damaged(stage.server(2)));
}

TEST_CASE(
    "a set-aside that is cut off anywhere ends in a blank directory, never in one that seems "
    "whole") {
  for (uint64_t events = 1; events < 240; events += 7) {
    CAPTURE(events);
    Stage stage(events);
    stage.world.run_for(5s);
    stage.server(2).power_off();
    damage_the_log(stage.server(2));
    stage.start(2);
    for (uint64_t n = 0; n < events; ++n) stage.world.step();
    stage.server(2).power_off();
    stage.start(2);
    stage.play(heal_after_kill);
  }
}

Task<> changes_by_an_operator(Stage& stage) {
  GroupView view = co_await stage.settled({1, 2, 3});
  stage.start(4);
  co_await stage.settled({1, 2, 3, 4});

  const auto dry = co_await stage.admin->change({.add = {}, .remove = "meta-1", .dry_run = true});
  CHECK((dry.has_value() && dry->size() >= 3));
  co_await stage.settled({1, 2, 3, 4});

  CHECK((co_await stage.admin->change({.add = {}, .remove = "meta-1"})).has_value());
  view = co_await stage.settled({2, 3, 4});
  co_await stage.must_work("/without-1");
  // Who was removed stays out, also after a restart, until it is added.
  stage.server(1).crash();
  stage.start(1);
  co_await stage.env->sleep(5s);
  co_await stage.settled({2, 3, 4});
  CHECK((co_await stage.admin->change({.add = address_of(1), .remove = "meta-3"})).has_value());
  co_await stage.settled({1, 2, 4});

  CHECK_EQ((co_await stage.admin->change({.add = {}, .remove = "9"})).error().code,
           Code::kNotFound);
  CHECK_EQ((co_await stage.admin->change({.add = address_of(2), .remove = ""})).error().code,
           Code::kExists);
}

TEST_CASE("an operator adds, removes and replaces servers, and who was removed stays out") {
  Stage().play(changes_by_an_operator);
}

// Cuts a newcomer in its own former place off from the leader that has just written that it joins.
struct CutsNewcomerOff final : metadata::RaftObserver {
  void started(const raft::Core&) override {}
  void stepped(const raft::Core& core) override {
    const auto members = core.configuration().members();
    const auto lives = std::ranges::count(members, NodeId(3), &raft::Member::node);
    if (done || lives < 2 || core.role() != raft::Role::kLeader) return;
    done = true;
    sim::Host& leader = world->host(name_of(core.self().node.value));
    world->fabric().block(leader, world->host(name_of(3)));
    world->fabric().block(world->host(name_of(3)), leader);
  }
  void committed(GroupId, const raft::Member&, const raft::Entry&) override {}
  void applied(GroupId, const raft::Member&, LogIndex, uint64_t) override {}

  sim::World* world = nullptr;
  bool done = false;
};

Task<> a_newcomer_dies(Stage& stage) {
  const CutsNewcomerOff& cuts = *static_cast<CutsNewcomerOff*>(stage.observer);
  const GroupView view = co_await stage.settled({1, 2, 3});
  if (view.leader == NodeId(3))
    CHECK((co_await stage.admin->transfer("meta-1", false)).has_value());
  stage.server(3).lose_disk();
  stage.start(3);
  while (!cuts.done) co_await stage.env->sleep(1ms);
  stage.server(3).power_off();
  co_await stage.env->sleep(5s);
  const auto removed = co_await stage.admin->change({.add = {}, .remove = "meta-3"});
  CHECK_MESSAGE(removed.has_value(), (removed ? "" : removed.error().message));
  co_await stage.settled({1, 2});
}

TEST_CASE("a newcomer that dies in its own former place can be removed") {
  CutsNewcomerOff cuts;
  Stage stage(1, &cuts);
  cuts.world = &stage.world;
  stage.play(a_newcomer_dies);
}

MetadataNodeOptions wrong_address_options() {
  MetadataNodeOptions options = options_of(9, false);
  options.raft.node = NodeId(9);
  options.listen = {"stray", 7001};
  options.advertise = {"stray", 7002};
  return options;
}

Task<> a_stray_asks(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  sim::Host& stray = stage.world.add_host("stray", {});
  stray.set_main([](Env& env) { return serve(env, wrong_address_options()); });
  stray.boot();
  for (int look = 0; look < 20; ++look) {
    co_await stage.env->sleep(500ms);
    const auto view = co_await stage.admin->view();
    CHECK((view && view->members.size() == kFirstServers));
  }
}

TEST_CASE("a server that does not answer where it says to be is not admitted by asking") {
  Stage().play(a_stray_asks);
}

// Cuts the fourth off from all members when the first has written that it joins.
struct CutsFourthOff final : metadata::RaftObserver {
  void started(const raft::Core&) override {}
  void stepped(const raft::Core& core) override {
    const bool joins = std::ranges::any_of(core.configuration().learners,
                                           [](const auto& m) { return m.node == NodeId(4); });
    if (done || !joins) return;
    done = true;
    link(true);
  }
  void committed(GroupId, const raft::Member&, const raft::Entry&) override {}
  void applied(GroupId, const raft::Member&, LogIndex, uint64_t) override {}
  void link(bool cut) {
    sim::Host& fourth = world->host(name_of(4));
    for (uint32_t n = 1; n <= kFirstServers; ++n) {
      sim::Host& other = world->host(name_of(n));
      for (auto [from, to] : {std::pair(&fourth, &other), std::pair(&other, &fourth)})
        cut ? world->fabric().block(*from, *to) : world->fabric().unblock(*from, *to);
    }
  }

  sim::World* world = nullptr;
  bool done = false;
};

bool is_whole_but_for_the_fourth(const GroupView& view) {
  size_t voters = 0;
  for (const GroupMember& member : view.members) {
    if (member.part == "leaving") return false;
    if (member.node == NodeId(3) && member.store == first_store(3)) return false;
    if (member.part == "voter" && member.heard) ++voters;
  }
  return voters == kFirstServers && !view.joint;
}

Task<> a_disk_is_lost_beside_a_silent_newcomer(Stage& stage) {
  const CutsFourthOff& cuts = *static_cast<CutsFourthOff*>(stage.observer);
  co_await stage.settled({1, 2, 3});
  CHECK((co_await stage.admin->transfer("meta-1", false)).has_value());
  stage.start(4);
  while (!cuts.done) co_await stage.env->sleep(1ms);
  stage.server(3).lose_disk();
  stage.start(3);
  bool whole = false;
  for (const Instant end = stage.env->now() + 20s; !whole && stage.env->now() < end;) {
    co_await stage.env->sleep(200ms);
    const auto view = co_await stage.admin->view();
    whole = view && is_whole_but_for_the_fourth(*view);
  }
  CHECK(whole);
  // A plan says who is silent; a removal does not wait for it.
  const GroupAdmin::Change removal{.add = {}, .remove = "meta-3"};
  const auto plan = co_await stage.admin->change({.add = {}, .remove = "meta-3", .dry_run = true});
  CHECK((plan && std::ranges::any_of(*plan, [](const std::string& line) {
           return line.starts_with("meta-4 is to join and cannot be heard");
         })));
  const auto meant = co_await stage.admin->meant(removal);
  CHECK(meant.has_value());
  CHECK((co_await stage.admin->change(removal)).has_value());
  co_await stage.env->sleep(2s);
  const auto view = co_await stage.admin->view();
  CHECK((meant && view && meant->done_in(*view) && view->members.size() == 3));
}

TEST_CASE("a newcomer that nobody reaches stops neither healing nor a removal") {
  CutsFourthOff cuts;
  Stage stage(1, &cuts);
  cuts.world = &stage.world;
  stage.play(a_disk_is_lost_beside_a_silent_newcomer);
}

// It is removed before it learns that it was admitted, and asks on.
Task<> a_newcomer_is_removed(Stage& stage) {
  CutsFourthOff& cuts = *static_cast<CutsFourthOff*>(stage.observer);
  co_await stage.settled({1, 2, 3});
  stage.start(4);
  while (!cuts.done) co_await stage.env->sleep(1ms);
  co_await stage.env->sleep(2s);
  CHECK((co_await stage.admin->change({.add = {}, .remove = "meta-4"})).has_value());
  cuts.link(false);
  for (int look = 0; look < 30; ++look) {
    if (look == 10) {
      const auto now = co_await stage.admin->view();
      const std::string heir = now && now->leader == NodeId(2) ? "meta-1" : "meta-2";
      CHECK((co_await stage.admin->transfer(heir, false)).has_value());
      const auto then = co_await stage.admin->view();
      CHECK((then && name_of(then->leader.value) == heir));
    }
    co_await stage.env->sleep(1s);
    const auto view = co_await stage.admin->view();
    CHECK((view && view->members.size() == kFirstServers));
  }
  CHECK((co_await stage.admin->change({.add = address_of(4), .remove = ""})).has_value());
  co_await stage.settled({1, 2, 3, 4});
  CHECK((co_await stage.admin->change({.add = {}, .remove = "meta-4"})).has_value());
  co_await stage.settled({1, 2, 3});
  stage.server(4).lose_disk();
  stage.start(4);
  co_await stage.settled({1, 2, 3, 4});
}

TEST_CASE(
    "a running newcomer that is removed stays out, under every leader, until it is added or comes "
    "with a new store") {
  CutsFourthOff cuts;
  Stage stage(1, &cuts);
  cuts.world = &stage.world;
  stage.play(a_newcomer_is_removed);
}

// Links between a server and the other two.
void part(Stage& stage, uint32_t number, bool cut) {
  for (uint32_t n = 1; n <= kFirstServers; ++n) {
    if (n == number) continue;
    for (auto [from, to] : {std::pair(number, n), std::pair(n, number)}) {
      sim::Host& a = stage.server(from);
      sim::Host& b = stage.server(to);
      cut ? stage.world.fabric().block(a, b) : stage.world.fabric().unblock(a, b);
    }
  }
}

Task<> look(Client& client, std::string path, std::optional<Code>& found) {
  const auto there = co_await client.stat(std::move(path));
  found = there ? Code::kExists : there.error().code;
}

// One client knows only the leader of before; it asks while that one is paused, and the answer
// comes when it goes on, without having heard of its successor.
Task<> read_from_a_paused_leader(Stage& stage, Nursery& children, Client& reader, Duration pause) {
  children.spawn(reader.run());
  co_await stage.settled({1, 2, 3});
  for (int round = 0; round < 5; ++round) {
    const auto before = co_await stage.admin->view();
    CHECK(before.has_value());
    if (!before) co_return;
    const uint32_t old = before->leader.value;
    CHECK((co_await reader.stat("/")).has_value());
    stage.server(old).process()->pause();
    part(stage, old, true);
    co_await stage.env->sleep(pause);
    const std::string path = fmt::format("/round-{}", round);
    co_await stage.must_work(path);
    std::optional<Code> found;
    children.spawn(look(reader, path, found));
    co_await stage.env->sleep(100ms);
    stage.server(old).process()->resume();
    co_await stage.env->sleep(1s);
    part(stage, old, false);
    while (!found) co_await stage.env->sleep(100ms);
    CHECK_NE(*found, Code::kNotFound);
    co_await stage.settled({1, 2, 3});
  }
}

Task<> leaders_are_paused(Stage& stage) {
  const auto view = co_await stage.settled({1, 2, 3});
  ClientOptions options;
  options.cluster = kCluster;
  options.metadata = {address_of(view.leader.value)};
  Client reader(*stage.env, options);
  co_await nursery(*stage.env, [&](Nursery& children) {
    return read_from_a_paused_leader(stage, children, reader, 2s);
  });
}

TEST_CASE("a leader with a lease that was paused answers no stale read") {
  Stage(1, nullptr, [](RaftServerOptions& raft) {
    raft.lease_drift_percent = 2;
  }).play(leaders_are_paused);
}

// As the member meta-1, and as a server of node 0.
Task<> claim_a_name(Stage& stage, rpc::Client& stranger) {
  proto::JoinGroupRequest join;
  join.mutable_self()->set_name("meta-1");
  join.mutable_self()->set_address("nowhere:1");
  proto::RegisterRequest enter;
  enter.set_kind(static_cast<uint32_t>(placement::NodeKind::kMetadata));
  enter.set_name("meta-1");
  enter.set_store(7);
  enter.set_address("nowhere:1");
  enter.add_disks();
  for (uint32_t number = 1; number <= kFirstServers; ++number) {
    const auto joined = co_await stranger.call(address_of(number), rpc::Method::kJoinGroup,
                                               rpc::serialize(join), 1s);
    CHECK_EQ(joined.error().code, Code::kInvalid);
    const auto entered = co_await stranger.call(address_of(number), rpc::Method::kRegisterNode,
                                                rpc::serialize(enter), 1s);
    const bool redirected = entered.has_value();  // by a follower
    CHECK((redirected || entered.error().is(Code::kDenied)));
  }
  co_await stage.env->sleep(1s);
}

Task<> nobody_speaks(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  rpc::Client stranger(*stage.env,
                       {.cluster = kCluster, .node = {}, .store = {}, .credentials = {}});
  co_await nursery(*stage.env, [&](Nursery& children) {
    children.spawn(stranger.run());
    return claim_a_name(stage, stranger);
  });
  const GroupView view = co_await stage.settled({1, 2, 3});
  for (const GroupMember& member : view.members)
    CHECK_EQ(member.address, address_of(member.node.value).to_string());
}

TEST_CASE("nobody takes a member's name and address by the calls of a server") {
  Stage().play(nobody_speaks);
}

Task<> a_joiner_waits(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  for (uint32_t number : {1, 2}) stage.server(number).power_off();
  for (int i = 0; i < 3; ++i) {
    stage.start(4);
    co_await stage.env->sleep(3s);
    stage.server(4).power_off();
  }
  CHECK(std::ranges::none_of(stage.server(4).disk_image().files(),
                             [](const std::string& path) { return path.starts_with("damaged-"); }));
  for (uint32_t number : {1, 2, 4}) stage.start(number);
  co_await stage.settled({1, 2, 3, 4});
}

TEST_CASE("a server that waits to join may be restarted as often as one likes") {
  Stage().play(a_joiner_waits);
}

Task<> a_change_without_quorum(Stage& stage) {
  const GroupView view = co_await stage.settled({1, 2, 3});
  const uint32_t down = view.leader.value == 3 ? 2 : 3;
  const uint32_t other = 6 - down - view.leader.value;
  stage.server(down).power_off();
  co_await stage.env->sleep(5s);
  for (const bool dry_run : {true, false}) {
    const auto refused =
        co_await stage.admin->change({.add = {}, .remove = name_of(other), .dry_run = dry_run});
    CHECK(!refused.has_value());
    if (refused) co_return;
    CHECK_EQ(refused.error().code, Code::kPrecondition);
    CHECK_NE(refused.error().message.find(name_of(down)), std::string::npos);
  }
  co_await stage.must_work("/still");
  CHECK((co_await stage.admin->change({.add = {}, .remove = name_of(down)})).has_value());
  co_await stage.settled({view.leader.value, other});
}

TEST_CASE("a change that would lose the quorum is refused and says who is silent") {
  Stage().play(a_change_without_quorum);
}

Task<> leadership_moves(Stage& stage) {
  const GroupView before = co_await stage.settled({1, 2, 3});
  const uint32_t heir = before.leader.value % 3 + 1;
  CHECK((co_await stage.admin->transfer(name_of(heir), false)).has_value());
  const GroupView after = co_await stage.settled({1, 2, 3});
  CHECK_EQ(after.leader, NodeId(heir));
  CHECK_EQ(after.term, before.term.next());

  // The leader removes itself.
  CHECK((co_await stage.admin->change({.add = {}, .remove = name_of(heir)})).has_value());
  co_await stage.must_work("/led-by-another");
}

TEST_CASE("leadership goes to whom an operator says, and away from a leader that is removed") {
  Stage().play(leadership_moves);
}

// --- A majority is lost for good ---

// Runs forced recovery on the server's directory, alone, as a person does. What a power loss after
// so many events left is recovered from once more.
Result<Survivor> recovered(Stage& stage, uint32_t number, uint64_t cut_off_after = 0) {
  sim::Host& host = stage.server(number);
  Result<Survivor> result = fail(Code::kUnknown, "not done");
  bool done = false;
  const auto body = [&](Env& env) -> Task<> {
    result = co_await recover_from(env);
    done = true;
  };
  if (cut_off_after > 0) {
    host.set_main(body);
    host.boot();
    for (uint64_t n = 0; n < cut_off_after && !done; ++n) stage.world.step();
    host.power_off();
    done = false;
  }
  host.set_main(body);
  host.boot();
  while (!done) stage.world.step();
  host.power_off();
  return result;
}

void lose_all_but(Stage& stage, uint32_t survivor) {
  for (uint32_t number = 1; number <= kFirstServers; ++number)
    if (number == survivor)
      stage.server(number).power_off();
    else
      stage.server(number).lose_disk();
}

Task<> before_the_loss(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  for (int i = 0; i < 60; ++i) co_await stage.must_work(fmt::format("/before-{}", i));
  co_await stage.settled({1, 2, 3});
}

Task<> after_the_loss(Stage& stage) {
  for (int i = 0; i < 60; ++i)
    CHECK((co_await stage.client->stat(fmt::format("/before-{}", i))).has_value());
  co_await stage.must_work("/after");
  const auto before = co_await stage.client->stat("/before-0");
  const auto after = co_await stage.client->stat("/after");
  CHECK((before && after &&
         incarnation_of(before->attributes.id) < incarnation_of(after->attributes.id)));
  stage.start(1);
  stage.start(3);
  const GroupView view = co_await stage.settled({1, 2, 3});
  CHECK_EQ(stage.store(view, 2), first_store(2));
  CHECK_NE(stage.store(view, 1), first_store(1));
  stage.server(2).power_off();
  co_await stage.must_work("/without-the-survivor");
}

TEST_CASE("one survivor of a lost majority goes on with all that it holds, and others join it") {
  for (uint64_t events = 0; events < 80; events += 3) {
    CAPTURE(events);
    Stage stage(events + 1);
    stage.play(before_the_loss);
    lose_all_but(stage, 2);
    const auto survivor = recovered(stage, 2, events);
    REQUIRE(survivor.has_value());
    CHECK_EQ(survivor->self, raft::Member{NodeId(2), first_store(2)});
    CHECK_GT(survivor->last.index, LogIndex(60));
    stage.start(2);
    stage.play(after_the_loss);
  }
}

TEST_CASE("no majority is made of a directory that is blank or damaged") {
  Stage stage;
  stage.play(before_the_loss);
  lose_all_but(stage, 2);
  CHECK_EQ(recovered(stage, 1).error().code, Code::kNotFound);
  damage_the_log(stage.server(2));
  CHECK_EQ(recovered(stage, 2).error().code, Code::kCorrupt);
}

Task<> snapshots_are_written(Stage& stage) {
  co_await before_the_loss(stage);
  for (int i = 0; i < 100; ++i) co_await stage.must_work(fmt::format("/more-{}", i));
  co_await stage.settled({1, 2, 3});
}

TEST_CASE("no majority is made of a directory whose log stands on a damaged snapshot") {
  for (const Spoiled how : {Spoiled::kRotten, Spoiled::kUnreadable, Spoiled::kGone}) {
    Stage stage;
    stage.play(snapshots_are_written);
    lose_all_but(stage, 2);
    spoil_snapshots(stage.server(2), how);
    const auto survivor = recovered(stage, 2);
    REQUIRE(!survivor.has_value());
    CHECK_EQ(survivor.error().code, Code::kCorrupt);
  }
}

TEST_CASE("to look at a survivor changes nothing on its disk, also behind a torn tail") {
  Stage stage;
  stage.play(before_the_loss);
  lose_all_but(stage, 2);
  sim::Host& host = stage.server(2);
  auto& image = host.disk_image();
  const auto file = image.open(segments_of(host).back(), OpenMode::kWrite);
  REQUIRE(image.write(*file, (*file)->size(), Buffer::copy("a torn tail")));
  image.sync(*file, image.sync_mark(*file));
  const auto contents = [&] {
    std::map<std::string, std::string> bytes;
    for (const auto& path : image.files()) bytes[path] = *image.durable_bytes(path);
    return bytes;
  };
  const auto before = contents();
  Result<Survivor> survivor = fail(Code::kUnknown, "not done");
  host.set_main([&](Env& env) -> Task<> { survivor = co_await inspect_survivor(env); });
  host.boot();
  stage.world.run_for(5s);
  host.power_off();
  CHECK(survivor.has_value());
  CHECK((contents() == before));
}

void set_full(Stage& stage, std::set<uint32_t> numbers, bool full) {
  for (const uint32_t number : numbers) {
    auto& image = stage.server(number).disk_image();
    const uint64_t used = image.capacity() - image.space().free_bytes;
    image.set_capacity(full ? used : uint64_t{1} << 30);
  }
}

Task<> all_disks_fill_up(Stage& stage) {
  co_await stage.settled({1, 2, 3});
  for (int i = 0; i < 30; ++i) co_await stage.must_work(fmt::format("/before-{}", i));
  set_full(stage, {1}, true);
  for (int i = 0; i < 30; ++i) co_await stage.must_work(fmt::format("/one-is-full-{}", i));
  set_full(stage, {2, 3}, true);
  // Until the log needs more space nobody knows.
  std::optional<Error> refused;
  for (int i = 0; i < 100 && !refused; ++i) {
    const auto made =
        co_await stage.client->make_directory(fmt::format("/full-{}", i), false, std::nullopt);
    if (!made) refused = made.error();
  }
  REQUIRE(refused);
  CHECK_EQ(refused->code, Code::kNoSpace);
  for (int i = 0; i < 30; ++i) {
    CHECK((co_await stage.client->stat(fmt::format("/before-{}", i))).has_value());
    CHECK((co_await stage.client->remove(fmt::format("/before-{}", i), false)).has_value());
  }
  // Also under another leader: votes go to the reserve, too.
  const GroupView view = co_await stage.settled({1, 2, 3});
  CHECK(std::ranges::count_if(view.members, &GroupMember::short_of_space) >= 2);
  stage.server(view.leader.value).crash();
  CHECK((co_await stage.client->stat("/one-is-full-0")).has_value());
  CHECK((co_await stage.client->remove("/one-is-full-0", false)).has_value());
  CHECK_EQ((co_await stage.client->make_directory("/no", false, std::nullopt)).error().code,
           Code::kNoSpace);
  set_full(stage, {1, 2, 3}, false);
  co_await stage.env->sleep(2s);
  co_await stage.must_work("/after");
  stage.start(view.leader.value);
  co_await stage.settled({1, 2, 3});
  co_await stage.must_work("/all");
}

TEST_CASE(
    "full disks: reads and removals go on in reserved space, and growth when there is space") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Stage(seed).play(all_disks_fill_up);
  }
}

}  // namespace
}  // namespace dogfs::nodes
