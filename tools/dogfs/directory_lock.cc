#include "tools/dogfs/directory_lock.h"

#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "tools/dogfs/system_error.h"

namespace dogfs::tool {

Result<DirectoryLock> DirectoryLock::take(const std::filesystem::path& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno(errno, directory.string());
  DirectoryLock lock(fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK)
    return fail(Code::kUnavailable, "{} is in use by another dogfs process", directory.string());
  return fail_errno(errno, directory.string());
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

DirectoryLock::~DirectoryLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace dogfs::tool
