#include "tools/dogfs/text_file.h"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "tools/dogfs/system_error.h"

namespace dogfs::tool {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// 0, or why not.
int write_new(const std::string& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  const int error = write_all(fd, text) && ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

int sync_directory(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

Result<void> replace_file(const std::filesystem::path& path, std::string_view text) {
  const std::string temporary = path.string() + ".new";
  int error = write_new(temporary, text);
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0)
    ::unlink(temporary.c_str());
  else
    error = sync_directory(path.parent_path());
  if (error != 0) return fail_errno(error, fmt::format("cannot write {}", path.string()));
  return {};
}

}  // namespace dogfs::tool
