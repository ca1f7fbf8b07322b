#include "tools/dogfs/local_file.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/limits.h"
#include "core/env/compute.h"
#include "tools/dogfs/system_error.h"

namespace dogfs::tool {

namespace fs = std::filesystem;

// An open file, closed by the last of those who use it.
class Descriptor {
 public:
  Descriptor(int fd, bool owned) : fd_(fd), owned_(owned) {
    struct stat status{};
    regular_ = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    size_ = regular_ ? static_cast<uint64_t>(status.st_size) : 0;
  }
  ~Descriptor() {
    if (owned_) ::close(fd_);
  }
  // For writing. A pipe is opened anew where that can be, so that not blocking is its own: how the
  // descriptor itself blocks is shared with other programs.
  static std::shared_ptr<const Descriptor> for_stream(int fd, bool owned) {
    auto given = std::make_shared<const Descriptor>(fd, owned);
    struct stat status{};
    if (::fstat(fd, &status) != 0 || !S_ISFIFO(status.st_mode))
      return given;  // others have offsets
    const auto path = fmt::format("/proc/self/fd/{}", fd);
    const int anew = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (anew < 0) return given;
    auto file = std::make_shared<Descriptor>(anew, true);
    file->never_blocks_ = true;
    return file;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const { return fd_; }
  bool regular() const { return regular_; }
  bool never_blocks() const { return never_blocks_; }
  uint64_t size() const { return size_; }
  std::string state() const {
    struct stat status{};
    if (::fstat(fd_, &status) != 0) return "gone";
    return fmt::format("{} {} {} {}.{} {}.{}", status.st_dev, status.st_ino, status.st_size,
                       status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                       status.st_ctim.tv_nsec);
  }

 private:
  int fd_;
  bool owned_;
  bool regular_ = false;
  bool never_blocks_ = false;
  uint64_t size_ = 0;
};

namespace {

// A job never blocks longer than this, so that a program that was told to stop can.
constexpr int kPatienceMs = 50;
constexpr size_t kReadBytesMax = 4 * limits::kMiB;
// Of files that a get left to be continued; before it stand the name and the version.
constexpr const char* kPartialSuffix = ".dogfs-part";

struct Piece {
  int error = 0;
  bool end = false;
  Buffer bytes;  // empty and not the end: nothing came yet
};

bool ready(int fd, short events) {
  pollfd wait{fd, events, 0};
  return ::poll(&wait, 1, kPatienceMs) > 0;
}

// Fills the buffer as far as there are bytes.
Piece read_piece(const Descriptor& file, size_t max) {
  MutableBuffer buffer(max);
  Piece piece;
  size_t filled = 0;
  while (filled < max && (file.regular() || ready(file.fd(), POLLIN))) {
    const ssize_t count = ::read(file.fd(), buffer.data() + filled, max - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) piece.error = errno;
    if (count == 0) piece.end = filled == 0;
    if (count <= 0) break;
    filled += static_cast<size_t>(count);
  }
  buffer.truncate(filled);
  piece.bytes = std::move(buffer).freeze();
  return piece;
}

struct Written {
  int error = 0;
  size_t size = 0;
};

// Writes all, or less when the other end of a pipe is slow.
Written write_piece(const Descriptor& file, const Buffer& bytes) {
  Written written;
  while (written.size < bytes.size() && (file.regular() || ready(file.fd(), POLLOUT))) {
    size_t size = bytes.size() - written.size;
    if (!file.regular() && !file.never_blocks())
      size = std::min<size_t>(size, PIPE_BUF);  // fits, so does not block
    const ssize_t count = ::write(file.fd(), bytes.data() + written.size, size);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) written.error = errno;
    if (count < 0) break;
    written.size += static_cast<size_t>(count);
  }
  return written;
}

}  // namespace

Result<std::unique_ptr<LocalSource>> LocalSource::open(Env& env, const std::string& path) {
  const bool standard = path == "-";
  const int fd = standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno(errno, path);
  auto file = std::make_shared<const Descriptor>(fd, !standard);
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, path);
  if (S_ISDIR(status.st_mode))
    return fail(Code::kInvalid, "{} is a directory; name one file", path);
  auto source = std::unique_ptr<LocalSource>(
      new LocalSource(env, standard ? "standard input" : path, std::move(file)));
  if (source->file_->regular() && !standard) source->size_ = source->file_->size();
  source->state_ = source->file_->state();
  return source;
}

Result<void> LocalSource::seek(uint64_t offset) {
  if (::lseek(file_->fd(), static_cast<off_t>(offset), SEEK_SET) < 0)
    return fail_errno(errno, path_);
  return {};
}

bool LocalSource::is_unchanged() const { return file_->state() == state_; }

Task<Result<Buffer>> LocalSource::read(size_t max) {
  const size_t size = std::min(max, kReadBytesMax);
  for (;;) {
    const Piece piece =
        co_await offload(env_, size, [file = file_, size] { return read_piece(*file, size); });
    if (piece.error != 0) co_return fail_errno(piece.error, path_);
    if (piece.end || !piece.bytes.empty()) co_return piece.bytes;
  }
}

Result<std::unique_ptr<LocalSink>> LocalSink::open(Env& env, const std::string& path,
                                                   const std::string& name) {
  if (path == "-") {
    auto sink = std::unique_ptr<LocalSink>(new LocalSink(env, "standard output"));
    sink->file_ = Descriptor::for_stream(STDOUT_FILENO, false);
    return sink;
  }
  TRY(target, find_target(path, name));
  auto sink = std::unique_ptr<LocalSink>(new LocalSink(env, target));
  std::error_code error;
  if (fs::exists(target, error) && !fs::is_regular_file(target, error)) {
    const int fd = ::open(target.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return fail_errno(errno, target.string());
    sink->file_ = Descriptor::for_stream(fd, true);
    return sink;
  }
  TRY_VOID(sink->open_temporary());
  return sink;
}

Result<fs::path> LocalSink::find_target(const std::string& path, const std::string& name) {
  std::error_code error;
  fs::path target =
      fs::is_directory(path, error) || path.ends_with('/') ? fs::path(path) / name : fs::path(path);
  if (fs::is_symlink(target, error)) {
    const fs::path meant = fs::weakly_canonical(target, error);
    if (error) return fail_errno(error.value(), target.string());
    target = meant;
  }
  if (fs::is_directory(target, error))
    return fail(Code::kExists, "{} is a directory; nothing was written", target.string());
  return target;
}

Result<std::unique_ptr<LocalSink>> LocalSink::open_to_continue(Env& env, const std::string& path,
                                                               const std::string& name,
                                                               const std::string& version) {
  TRY(target, find_target(path, name));
  std::error_code error;
  if (path == "-" || (fs::exists(target, error) && !fs::is_regular_file(target, error)))
    return fail(Code::kInvalid, "{} is no regular file: it cannot be continued", target.string());
  auto sink = std::unique_ptr<LocalSink>(new LocalSink(env, target));
  TRY_VOID(sink->open_partial(version));
  return sink;
}

Result<void> LocalSink::open_partial(const std::string& version) {
  const std::string begin = fmt::format(".{}.", path_.filename().string());
  const std::string own = begin + version + kPartialSuffix;
  const fs::path directory = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string other = entry.path().filename().string();
    if (other.starts_with(begin) && other.ends_with(kPartialSuffix) && other != own)
      fs::remove(entry.path(), error);
  }
  temporary_ = directory / own;
  kept_ = true;
  const int fd = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno(errno, path_.string());
  file_ = std::make_shared<const Descriptor>(fd, true);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return fail(Code::kUnavailable, "somebody else is getting {}", path_.string());
  const off_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) return fail_errno(errno, temporary_.string());
  begins_at_ = static_cast<uint64_t>(end);
  return take_mode();
}

Result<void> LocalSink::open_temporary() {
  std::string pattern = (path_.parent_path() / ".dogfs-get.XXXXXX").string();
  const int fd = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (fd < 0) return fail_errno(errno, path_.string());
  file_ = std::make_shared<const Descriptor>(fd, true);
  temporary_ = pattern;
  return take_mode();
}

// Like that of a file that was replaced, or of any new one.
Result<void> LocalSink::take_mode() {
  struct stat before{};
  const mode_t mask = ::umask(0);
  ::umask(mask);
  const bool there = ::stat(path_.c_str(), &before) == 0;
  if (::fchmod(file_->fd(), there ? before.st_mode & 07777 : 0666 & ~mask) != 0)
    return fail_errno(errno, path_.string());
  return {};
}

LocalSink::~LocalSink() {
  if (!temporary_.empty() && !kept_) ::unlink(temporary_.c_str());
}

Task<Result<void>> LocalSink::write(Buffer bytes) {
  while (!bytes.empty()) {
    const Written written = co_await offload(
        env_, bytes.size(), [file = file_, bytes] { return write_piece(*file, bytes); });
    if (written.error != 0) co_return fail_errno(written.error, path_.string());
    bytes = bytes.suffix(written.size);
  }
  co_return Result<void>();
}

Result<void> LocalSink::commit() {
  if (temporary_.empty()) return {};
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return fail_errno(errno, path_.string());
  temporary_.clear();
  return {};
}

}  // namespace dogfs::tool
