// Bits of append logs flip on the disks of chunk servers, and nobody reads them: the scrub finds it
// as long as others have the bytes, and these become shards.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/chunk/append_file.h"
#include "core/namespace/invariants.h"
#include "nodes/client/appender.h"

#include "tests/nodes/local_cluster.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {
namespace {

constexpr size_t kRecords = 20;
constexpr size_t kRecordBytes = 5'000;

class LogWorld {
 public:
  explicit LogWorld(uint64_t seed = 1)
      : cluster({.seed = seed,
                 .scrub = {.bytes_per_second = 4 * limits::kMiB,
                           .delay = 1s,
                           .every = 10s,
                           .logs_every = 2s}}) {
    cluster.metadata.hands_out_appends = true;
    cluster.metadata.falsify = [this](metadata::Operation& operation) {
      if (const auto* fix = std::get_if<metadata::FixAppend>(&operation)) holders = fix->holders;
    };
    for (uint64_t i = 0; i < kRecords; ++i) bytes_ += pattern(kRecordBytes, i);
    REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
      auto appender = co_await client.open_append("/log", {});
      REQUIRE(appender.has_value());
      for (size_t i = 0; i < kRecords; ++i)
        CHECK((co_await (*appender)->append(
                   Buffer::copy(bytes_.substr(i * kRecordBytes, kRecordBytes))))
                  .has_value());
    }));
    for (int number = 1; number <= 6; ++number)
      for (const auto& path : cluster.chunk(number).disk_image().files())
        if (path.ends_with(".append")) replicas.emplace_back(number, path);
    REQUIRE_EQ(replicas.size(), 3u);
    cluster.world.run_for(1s);  // what a batch still needs to be proven
  }

  void rot(size_t replica, uint64_t byte) {
    const auto& [number, path] = replicas.at(replica);
    REQUIRE(cluster.chunk(number).disk_image().rot(path, byte, 3));
  }
  // Appends one more record, and the power of a server is cut when the block is to be sealed.
  void append_and_power_off(int number) {
    cluster.metadata.falsify = [this, number](metadata::Operation& operation) {
      const auto* fix = std::get_if<metadata::FixAppend>(&operation);
      if (fix != nullptr && holders.empty()) holders = fix->holders;
      if (std::holds_alternative<metadata::BeginSeal>(operation) && cluster.chunk(number).up())
        cluster.chunk(number).power_off();
    };
    append_one();
  }
  void append_one() {
    bytes_ += pattern(kRecordBytes, kRecords);
    REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
      auto appender = co_await client.open_append("/log", {});
      REQUIRE(appender.has_value());
      const auto last = Buffer::copy(bytes_.substr(kRecords * kRecordBytes));
      CHECK((co_await (*appender)->append(last)).has_value());
    }));
  }
  // Of the chunk server that has the replica with that index.
  size_t replica_of(uint32_t wanted) const {
    size_t replica = 0;
    while (index(replica) != wanted) ++replica;
    return replica;
  }
  uint32_t index(size_t replica) const {
    const std::string& path = replicas.at(replica).second;
    return chunk::parse_append_file_name(path.substr(path.rfind('/') + 1))->shard;
  }
  bool damaged() const {
    const auto blocks = cluster.metadata.machine.append_blocks({}, 1);
    return !blocks.empty() && blocks[0].damaged;
  }
  bool found() const { return cluster.metadata.lost > 0; }
  bool converted() const { return cluster.metadata.machine.append_blocks({}, 1).empty(); }
  bool run_until(bool (LogWorld::*reached)() const, Duration limit) {
    const Instant end = cluster.world.now() + limit;
    while (!(this->*reached)() && cluster.world.now() < end) cluster.world.run_for(100ms);
    return (this->*reached)();
  }
  void check_file() {
    MemorySink sink;
    REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
      const auto got = co_await client.get("/log", sink, {});
      CHECK_MESSAGE(got.has_value(), (got ? "" : got.error().message));
    }));
    CHECK((sink.bytes == bytes_));
  }
  // Converted, right, and at full width.
  void check_settled() {
    check_file();
    CHECK_EQ(cluster.metadata.machine.counters().blocks_below_full_width, 0u);
    const auto sound = metadata::check_invariants(cluster.metadata.machine);
    CHECK_MESSAGE(sound.has_value(), (sound ? "" : sound.error().message));
  }

  LocalCluster cluster;
  std::vector<std::pair<int, std::string>> replicas;  // chunk server and file
  std::vector<uint32_t> holders;                      // as the block was sealed

 private:
  std::string bytes_;
};

// In the header, in the first batch's, in an entry's, among the bytes of the last one.
constexpr uint64_t kPlaces[] = {10, chunk::kAppendHeaderBytes + 6, chunk::kAppendHeaderBytes + 20,
                                chunk::kAppendHeaderBytes + kRecords* kRecordBytes};

TEST_CASE("a damaged replica of an open block is found with nobody reading, and it is sealed") {
  uint64_t seed = 0;
  for (size_t replica = 0; replica < 3; ++replica)
    for (const uint64_t place : kPlaces) {
      CAPTURE(replica);
      CAPTURE(place);
      LogWorld world(++seed);
      CHECK_FALSE(world.found());
      world.rot(replica, place);
      CHECK(world.run_until(&LogWorld::found, 6s));
      // Much earlier than it would be for want of records.
      CHECK(world.run_until(&LogWorld::converted, 15s));
      CHECK_EQ(world.holders.size(), 2u);
      CHECK_EQ(std::ranges::count(world.holders, world.index(replica)), 0);
      world.check_settled();
    }
}

TEST_CASE("a replica that is damaged while its server is down is found when it is back") {
  for (size_t replica = 0; replica < 3; ++replica) {
    CAPTURE(replica);
    LogWorld world(20 + replica);
    sim::Host& host = world.cluster.chunk(world.replicas[replica].first);
    host.crash();
    world.rot(replica, chunk::kAppendHeaderBytes + 20);
    host.boot();
    CHECK(world.run_until(&LogWorld::found, 8s));
    CHECK(world.run_until(&LogWorld::converted, 20s));
    world.check_settled();
  }
}

TEST_CASE("when too few others are left to say how long the block is, damaged replicas say it") {
  LogWorld world(30);
  world.rot(0, chunk::kAppendHeaderBytes + 100);
  world.rot(1, chunk::kAppendHeaderBytes + kRecords * kRecordBytes);
  CHECK(world.run_until(&LogWorld::found, 6s));
  CHECK(world.run_until(&LogWorld::converted, 15s));
  world.check_settled();
}

TEST_CASE("a damaged replica that is shorter catches up when too few others are left") {
  LogWorld world(31);
  world.cluster.metadata.hands_out_appends = false;
  world.rot(world.replica_of(2), chunk::kAppendHeaderBytes + 20);
  CHECK(world.run_until(&LogWorld::found, 6s));
  const int second = world.replicas.at(world.replica_of(1)).first;
  world.append_and_power_off(second);
  world.cluster.metadata.hands_out_appends = true;
  world.cluster.world.run_for(30s);
  CHECK((world.holders == std::vector<uint32_t>{0, 2}));
  world.check_file();
  world.cluster.boot_all();
  CHECK(world.run_until(&LogWorld::converted, 60s));
  world.check_file();
}

// The last record is on two servers. One is away, the other's rots, is found, and cut off at the
// next start as if it had never been whole.
TEST_CASE(
    "what a damaged replica says after a restart does not end a block that others know more of") {
  for (uint64_t seed = 32; seed < 36; ++seed) {
    LogWorld world(seed);
    world.cluster.metadata.hands_out_appends = false;
    const auto server = [&](uint32_t index) -> sim::Host& {
      return world.cluster.chunk(world.replicas.at(world.replica_of(index)).first);
    };
    server(2).power_off();
    world.append_one();
    server(0).power_off();
    world.rot(world.replica_of(1), chunk::kAppendHeaderBytes + kRecords * kRecordBytes + 4'000);
    CHECK(world.run_until(&LogWorld::found, 6s));
    server(1).power_off();
    server(1).boot();
    server(2).boot();
    world.cluster.world.run_for(5s);
    MemorySink sink;
    REQUIRE(world.cluster.run([&](Env&, Client& client) -> Task<> {
      CHECK_FALSE((co_await client.get("/log", sink, {})).has_value());
    }));
    CHECK(world.holders.empty());
    server(0).boot();
    world.check_file();
  }
}

TEST_CASE("a damaged replica of a sealed block is known, and others are converted from") {
  for (size_t replica = 0; replica < 3; ++replica) {
    CAPTURE(replica);
    LogWorld world(40 + replica);
    for (int number = 1; number <= 6; ++number) {
      const auto has = [&](const auto& each) { return each.first == number; };
      if (!std::ranges::any_of(world.replicas, has)) world.cluster.chunk(number).power_off();
    }
    world.cluster.world.run_for(45s);
    const auto& machine = world.cluster.metadata.machine;
    REQUIRE_FALSE(world.converted());
    REQUIRE_EQ(machine.append_blocks({}, 1)[0].state, metadata::LocatedState::kSealed);
    REQUIRE_EQ(machine.locate("/log", {})->blocks.at(0).shards.size(), 3u);
    world.rot(replica, chunk::kAppendHeaderBytes + 3'000);
    CHECK(world.run_until(&LogWorld::damaged, 6s));
    CHECK_EQ(machine.locate("/log", {})->blocks.at(0).shards.size(), 2u);
    world.check_file();
    world.cluster.boot_all();
    CHECK(world.run_until(&LogWorld::converted, 60s));
    world.check_settled();
  }
}

}  // namespace
}  // namespace dogfs::nodes::testing
