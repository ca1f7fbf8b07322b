#pragma once
// DiskImage: what one host's disk holds, over all incarnations of its processes: files, directories
// and what of both is durable. Pure: no time passes here, every operation happens at once, and
// randomness comes from the caller. SimDisk gives it time and failures.
//
// Two views of each directory: the current one, which operations see, and the durable one. Changes
// of names are volatile until their directory is synced; power loss keeps a prefix of each
// directory's changes. A rename is one change, also between two directories. Syncing a file says
// nothing about its name.
//
// Paths are relative to the root, with '/', without empty, "." or ".." components. Errors are
// those of core/env/disk.h.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/env/disk.h"
#include "sim/world/disk_content.h"
#include "sim/world/disk_faults.h"

namespace dogfs::sim {

class DiskImage {
 public:
  using Content = std::shared_ptr<DiskContent>;  // an open file: it lives on when its name is gone

  explicit DiskImage(uint64_t capacity_bytes);
  ~DiskImage();
  DiskImage(const DiskImage&) = delete;
  DiskImage& operator=(const DiskImage&) = delete;

  // Files.
  Result<Content> open(const std::string& path, OpenMode mode);
  Result<Buffer> read(const Content& file, uint64_t offset, size_t length);
  Result<void> write(const Content& file, uint64_t offset, Buffer bytes);
  // The bytes land somewhere else: in another durable file or elsewhere in this one, as drawn.
  Result<void> write_misdirected(const Content& file, uint64_t offset, Buffer bytes,
                                 Random& random);
  Result<void> truncate(const Content& file, uint64_t size);
  // What a sync that begins now must cover; sync() is its end.
  uint64_t sync_mark(const Content& file) const { return file->mark(); }
  void sync(const Content& file, uint64_t mark) { file->sync(mark, counts_); }
  void fail_sync(const Content& file, uint64_t mark, Random& random);

  // Names.
  Result<void> rename(const std::string& from, const std::string& to);
  Result<void> remove(const std::string& path);
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) const;
  Result<void> make_directory(const std::string& path);
  uint64_t directory_mark() const { return next_change_; }
  Result<void> sync_directory(const std::string& directory, uint64_t mark);
  Space space() const;

  // Endings.
  // A process was killed: what it had written is in the page cache and stays. Pages that a failed
  // sync had dropped may leave it.
  void process_crash(Random& random);
  void power_loss(Random& random);
  void wipe();

  // Faults. Each returns false when there was nothing to spoil.
  void set_capacity(uint64_t bytes) { capacity_bytes_ = bytes; }
  uint64_t capacity() const { return capacity_bytes_; }
  void evict(const Content& file) { file->evict(counts_); }
  bool add_latent_error(const std::string& path, uint64_t offset);
  bool rot(const std::string& path, uint64_t offset, uint32_t bit);
  // A sector of a random file, among durable bytes.
  bool add_random_latent_error(Random& random);
  bool rot_random(Random& random);
  // A bit of a random file below `directory`, among the first half of its durable bytes: behind it
  // stands something that says it had been durable.
  bool rot_early(std::string_view directory, Random& random);

  // For oracles and tests: the paths of all files now, sorted; a file's durable bytes (null when
  // there is no such file).
  std::vector<std::string> files() const;
  const std::string* durable_bytes(const std::string& path) const;
  // The durable view: what is left if power is lost now and nothing volatile survives. The paths of
  // its files, and one of them (null when it has no such name).
  std::vector<std::string> durable_paths() const;
  const DiskContent* find_durable(std::string_view path) const;
  DiskFaultCounts& counts() { return counts_; }
  const DiskFaultCounts& counts() const { return counts_; }

 private:
  struct Directory;
  struct Entry {
    Content file{};  // either of the two
    std::shared_ptr<Directory> directory{};
  };
  using Names = std::map<std::string, Entry>;
  struct Directory {
    Names current;
    Names durable;
  };
  // One change of names. A rename has both sides; a creation only `to`, a removal only `from`.
  struct Change {
    uint64_t number = 0;
    std::shared_ptr<Directory> from{};
    std::string from_name{};
    std::shared_ptr<Directory> to{};
    std::string to_name{};
    Entry entry{};
  };
  struct Place {
    std::shared_ptr<Directory> directory{};
    std::string name;
  };

  Result<std::shared_ptr<Directory>> find_directory(std::string_view path) const;
  Result<Place> find_place(const std::string& path) const;
  const Entry* find(const std::string& path) const;
  Result<void> charge(const Content& file, uint64_t new_size);
  void change(Change change);
  static void apply(const Change& change, Names Directory::* view);
  void settle(Directory& directory);
  template <class F>
  void for_each_file(const Directory& directory, const std::string& prefix, F&& f) const;
  static void add_durable_paths(const Directory& directory, const std::string& prefix,
                                std::vector<std::string>& paths);
  std::vector<Content> durable_files(std::string_view prefix = "") const;

  uint64_t capacity_bytes_;
  uint64_t used_bytes_ = 0;  // of the current view
  std::shared_ptr<Directory> root_;
  std::vector<Change> changes_;  // not durable yet, in order
  uint64_t next_change_ = 0;
  DiskFaultCounts counts_;
};

}  // namespace dogfs::sim
