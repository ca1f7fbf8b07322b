#pragma once
// FileDisk: the disk of a process: files below its data directory, each call a job on the disk
// pool. Jobs own the bytes and the open file they work on, so a File may be destroyed while they
// run; not longer than the disk lives, which counts what they sync.

#include <memory>
#include <string>

#include "core/env/compute.h"
#include "core/env/disk.h"
#include "net/root_directory.h"

namespace dogfs::net {

class FileDisk final : public Disk {
 public:
  FileDisk(std::shared_ptr<RootDirectory> root, Operations& operations, Compute& pool)
      : root_(std::move(root)), operations_(operations), pool_(pool) {}

  Task<Result<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override;
  Task<Result<void>> rename(std::string from, std::string to) override;
  Task<Result<void>> remove(std::string path) override;
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory) override;
  Task<Result<void>> make_directory(std::string path) override;
  Task<Result<void>> sync_directory(std::string directory) override;
  Task<Result<Space>> space() override;

  // Of files and directories, begun so far.
  uint64_t syncs() const { return syncs_; }

 private:
  template <class F>
  Task<std::invoke_result_t<F>> perform(F call) {
    return offload(operations_, pool_, 0, std::move(call));
  }

  std::shared_ptr<RootDirectory> root_;
  Operations& operations_;
  Compute& pool_;
  uint64_t syncs_ = 0;
};

}  // namespace dogfs::net
