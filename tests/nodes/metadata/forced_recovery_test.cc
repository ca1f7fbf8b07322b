// A majority of the metadata servers is lost for good: one survivor is made the whole group.
#include "tests/nodes/metadata/group_stage.h"

#include "tests/doctest.h"

namespace dogfs::nodes {
namespace {

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

}  // namespace
}  // namespace dogfs::nodes
