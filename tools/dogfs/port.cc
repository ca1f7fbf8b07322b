#include "tools/dogfs/port.h"

#include <random>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dogfs::tool {
namespace {

constexpr uint32_t kLow = 20'000;
constexpr uint32_t kHigh = 32'000;

class LoopbackSocket {
 public:
  explicit LoopbackSocket(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  ~LoopbackSocket() { ::close(fd_); }
  LoopbackSocket(const LoopbackSocket&) = delete;
  LoopbackSocket& operator=(const LoopbackSocket&) = delete;

  bool bind() const {
    const int reuse = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    return ::bind(fd_, address(), sizeof address_) == 0;
  }
  bool connect() const { return ::connect(fd_, address(), sizeof address_) == 0; }

 private:
  const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&address_); }

  int fd_;
  sockaddr_in address_{};
};

}  // namespace

bool port_is_free(uint16_t port) { return LoopbackSocket(port).bind(); }

bool port_answers(uint16_t port) { return LoopbackSocket(port).connect(); }

Result<std::vector<uint16_t>> free_ports(size_t count) {
  std::vector<uint16_t> ports;
  const uint32_t start = std::random_device()() % (kHigh - kLow);
  for (uint32_t i = 0; i < kHigh - kLow && ports.size() < count; ++i) {
    const auto port = static_cast<uint16_t>(kLow + (start + i) % (kHigh - kLow));
    if (port_is_free(port)) ports.push_back(port);
  }
  if (ports.size() < count)
    return fail(Code::kUnavailable, "no {} free ports between {} and {}", count, kLow, kHigh);
  return ports;
}

}  // namespace dogfs::tool
