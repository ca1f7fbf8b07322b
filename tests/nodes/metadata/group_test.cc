// Who belongs to the metadata servers' group: they join, come back, are removed, replaced and made
// to lead, by themselves or by an operator.
#include "tests/nodes/metadata/group_stage.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

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

}  // namespace
}  // namespace dogfs::nodes
