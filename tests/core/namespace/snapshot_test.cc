#include <string>

#include "core/base/coding.h"

#include "tests/core/namespace/cluster_fixture.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

ClusterFixture busy_cluster() {
  ClusterFixture fs(8);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(fs.make_directory(fmt::format("/d{}", i)).has_value());
    REQUIRE(fs.put(fmt::format("/d{}/f", i), {10, 20}).has_value());
  }
  REQUIRE(fs.write("/d1/open", {10}).has_value());
  REQUIRE(fs.remove("/d2", true).has_value());
  REQUIRE(fs.remove("/d3/f").has_value());
  fs.set_state(4, placement::NodeState::kDead);
  return fs;
}

std::vector<std::string> pieces_of(const Snapshot& snapshot, size_t bytes_max) {
  std::vector<std::string> pieces;
  std::string position;
  while (auto piece = snapshot.next_piece(position, bytes_max)) pieces.push_back(*piece);
  return pieces;
}

Result<> restore(StateMachine& machine, const std::vector<std::string>& pieces) {
  auto restore = machine.begin_restore();
  for (const auto& piece : pieces) TRY_VOID(restore.add(piece));
  return restore.finish();
}

TEST_CASE("a restored state equals the frozen one, whatever the size of the pieces") {
  auto fs = busy_cluster();
  for (const size_t bytes : {1u, 100u, 5000u, 1'000'000u}) {
    const auto copy = copy_through_snapshot(fs.machine, bytes);
    REQUIRE(copy.has_value());
    CHECK_EQ(copy->digest(), fs.machine.digest());
    CHECK_EQ(copy->applied(), fs.machine.applied());
    CHECK((copy->counters() == fs.machine.counters()));
    CHECK((copy->cluster_map() == fs.machine.cluster_map()));
    CHECK((copy->settings() == fs.machine.settings()));
    CHECK((copy->uploads({}, 10) == fs.machine.uploads({}, 10)));
    CHECK((copy->sessions({}, 10) == fs.machine.sessions({}, 10)));
    CHECK((copy->garbage({}, 10) == fs.machine.garbage({}, 10)));
    CHECK_EQ(copy->removal_pending(), fs.machine.removal_pending());
    CHECK(check_invariants(*copy).has_value());
  }
}

TEST_CASE("pieces keep to their bound") {
  auto fs = busy_cluster();
  const auto pieces = pieces_of(fs.machine.freeze(), 2000);
  CHECK_GT(pieces.size(), 3u);
  for (const auto& piece : pieces) CHECK_LE(piece.size(), 2000u);
}

TEST_CASE("a frozen state does not see later commands") {
  auto fs = busy_cluster();
  const auto before = fs.machine.digest();
  const Snapshot snapshot = fs.machine.freeze();
  for (int i = 0; i < 20; ++i) (void)fs.remove(fmt::format("/d{}", i), true);
  (void)fs.lead(RemoveStep{.limit = 1000});
  StateMachine copy;
  REQUIRE(restore(copy, pieces_of(snapshot, 500)).has_value());
  CHECK_EQ(copy.digest(), before);
  CHECK_NE(fs.machine.digest(), before);
}

TEST_CASE("a state that is being restored stands still until the restore is finished") {
  auto fs = busy_cluster();
  ClusterFixture other;
  REQUIRE(other.make_directory("/mine").has_value());
  auto restore = other.machine.begin_restore();
  for (const auto& piece : pieces_of(fs.machine.freeze(), 1000))
    REQUIRE(restore.add(piece).has_value());
  const auto before = other.machine.digest();
  REQUIRE(restore.complete().has_value());
  CHECK_EQ(other.machine.digest(), before);
  CHECK(other.machine.stat("/mine").has_value());
  REQUIRE(restore.finish().has_value());
  CHECK_EQ(other.machine.digest(), fs.machine.digest());
  CHECK(check_invariants(other.machine).has_value());
}

TEST_CASE("an empty state can be frozen and restored") {
  StateMachine blank;
  const auto pieces = pieces_of(blank.freeze(), 100);
  CHECK_EQ(pieces.size(), 1u);
  StateMachine copy;
  REQUIRE(restore(copy, pieces).has_value());
  CHECK_EQ(copy.digest(), blank.digest());
}

TEST_CASE("a session survives in a snapshot: a retry is applied once") {
  ClusterFixture fs;
  const Command command{.client = fs.client,
                        .request = RequestId(1),
                        .acknowledged_below = RequestId(1),
                        .wall = {},
                        .operation = MakeDirectory{.path = "/a", .parents = false, .policy = {}}};
  const auto answer = fs.apply(command);
  auto copy = copy_through_snapshot(fs.machine, 1000);
  REQUIRE(copy.has_value());
  CHECK((copy->apply(fs.index.next(), command) == answer));
}

TEST_CASE("a missing, doubled, damaged or foreign piece leaves the state as it was") {
  auto fs = busy_cluster();
  const auto pieces = pieces_of(fs.machine.freeze(), 1000);
  ClusterFixture other;
  const auto before = other.machine.digest();
  const auto refused = [&](auto change) {
    auto broken = pieces;
    change(broken);
    const auto outcome = restore(other.machine, broken);
    CHECK_EQ(other.machine.digest(), before);
    REQUIRE_FALSE(outcome.has_value());
    return outcome.error().code;
  };
  using Pieces = std::vector<std::string>;
  CHECK_EQ(refused([](Pieces& p) { p.pop_back(); }), Code::kCorrupt);
  CHECK_EQ(refused([](Pieces& p) { p.clear(); }), Code::kCorrupt);
  CHECK_EQ(refused([](Pieces& p) { p.insert(p.begin() + 1, p[1]); }), Code::kCorrupt);
  CHECK_EQ(refused([](Pieces& p) { p[1].pop_back(); }), Code::kCorrupt);
  CHECK_EQ(refused([](Pieces& p) { p[0][0] = 2; }), Code::kUnsupported);
  CHECK_EQ(refused([](Pieces& p) { p[0].resize(5); }), Code::kCorrupt);
  const auto row = [](std::string_view key, std::string_view value) {
    return Encoder().text(key).text(value).bytes();
  };
  const std::string high(8, '\xff');
  CHECK_EQ(refused([&](Pieces& p) { p.push_back(row(high + "Z", "x")); }), Code::kUnsupported);
  CHECK_EQ(refused([&](Pieces& p) { p.push_back(row(high + "A", "\x03")); }), Code::kUnsupported);
  CHECK_EQ(refused([&](Pieces& p) { p.push_back(row(high + "A", "\x02")); }), Code::kCorrupt);
  CHECK(restore(other.machine, pieces).has_value());
  CHECK_EQ(other.machine.digest(), fs.machine.digest());
}

}  // namespace
}  // namespace dogfs::metadata
