#pragma once
// DirectoryLock: keeps a directory for one process: whoever starts servers holds that of their
// cluster. (A server's data directory is locked by net.) The kernel gives it up when the process
// ends, however that happens.

#include <filesystem>

#include "core/base/error.h"

namespace dogfs::tool {

class DirectoryLock {
 public:
  // kUnavailable when another process holds it; kNotFound, kDenied, kIo.
  static Result<DirectoryLock> take(const std::filesystem::path& directory);
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;
  ~DirectoryLock();

 private:
  explicit DirectoryLock(int fd) : fd_(fd) {}

  int fd_;  // -1: moved away
};

}  // namespace dogfs::tool
