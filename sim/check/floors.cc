#include "sim/check/floors.h"

#include <functional>

namespace dogfs::sim {

namespace {

// About a third of what a thousand drawn seeds give, so that a fault that is hardly drawn any more,
// or does nothing, is noticed. ".effect" counts what changed something somebody saw.
constexpr Floor kFloors[] = {
    {"operations.done", 300'000},
    {"operations.unknown", 1'000},
    {"elections", 2'000},
    {"search_operations", 400'000},
    {"availability_judged_s", 6'000},
    {"stability_judged_s", 1'500},
    {"restarts_judged", 2'000},
    {"invariants_checked", 5'000},
    {"sessions_expired", 130},
    {"leases_expired", 10},
    {"lasting", 180},
    {"log_damaged", 40},
    {"transfers", 1'500},
    {"members_added", 300},
    {"members_removed", 300},
    {"members_replaced", 200},
    {"operator_unknown", 50},
    {"membership_changes", 2'500},
    {"census_shards", 150'000},
    {"inline_puts", 10'000},
    {"packed_puts", 7'000},
    {"pack_moves", 180},
    {"packs_compacted", 120},
    {"blocks_deduplicated", 1'500},
    {"block_digests", 6'000},
    {"blocks_disowned", 40},
    {"space_used", 20'000},
    {"cuts", 2'900},
    {"joins", 1'800},
    {"full_refusals", 1'000},
    {"attributes_set", 2'800},
    {"labels_set", 1'500},
    {"puts_over_version", 1'900},
    {"other_version_refusals", 45},
    {"recoveries", 2'000},
    {"log_entries", 300'000},
    {"gets_rebuilt", 4'000},
    {"final_files_checked", 5'000},
    {"appends", 80'000},
    {"append_reads", 10'000},
    {"appends_unknown", 150},
    {"census_logs", 3'000},
    {"shards_lost", 350},
    {"logs_lost", 50},
    {"snapshots_restored", 800},
    {"snapshots_received", 50},
    {"kill", 1'000},
    {"kill_in_disk_operation", 200},
    {"power_loss", 3'000},
    {"power_loss_in_disk_operation", 500},
    {"pause", 500},
    {"partition", 900},
    {"partition_one_way", 300},
    {"partition.effect", 40'000},
    {"clog", 500},
    {"clog.effect", 50'000},
    {"reset", 2'000},
    {"reset.effect", 30'000},
    {"connection_timeout", 1'000},
    {"disk_errors", 300},
    {"disk_full", 100},
    {"disk_slow", 300},
    {"disk.slow.effect", 40'000},
    {"disk_stall", 300},
    {"disk.stall.effect", 800},
    {"disk.read_error.effect", 40},
    {"disk.write_error.effect", 400},
    {"disk.sync_error.effect", 100},
    {"disk.metadata_error.effect", 300},
    {"disk.no_space.effect", 350},
    {"disk.lost_write.effect", 900},
    {"disk.torn_write.effect", 90},
    {"disk.lost_entry.effect", 100},
    {"disk.dropped_pages.effect", 30},
    {"disk.latent_error.effect", 900},
    {"disk.bit_rot.effect", 600},
    {"disk.misdirected_write.effect", 15},
    {"disk.lost_disk.effect", 100},
    {"lost_disk", 70},
    {"dead_disk", 60},
    {"disk.dead_disk.effect", 300},
    {"wall_clock", 300},
};

constexpr Floor kCeilings[] = {{"search_undecided", 20}};

template <class Breaks>
std::vector<Shortfall> outside(std::span<const Floor> bounds, const Tally& tally, uint64_t seeds,
                               Breaks breaks) {
  std::vector<Shortfall> outside;
  if (seeds < kFloorSeedsMin) return outside;
  for (const Floor& bound : bounds) {
    const auto found = tally.find(bound.figure);
    const uint64_t reached = found == tally.end() ? 0 : found->second;
    const uint64_t demanded = bound.per_thousand_seeds * seeds / 1000;
    if (breaks(reached, demanded)) outside.push_back({bound.figure, reached, demanded});
  }
  return outside;
}

}  // namespace

std::span<const Floor> floors() { return kFloors; }
std::span<const Floor> ceilings() { return kCeilings; }

std::vector<Shortfall> below_floors(const Tally& tally, uint64_t seeds) {
  return outside(floors(), tally, seeds, std::less<>());
}

std::vector<Shortfall> above_ceilings(const Tally& tally, uint64_t seeds) {
  return outside(ceilings(), tally, seeds, std::greater<>());
}

}  // namespace dogfs::sim
