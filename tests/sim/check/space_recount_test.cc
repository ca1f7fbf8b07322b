// The figures of space, and how long packs are sparse, against forged counters and times.
#include "sim/check/space_recount.h"

#include "sim/check/compaction_watch.h"

#include "tests/sim/check/forged_packs.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

using metadata::Counters;

// Of everything that counts as stored: a file and its copy, one in its inode, garbage, an upload, a
// pack that is open and one that was converted and has its logs still.
struct Stored : ForgedPacks {
  Stored() {
    put("/f", 1077);
    done(ask(metadata::Copy{.from = "/f", .to = "/copy", .version = {}}));
    done(ask(metadata::PutInline{.path = "/i", .policy = {}, .content = "0123456789"}));
    put("/garbage", 500);
    done(ask(metadata::Remove{.path = "/garbage"}));
    (void)allocate(start("/upload"), 300);
    const auto sealed = open_pack();
    pack("/a", sealed, 0, 100);
    done(seal(sealed, 1001));
    convert(sealed);
    pack("/b", open_pack(1), 5, 200);
  }
  SpaceRecount recount() const { return recount_space(state.tables()); }
  uint64_t root_bytes() const { return state.tables().use(metadata::kRootDirectory).bytes; }
  uint64_t differences(const Counters& told, uint64_t file_bytes) const {
    Violations violations;
    check_recount(recount(), told, file_bytes, violations);
    return violations.count(Oracle::kSpace);
  }
};

TEST_CASE("what the metadata count of space is what the rows say") {
  const Stored fs;
  const Counters told = fs.state.counters();
  CHECK_EQ(fs.differences(told, fs.root_bytes()), 0u);
  const SpaceRecount counted = fs.recount();
  CHECK_EQ(counted.file_bytes, 2 * 1077 + 10 + 100 + 200u);
  CHECK_EQ(counted.block_bytes, 1077 + 1001u);
  CHECK_EQ(counted.pack_bytes, 1001u);
  CHECK_EQ(counted.packed_bytes, 300u);
  CHECK_EQ(counted.placed_bytes, 6 * (270 + 75 + 251u));
  CHECK_GT(counted.garbage_bytes, 6 * 125u);  // and the logs of the pack
}

TEST_CASE("each figure of space that is a byte off is found") {
  const Stored fs;
  uint64_t Counters::* const figures[] = {&Counters::placed_bytes, &Counters::garbage_bytes,
                                          &Counters::block_bytes, &Counters::pack_bytes,
                                          &Counters::packed_bytes};
  for (uint64_t Counters::* const figure : figures) {
    Counters told = fs.state.counters();
    ++(told.*figure);
    CHECK_EQ(fs.differences(told, fs.root_bytes()), 1u);
  }
  CHECK_EQ(fs.differences(fs.state.counters(), fs.root_bytes() - 1), 1u);
}

TEST_CASE("a pack that stays sparse is found, and one that is compacted in time is not") {
  ForgedPacks fs;
  const auto block = fs.open_pack();
  fs.pack("/a", block, 0, 499);
  const auto recount = [&] { return recount_space(fs.state.tables()); };
  CompactionWatch watch;
  const auto found = [&](Duration since) {
    Violations violations;
    watch.judge(Instant(since), violations);
    return violations.count(Oracle::kSpace);
  };
  watch.look(recount(), Instant(1s));
  CHECK_EQ(found(100s), 0u);  // it is open
  fs.done(fs.seal(block, 1000));
  fs.convert(block);
  watch.look(recount(), Instant(1s));
  CHECK_EQ(found(100s), 0u);  // its logs are still there
  fs.delete_all();
  watch.look(recount(), Instant(2s));
  watch.look(recount(), Instant(9s));
  CHECK_EQ(found(1s), 0u);
  CHECK_EQ(found(2s), 1u);
  // Half of it is enough.
  fs.done(fs.ask(metadata::Copy{.from = "/a", .to = "/copy", .version = {}}));
  watch.look(recount(), Instant(10s));
  CHECK_EQ(found(100s), 0u);
  // From then on, when it is sparse again.
  fs.done(fs.ask(metadata::Remove{.path = "/copy"}));
  fs.done(fs.lead(metadata::RemoveStep{.limit = 10}));
  watch.look(recount(), Instant(11s));
  CHECK_EQ(found(10s), 0u);
  CHECK_EQ(found(11s), 1u);
  // Its last bytes go elsewhere.
  const auto to = fs.open_pack(1);
  const auto file = fs.state.stat("/a").value();
  fs.done(fs.lead(metadata::MovePacked{.file = {file.home, file.id},
                                       .from = block.block.block,
                                       .from_offset = 0,
                                       .length = 499,
                                       .pack = to.file,
                                       .block = to.block.block,
                                       .block_offset = 0}));
  watch.look(recount(), Instant(12s));
  CHECK_EQ(found(100s), 0u);
}

}  // namespace
}  // namespace dogfs::sim
