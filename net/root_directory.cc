#include "net/root_directory.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"

namespace dogfs::net {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead: return O_RDONLY;
    case OpenMode::kWrite: return O_RDWR;
    case OpenMode::kCreate: return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kAlways: return O_RDWR | O_CREAT;
  }
  UNREACHABLE();
}

int open_retrying(int directory, const char* path, int flags) {
  for (;;) {
    const int descriptor = openat(directory, path, flags | O_CLOEXEC | O_NOFOLLOW, kFileMode);
    if (descriptor >= 0 || errno != EINTR) return descriptor;
  }
}

bool names_directory(int directory, const dirent& entry) {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
  struct stat status{};
  return fstatat(directory, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(status.st_mode);
}

// A new directory's own name must survive power loss, or all that is in it would not.
Result<void> sync_parent(const std::string& path) {
  const auto parent = (std::filesystem::absolute(path) / "..").lexically_normal().string();
  const int descriptor = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_failure(errno, "open directory", parent);
  const OpenFile directory(descriptor, parent);
  if (fsync(descriptor) != 0) return system_failure(errno, "sync directory", parent);
  return {};
}

}  // namespace

Result<std::shared_ptr<RootDirectory>> RootDirectory::open(std::string path) {
  if (path.empty()) return std::shared_ptr<RootDirectory>(new RootDirectory(nullptr));
  if (mkdir(path.c_str(), kDirectoryMode) == 0)
    TRY_VOID(sync_parent(path));
  else if (errno != EEXIST)
    return system_failure(errno, "make the data directory", path);
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_failure(errno, "open the data directory", path);
  auto root = std::make_shared<OpenFile>(descriptor, std::move(path));
  if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_failure(errno, "lock", root->path());
    return fail(Code::kUnavailable, "the data directory {} is in use by another process",
                root->path());
  }
  return std::shared_ptr<RootDirectory>(new RootDirectory(std::move(root)));
}

void RootDirectory::unlock() {
  if (root_) flock(root_->descriptor(), LOCK_UN);
}

std::string RootDirectory::full(std::string_view path) const {
  return path.empty() ? root_->path() : fmt::format("{}/{}", root_->path(), path);
}

Result<void> RootDirectory::check_root() const {
  if (!root_) return fail(Code::kIo, "this process has no data directory");
  return {};
}

Result<void> RootDirectory::check_path(std::string_view path) const {
  TRY_VOID(check_root());
  return check_disk_path(path);
}

Result<std::shared_ptr<OpenFile>> RootDirectory::open_file(std::string path, OpenMode mode) const {
  TRY_VOID(check_path(path));
  const int descriptor = open_retrying(root_->descriptor(), path.c_str(), flags_of(mode));
  if (descriptor < 0) return system_failure(errno, "open", full(path));
  auto file = std::make_shared<OpenFile>(descriptor, full(path));
  struct stat status{};
  if (fstat(descriptor, &status) != 0) return system_failure(errno, "look at", file->path());
  if (!S_ISREG(status.st_mode)) return fail(Code::kInvalid, "{} is not a file", file->path());
  return file;
}

std::shared_ptr<OpenFile> RootDirectory::open_cached(const std::string& path) const {
  if (!check_path(path)) return nullptr;
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_CACHED;
  const long descriptor =
      ::syscall(SYS_openat2, root_->descriptor(), path.c_str(), &how, sizeof how);
  if (descriptor < 0) return nullptr;
  auto file = std::make_shared<OpenFile>(static_cast<int>(descriptor), full(path));
  struct stat status{};
  if (fstat(file->descriptor(), &status) != 0 || !S_ISREG(status.st_mode)) return nullptr;
  return file;
}

Result<std::shared_ptr<OpenFile>> RootDirectory::open_directory(std::string directory) const {
  if (directory.empty()) directory = ".";
  const int descriptor =
      open_retrying(root_->descriptor(), directory.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return system_failure(errno, "open directory", full(directory));
  return std::make_shared<OpenFile>(descriptor, full(directory));
}

Result<void> RootDirectory::rename(std::string from, std::string to) const {
  TRY_VOID(check_path(from));
  TRY_VOID(check_path(to));
  if (renameat(root_->descriptor(), from.c_str(), root_->descriptor(), to.c_str()) != 0)
    return system_failure(errno, fmt::format("rename {} to", from), full(to));
  return {};
}

Result<void> RootDirectory::remove(std::string path) const {
  TRY_VOID(check_path(path));
  if (unlinkat(root_->descriptor(), path.c_str(), 0) == 0) return {};
  if (errno == EISDIR && unlinkat(root_->descriptor(), path.c_str(), AT_REMOVEDIR) == 0) return {};
  return system_failure(errno, "remove", full(path));
}

Result<std::vector<DirectoryEntry>> RootDirectory::list(std::string path) const {
  if (path.empty())
    TRY_VOID(check_root());
  else
    TRY_VOID(check_path(path));
  TRY(directory, open_directory(path));
  const int own = dup(directory->descriptor());  // fdopendir takes it over
  DIR* stream = own >= 0 ? fdopendir(own) : nullptr;
  if (stream == nullptr) {
    const int error = errno;
    if (own >= 0) close(own);
    return system_failure(error, "list", full(path));
  }
  std::vector<DirectoryEntry> entries;
  for (errno = 0; const dirent* entry = readdir(stream); errno = 0) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    entries.push_back({std::string(name), names_directory(own, *entry)});
  }
  const int error = errno;
  closedir(stream);
  if (error != 0) return system_failure(error, "list", full(path));
  std::sort(entries.begin(), entries.end());
  return entries;
}

Result<void> RootDirectory::make_directory(std::string path) const {
  TRY_VOID(check_path(path));
  if (mkdirat(root_->descriptor(), path.c_str(), kDirectoryMode) != 0)
    return system_failure(errno, "make directory", full(path));
  return {};
}

Result<void> RootDirectory::sync_directory(std::string path) const {
  if (path.empty())
    TRY_VOID(check_root());
  else
    TRY_VOID(check_path(path));
  TRY(directory, open_directory(path));
  if (fsync(directory->descriptor()) != 0)
    return system_failure(errno, "sync directory", full(path));
  return {};
}

Result<Space> RootDirectory::space() const {
  TRY_VOID(check_root());
  struct statvfs status{};
  if (fstatvfs(root_->descriptor(), &status) != 0)
    return system_failure(errno, "look at the file system of", full(""));
  return Space{.total_bytes = uint64_t{status.f_blocks} * status.f_frsize,
               .free_bytes = uint64_t{status.f_bavail} * status.f_frsize};
}

}  // namespace dogfs::net
