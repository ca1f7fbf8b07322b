#pragma once
// DiskContent: the bytes of one file of a simulated disk, without its name. Below lies the pristine
// durable image; above it, in order, the changes that no sync has covered yet (the page cache),
// which readers see and power loss may take.
//
// Power loss works as on a real machine: of the changes to one sector any prefix survives, each
// sector for itself; changes of length survive as a prefix of their own, as in a journal; bytes
// beyond a length that was lost are lost; where a length survived without its bytes there are
// zeros.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "sim/world/disk_faults.h"

namespace dogfs::sim {

class DiskContent {
 public:
  static constexpr uint64_t kSectorBytes = 512;

  uint64_t size() const { return size_; }
  // Whether it has a name now; one that has none takes no space.
  bool linked() const { return linked_; }
  void set_linked(bool linked) { linked_ = linked; }
  // Up to `length` bytes, fewer at the end. kIo where a sector is unreadable.
  Result<Buffer> read(uint64_t offset, size_t length, DiskFaultCounts& counts) const;
  void write(uint64_t offset, Buffer bytes);
  // On its way to the platter the write goes to `target` at `target_offset` instead. Readers of
  // the page cache see nothing of it before the next sync.
  void write_misdirected(uint64_t offset, Buffer bytes, std::weak_ptr<DiskContent> target,
                         uint64_t target_offset);
  void truncate(uint64_t size);

  // Names all changes made so far, for a sync that begins now and ends later.
  uint64_t mark() const { return first_change_ + changes_.size(); }
  // Makes the changes up to the mark durable.
  void sync(uint64_t mark, DiskFaultCounts& counts);
  // A sync that fails: a random part of the changes up to the mark became durable, the rest is
  // clean in the page cache although it was never written; a later sync ignores it.
  void fail_sync(uint64_t mark, Random& random, DiskFaultCounts& counts);
  // Clean pages leave the page cache: what a failed sync dropped shows as it is on the platter.
  bool has_dropped_pages() const;
  void evict(DiskFaultCounts& counts);
  void power_loss(Random& random, DiskFaultCounts& counts);

  // Faults of the platter. Writing over the place mends it.
  void add_latent_error(uint64_t offset) { unreadable_.insert(offset / kSectorBytes); }
  // The offset must lie within the durable bytes.
  void rot(uint64_t offset, uint32_t bit);
  const std::string& durable() const { return durable_; }
  // Some of it is not what was synced, by a fault that nothing has mended.
  bool spoiled() const { return !unreadable_.empty() || !rotten_.empty() || !misdirected_.empty(); }

 private:
  enum class Kind : uint8_t { kWrite, kTruncate, kGrow };
  struct Change {
    Kind kind;
    uint64_t offset;  // kTruncate: the new size; kGrow: the size it is at least
    Buffer bytes;
    bool dropped = false;  // by a failed sync: visible, but clean
    bool misdirected = false;
    std::weak_ptr<DiskContent> target{};
    uint64_t target_offset = 0;

    uint64_t end() const { return offset + bytes.size(); }
  };
  struct Outcome;  // of a power loss

  void make_durable(const Change& change, DiskFaultCounts& counts);
  void put_durable(uint64_t offset, ByteView bytes);
  void resize_durable(uint64_t size);
  void note_misdirected(uint64_t offset, uint64_t length);
  bool masked(uint64_t sector) const;
  Outcome draw_outcome(Random& random) const;
  void count_losses(const Outcome& outcome, DiskFaultCounts& counts) const;
  std::string replay_sector(uint64_t sector, size_t writes_kept, size_t lengths_kept) const;
  uint64_t replay_size(size_t lengths_kept) const;

  std::string durable_;
  std::vector<Change> changes_;
  uint64_t first_change_ = 0;  // the number of changes_[0]
  uint64_t size_ = 0;          // as readers see it
  bool linked_ = false;
  std::set<uint64_t> unreadable_;  // sectors
  std::set<uint64_t> rotten_;      // bytes
  // Bytes of misdirected writes, on both sides: which did not arrive, and which were written over.
  std::set<uint64_t> misdirected_;
};

}  // namespace dogfs::sim
