#pragma once
// DiskModel: how the disk of one host behaves, over all incarnations of its processes: how long
// operations take, which of them fail, and whether the disk answers at all. Whoever plans faults
// turns these knobs; SimDisk obeys them. Bytes and names are DiskImage's affair.

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/base/random.h"
#include "core/base/time.h"
#include "sim/world/disk_faults.h"

namespace dogfs::sim {

enum class DiskOperation : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kTruncate,
  kSize,
  kRename,
  kRemove,
  kList,
  kMakeDirectory,
  kSyncDirectory,
  kSpace,
};

struct DiskTiming {
  Duration access = std::chrono::microseconds(60);
  Duration sync = std::chrono::microseconds(400);
  uint64_t bytes_per_second = 500'000'000;
  uint32_t parallelism = 8;  // operations under way at the device
};

// Chances per operation, in millionths.
struct DiskFaultRates {
  uint32_t read_error = 0;
  uint32_t write_error = 0;
  uint32_t sync_error = 0;
  uint32_t metadata_error = 0;
  uint32_t misdirected_write = 0;
};

class DiskModel {
 public:
  // Called when the operation it waits for is about to happen: it may crash the host, fill the
  // disk or do nothing. False fails the operation with EIO.
  using Trap = std::function<bool()>;

  explicit DiskModel(Random random, DiskTiming timing = {});

  void set_rates(DiskFaultRates rates) { rates_ = rates; }
  // Each operation takes so many times as long.
  void set_slow_factor(uint32_t factor);
  // A directory at the root stands for a disk of its own. From now on all operations on files below
  // it fail, until revive(): the host got another disk.
  void kill_below(std::string directory) { dead_.insert(std::move(directory)); }
  void revive() { dead_.clear(); }
  bool is_dead(std::string_view path) const;
  bool any_dead() const { return !dead_.empty(); }
  // Nothing completes before `when` (kNever: a hung disk). An earlier instant ends a stall.
  void stall_until(Instant when);

  // Operations that have happened, over all incarnations.
  uint64_t operations() const { return operations_; }
  // Springs at the nth operation from now (1: the next one), once.
  void set_trap(uint64_t nth, Trap trap);
  void fail_nth(uint64_t nth) {
    set_trap(nth, [] { return false; });
  }
  void clear_trap() { trap_ = nullptr; }
  bool trap_is_set() const { return trap_ != nullptr; }

  // For SimDisk.
  struct Fate {
    bool happens = true;
    bool misdirected = false;
  };
  const DiskTiming& timing() const { return timing_; }
  Duration draw_cost(DiskOperation operation, uint64_t bytes, DiskFaultCounts& counts);
  Instant stalled_until() const { return stalled_until_; }
  // Counts an operation; false if the trap failed it.
  bool spring_trap();
  Fate draw_fate(DiskOperation operation);
  Random& random() { return fault_random_; }
  // The disk under way, which must hear when a stall ends.
  void set_listener(std::function<void()> changed) { changed_ = std::move(changed); }

 private:
  DiskTiming timing_;
  DiskFaultRates rates_;
  uint32_t slow_factor_ = 1;
  std::set<std::string, std::less<>> dead_;
  Instant stalled_until_{};
  uint64_t operations_ = 0;
  uint64_t trap_at_ = 0;
  Trap trap_;
  std::function<void()> changed_;
  Random timing_random_;
  Random fault_random_;
};

}  // namespace dogfs::sim
