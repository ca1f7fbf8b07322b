#include "sim/world/disk_faults.h"

namespace dogfs::sim {
namespace {

constexpr std::array<std::string_view, kDiskFaultKinds> kNames = {
    "read_error", "write_error", "sync_error",    "metadata_error", "no_space", "lost_write",
    "torn_write", "lost_entry",  "dropped_pages", "latent_error",   "bit_rot",  "misdirected_write",
    "stall",      "slow",        "lost_disk",     "dead_disk"};

}  // namespace

std::string_view disk_fault_name(DiskFault fault) { return kNames[static_cast<size_t>(fault)]; }

void DiskFaultCounts::add(const DiskFaultCounts& other) {
  for (size_t i = 0; i < kDiskFaultKinds; ++i) {
    counts_[i].injected += other.counts_[i].injected;
    counts_[i].took_effect += other.counts_[i].took_effect;
  }
}

}  // namespace dogfs::sim
