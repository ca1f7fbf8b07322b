// What small files that were refused leave behind in a pack.
#include "tests/nodes/small_files.h"

#include "tests/doctest.h"

namespace dogfs::nodes::testing {

TEST_CASE("the bytes of packed puts that a quota refused go with the next compaction") {
  constexpr int kRefused = 5;
  LocalCluster cluster({.block_bytes = 4 * limits::kMiB, .inline_bytes = kInline, .pack = true});
  const std::string kept = pattern(5'000, 1);
  REQUIRE(cluster.run([&](Env&, Client& client) -> Task<> {
    MemorySource source(kept);
    CHECK((co_await client.put("/kept", source, {})).has_value());
    for (int i = 0; i < kRefused; ++i) {
      const std::string directory = fmt::format("/full-{}", i);
      CHECK((co_await client.make_directory(directory, false, {})).has_value());
      CHECK((co_await client.set_quota(directory, {.bytes = 0, .entries = {}})).has_value());
      MemorySource refused(pattern(9'000, 2));
      const auto put = co_await client.put(directory + "/f", refused, {});
      CHECK((!put && put.error().is(Code::kNoSpace)));
    }
  }));
  cluster.world.run_for(60s);
  auto counters = cluster.metadata.machine.counters();
  CHECK_EQ(counters.pack_bytes, kept.size() + kRefused * 9'000u);
  CHECK_EQ(counters.packed_bytes, kept.size());
  REQUIRE_EQ(cluster.metadata.machine.sparse_blocks({}, 10).size(), 1u);

  cluster.metadata.compacts = true;
  cluster.world.run_for(120s);
  counters = cluster.metadata.machine.counters();
  CHECK_EQ(counters.pack_bytes, kept.size());
  CHECK_EQ(counters.packed_bytes, kept.size());
  CHECK_EQ(counters.garbage_blocks, 0u);
  CHECK_EQ(cluster.shards_on_disks(), 6u);
  CHECK((read(cluster, "/kept") == kept));
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  for (const auto& [node, compacted] : cluster.metadata.compacted) {
    blocks += compacted.blocks;
    bytes += compacted.bytes;
  }
  CHECK_EQ(blocks, 1u);
  CHECK_EQ(bytes, kept.size());
  check_sound(cluster);
}

}  // namespace dogfs::nodes::testing
