#pragma once
// DiskGuard: stands between one data directory and the disk below it. It tells its owner when an
// operation fails as those of a dying disk do, and, once the owner has given the disk up, refuses
// everything at once, so that nothing waits for a dead disk. Owned by Disks; outlives the files
// opened through it. One thread.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/env/disk.h"

namespace dogfs::chunk {

class DiskGuard final : public Disk {
 public:
  // `on_trouble` is called at each error that a sound disk does not give.
  DiskGuard(Disk& disk, std::function<void()> on_trouble)
      : disk_(disk), on_trouble_(std::move(on_trouble)) {}

  // From here on every operation is refused with kIo.
  void give_up() { given_up_ = true; }
  // The disk itself, for whoever wants to know whether it works.
  Disk& disk() { return disk_; }

  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override;
  Task<Result<void>> rename(std::string from, std::string to) override;
  Task<Result<void>> remove(std::string path) override;
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) override;
  Task<Result<void>> make_directory(std::string path) override;
  Task<Result<void>> sync_directory(std::string directory) override;
  Task<Result<Space>> space() override;

 private:
  class GuardedFile;
  // kMustWork: only a lack of space is no trouble; kMayFail: only an input or output error is.
  enum class Kind : uint8_t { kMustWork, kMayFail };
  template <class T>
  Task<Result<T>> guarded(Kind kind, Task<Result<T>> operation);

  Disk& disk_;
  const std::function<void()> on_trouble_;
  bool given_up_ = false;
};

}  // namespace dogfs::chunk
