// What becomes of a metadata server, and of its group, when a disk loses, spoils or cannot read
// what it holds, or is full.
#include "tests/nodes/metadata/group_stage.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

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
    co_await stage.env->sleep(1s);  // until the log stands on it
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
