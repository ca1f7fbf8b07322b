#include "tools/dogfs/bench/null_system.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/random.h"
#include "tools/dogfs/bench/loopback.h"

namespace dogfs::tool {
namespace {

constexpr char kPut = 'P';
constexpr char kGet = 'G';
constexpr char kDone = 'D';
constexpr char kSession = 'S';  // single requests follow
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

// One request of a session, as it is sent.
struct Order {
  char request;
  uint32_t bytes;
  uint64_t offset;
};

bool read_all(int fd, char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t count = read_some(fd, bytes, size);
    if (count <= 0) return false;
    bytes += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

class Server {
 public:
  Server(int socket, std::string file, std::string name)
      : socket_(socket), stored_(std::move(file)), name_(std::move(name)) {}

  // Until the other side has ended.
  void run() {
    Order order{};
    while (read_all(socket_, reinterpret_cast<char*>(&order), sizeof order) && obey(order)) {
    }
    ::close(socket_);
  }

 private:
  bool obey(const Order& order) {
    piece_.resize(order.bytes);
    const auto request = static_cast<NullSystem::Request>(order.request);
    if (request == NullSystem::Request::kRead) {
      const int fd = ::open(stored_.c_str(), O_RDONLY | O_CLOEXEC);
      const ssize_t count =
          ::pread(fd, piece_.data(), piece_.size(), static_cast<off_t>(order.offset));
      ::close(fd);
      return count == static_cast<ssize_t>(piece_.size()) &&
             write_all(socket_, piece_.data(), piece_.size());
    }
    if (!read_all(socket_, piece_.data(), piece_.size())) return false;
    const bool append = request == NullSystem::Request::kAppend;
    const std::string file = append ? stored_ + ".log" : fmt::format("{}-{}", name_, ++files_);
    const int fd =
        ::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0600);
    const bool ok = write_all(fd, piece_.data(), piece_.size()) && ::fdatasync(fd) == 0;
    ::close(fd);
    return ok && write_all(socket_, &kDone, 1);
  }

  const int socket_;
  const std::string stored_;
  const std::string name_;
  std::vector<char> piece_;
  uint64_t files_ = 0;
};

[[noreturn]] void serve(int listener, const std::string& file) {
  for (uint32_t count = 0, sessions = 0;;) {
    const int socket = ::accept(listener, nullptr, nullptr);
    if (socket < 0) _exit(1);
    char request = 0;
    if (read_some(socket, &request, 1) == 1) {
      if (request == kPut) ++count;
      const std::string name = fmt::format("{}.{}", file, count);
      if (request == kSession) {
        const int yes = 1;
        ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        Server server(socket, name, fmt::format("{}.s{}", file, ++sessions));
        std::thread([server = std::move(server)]() mutable { server.run(); }).detach();
        continue;
      }
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
  Sockets(Sockets&& other) noexcept : fds_(std::exchange(other.fds_, {})) {}
  Sockets& operator=(Sockets&&) = delete;
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

namespace {

// One client of repeat(), on a thread of its own.
struct Repeater {
  NullSystem::Work work;
  std::vector<int> sockets;
  Random random;
  Timed timed;
  bool ok = true;

  void run(const Stopwatch& watch) {
    std::vector<char> piece(work.bytes_each, 7);
    while (ok && watch.seconds() < work.seconds) {
      const double begin = watch.seconds();
      const uint64_t range = work.range > work.bytes_each ? work.range - work.bytes_each : 1;
      ok = once({static_cast<char>(work.request), work.bytes_each, random.below(range)}, piece);
      timed.latencies_us.push_back((watch.seconds() - begin) * 1e6);
      timed.bytes += work.file_bytes;
    }
  }

  bool once(const Order& order, std::vector<char>& piece) {
    const bool reads = work.request == NullSystem::Request::kRead;
    for (const int socket : sockets) {
      std::string request(reinterpret_cast<const char*>(&order), sizeof order);
      if (!reads) request.append(piece.data(), piece.size());
      if (!write_all(socket, request.data(), request.size())) return false;
    }
    for (const int socket : sockets) {
      char done = 0;
      if (reads ? !read_all(socket, piece.data(), piece.size()) : read_some(socket, &done, 1) != 1)
        return false;
    }
    return true;
  }
};

}  // namespace

Result<Timed> NullSystem::repeat(const Work& work) {
  std::vector<Repeater> repeaters;
  std::vector<Sockets> open;
  for (uint32_t i = 0; i < work.clients; ++i) {
    TRY(sockets, connect_all(work.sinks, kSession));
    open.emplace_back(sockets);
    const int yes = 1;
    for (const int socket : sockets)
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    repeaters.push_back({work, std::move(sockets), Random(i + 1), {}, true});
  }
  const Stopwatch watch;
  std::vector<std::thread> threads;
  for (Repeater& repeater : repeaters)
    threads.emplace_back([&repeater, &watch] { repeater.run(watch); });
  for (std::thread& thread : threads) thread.join();
  Timed all;
  all.seconds = watch.seconds();
  for (const Repeater& repeater : repeaters) {
    if (!repeater.ok) return fail(Code::kIo, "null system: a sink failed");
    all.bytes += repeater.timed.bytes;
    all.latencies_us.insert(all.latencies_us.end(), repeater.timed.latencies_us.begin(),
                            repeater.timed.latencies_us.end());
  }
  return all;
}

}  // namespace dogfs::tool
