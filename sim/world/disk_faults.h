#pragma once
// What can go wrong on a simulated disk, and how often it did. A fault is counted as injected when
// it is planted, and as having taken effect when the node could tell: an error was returned, wrong
// bytes were read, something unsynced is gone. A run whose faults take no effect tests nothing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace dogfs::sim {

enum class DiskFault : uint8_t {
  kReadError,         // EIO on one read
  kWriteError,        // EIO on one write, of which any part may have happened
  kSyncError,         // EIO on one sync; unsynced pages become clean without having been written
  kMetadataError,     // EIO on one operation on names
  kNoSpace,           // the disk was full
  kLostWrite,         // an unsynced write, gone after power loss
  kTornWrite,         // a write cut short by a crash, or unsynced and partly gone after power loss
  kLostEntry,         // an unsynced change of a directory, gone after power loss
  kDroppedPages,      // bytes that a failed sync dropped, gone from the page cache, too
  kLatentError,       // a sector that cannot be read any more
  kBitRot,            // a bit that flipped and stays so
  kMisdirectedWrite,  // a write that reached another place of the disk
  kStall,             // the disk answered nothing for a time
  kSlow,              // the disk was slower than it should be
  kLostDisk,          // everything gone for good
  kDeadDisk,          // one of several, of which every operation fails from then on
};
inline constexpr size_t kDiskFaultKinds = 16;

// Its name in reports: "torn_write".
std::string_view disk_fault_name(DiskFault fault);

class DiskFaultCounts {
 public:
  struct Count {
    uint64_t injected = 0;
    uint64_t took_effect = 0;
    bool operator==(const Count&) const = default;
  };

  void inject(DiskFault fault, uint64_t times = 1) { at(fault).injected += times; }
  void take_effect(DiskFault fault, uint64_t times = 1) { at(fault).took_effect += times; }
  void happen(DiskFault fault) {
    inject(fault);
    take_effect(fault);
  }
  const Count& operator[](DiskFault fault) const { return counts_[static_cast<size_t>(fault)]; }
  void add(const DiskFaultCounts& other);
  bool operator==(const DiskFaultCounts&) const = default;

 private:
  Count& at(DiskFault fault) { return counts_[static_cast<size_t>(fault)]; }
  std::array<Count, kDiskFaultKinds> counts_;
};

}  // namespace dogfs::sim
