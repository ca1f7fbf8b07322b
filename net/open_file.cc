#include "net/open_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/limits.h"
#include "core/env/disk.h"

namespace dogfs::net {
namespace {

constexpr uint64_t kWriteBackBytes = 4 * limits::kMiB;

Code code_of(int error) {
  switch (error) {
    case ENOENT: return Code::kNotFound;
    case EEXIST:
    case ENOTEMPTY: return Code::kExists;
    case ENOSPC:
    case EDQUOT: return Code::kNoSpace;
    case EINVAL:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EFBIG:
    case ELOOP: return Code::kInvalid;
    default: return Code::kIo;
  }
}

}  // namespace

std::unexpected<Error> system_failure(int error, std::string_view act, std::string_view path) {
  const char* reason = strerrordesc_np(error);
  return fail(code_of(error), "{} {}: {}", act, path, reason != nullptr ? reason : "unknown error");
}

OpenFile::~OpenFile() { close(descriptor_); }

Result<Buffer> OpenFile::read(uint64_t offset, size_t length) const {
  TRY_VOID(check_disk_range(offset, length));
  MutableBuffer into(length);
  size_t done = 0;
  while (done < length) {
    const ssize_t count =
        pread(descriptor_, into.data() + done, length - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure(errno, "read", path_);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  into.truncate(done);
  return std::move(into).freeze();
}

std::optional<Buffer> OpenFile::read_cached(uint64_t offset, size_t length) const {
  if (!check_disk_range(offset, length)) return std::nullopt;
  MutableBuffer into(length);
  size_t done = 0;
  while (done < length) {
    const iovec piece{into.data() + done, length - done};
    const ssize_t count =
        preadv2(descriptor_, &piece, 1, static_cast<off_t>(offset + done), RWF_NOWAIT);
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  into.truncate(done);
  return std::move(into).freeze();
}

Result<void> OpenFile::write(uint64_t offset, Buffer bytes) const {
  TRY_VOID(check_disk_range(offset, bytes.size()));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = pwrite(descriptor_, bytes.data() + done, bytes.size() - done,
                                 static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure(errno, "write", path_);
    done += static_cast<size_t>(count);
  }
  // An error of what it begins shows at the sync, which every writer does.
  if ((written_bytes_ += done) >= kWriteBackBytes) {
    written_bytes_ = 0;
    sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
  }
  return {};
}

Result<void> OpenFile::sync() const {
  // Not repeated after any error: the kernel may have dropped the pages that it could not write.
  if (fdatasync(descriptor_) != 0) return system_failure(errno, "sync", path_);
  return {};
}

Result<void> OpenFile::truncate(uint64_t size) const {
  TRY_VOID(check_disk_range(size, 0));
  while (ftruncate(descriptor_, static_cast<off_t>(size)) != 0)
    if (errno != EINTR) return system_failure(errno, "truncate", path_);
  return {};
}

Result<void> OpenFile::extend(uint64_t from, uint64_t to) const {
  TRY_VOID(check_disk_range(from, to - from));
  int error = 0;
  do {
    error = posix_fallocate(descriptor_, static_cast<off_t>(from), static_cast<off_t>(to - from));
  } while (error == EINTR);
  if (error != 0) return system_failure(error, "extend", path_);
  return {};
}

Result<uint64_t> OpenFile::size() const {
  struct stat status{};
  if (fstat(descriptor_, &status) != 0) return system_failure(errno, "look at", path_);
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace dogfs::net
