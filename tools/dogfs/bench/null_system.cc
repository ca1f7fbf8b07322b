#include "tools/dogfs/bench/null_system.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/dogfs/bench/loopback.h"

namespace dogfs::tool {
namespace {

constexpr char kPut = 'P';
constexpr char kGet = 'G';
constexpr char kDone = 'D';
constexpr size_t kPieceBytes = 1 << 20;

bool write_all(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t count = ::write(fd, bytes, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

ssize_t read_some(int fd, char* bytes, size_t size) {
  for (;;) {
    const ssize_t count = ::read(fd, bytes, size);
    if (count >= 0 || errno != EINTR) return count;
  }
}

bool take(int socket, const std::string& file) {
  std::vector<char> piece(kPieceBytes);
  const int fd = ::open(file.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  ssize_t count = 0;
  bool ok = true;
  while (ok && (count = read_some(socket, piece.data(), piece.size())) > 0)
    ok = write_all(fd, piece.data(), static_cast<size_t>(count));
  ok = ok && count == 0 && ::fdatasync(fd) == 0;
  ::close(fd);
  return ok && write_all(socket, &kDone, 1);
}

bool give(int socket, const std::string& file) {
  std::vector<char> piece(kPieceBytes);
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t count = 0;
  bool ok = true;
  while (ok && (count = read_some(fd, piece.data(), piece.size())) > 0)
    ok = write_all(socket, piece.data(), static_cast<size_t>(count));
  ::close(fd);
  return ok && count == 0;
}

[[noreturn]] void serve(int listener, const std::string& file) {
  for (uint32_t count = 0;;) {
    const int socket = ::accept(listener, nullptr, nullptr);
    if (socket < 0) _exit(1);
    char request = 0;
    if (read_some(socket, &request, 1) == 1) {
      if (request == kPut) ++count;
      const std::string name = fmt::format("{}.{}", file, count);
      const bool ok = request == kPut ? take(socket, name) : give(socket, name);
      if (!ok) _exit(1);
    }
    ::close(socket);
  }
}

class Sockets {
 public:
  explicit Sockets(std::vector<int> fds) : fds_(std::move(fds)) {}
  ~Sockets() {
    for (const int fd : fds_) ::close(fd);
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;
  const std::vector<int>& fds() const { return fds_; }

 private:
  std::vector<int> fds_;
};

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Result<NullSystem> NullSystem::start(const std::filesystem::path& directory, uint32_t count) {
  NullSystem system;
  for (uint32_t i = 0; i < count; ++i) {
    uint16_t port = 0;
    const int listener = listen_on_loopback(port);
    if (listener < 0) return fail(Code::kIo, "null system: {}", std::strerror(errno));
    const pid_t pid = ::fork();
    if (pid < 0) return fail(Code::kIo, "null system: fork: {}", std::strerror(errno));
    if (pid == 0) ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever ends this process
    if (pid == 0) serve(listener, (directory / fmt::format("null.{}", i)).string());
    ::close(listener);
    system.pids_.push_back(pid);
    system.ports_.push_back(port);
  }
  return system;
}

NullSystem::NullSystem(NullSystem&& other) noexcept
    : pids_(std::exchange(other.pids_, {})), ports_(std::move(other.ports_)) {}

NullSystem::~NullSystem() {
  for (const pid_t pid : pids_) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

Result<std::vector<int>> NullSystem::connect_all(uint32_t count, char request) const {
  std::vector<int> sockets;
  for (uint32_t i = 0; i < count; ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockets.push_back(socket);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(ports_[i]);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        !write_all(socket, &request, 1)) {
      for (const int fd : sockets) ::close(fd);
      return fail(Code::kIo, "null system: {}", std::strerror(errno));
    }
  }
  return sockets;
}

Result<double> NullSystem::put(uint64_t bytes_each) {
  const std::vector<char> piece(kPieceBytes, 7);
  const Stopwatch watch;
  TRY(opened, connect_all(static_cast<uint32_t>(ports_.size()), kPut));
  const Sockets sockets(std::move(opened));
  for (uint64_t sent = 0; sent < bytes_each; sent += kPieceBytes) {
    const size_t size = std::min<uint64_t>(kPieceBytes, bytes_each - sent);
    for (const int socket : sockets.fds())
      if (!write_all(socket, piece.data(), size))
        return fail(Code::kIo, "null system: a sink ended");
  }
  for (const int socket : sockets.fds()) ::shutdown(socket, SHUT_WR);
  for (const int socket : sockets.fds()) {
    char done = 0;
    if (read_some(socket, &done, 1) != 1) return fail(Code::kIo, "null system: a sink failed");
  }
  return watch.seconds();
}

Result<double> NullSystem::get(uint64_t bytes_each, uint32_t readers) {
  std::vector<char> piece(kPieceBytes);
  const Stopwatch watch;
  TRY(opened, connect_all(readers, kGet));
  const Sockets sockets(std::move(opened));
  uint64_t received = 0;
  for (bool more = true; more;) {
    more = false;
    for (const int socket : sockets.fds()) {
      size_t filled = 0;
      while (filled < piece.size()) {
        const ssize_t count = read_some(socket, piece.data() + filled, piece.size() - filled);
        if (count <= 0) break;
        filled += static_cast<size_t>(count);
      }
      received += filled;
      more = more || filled > 0;
    }
  }
  if (received != bytes_each * readers)
    return fail(Code::kIo, "null system: {} of {} bytes came back", received, bytes_each * readers);
  return watch.seconds();
}

}  // namespace dogfs::tool
