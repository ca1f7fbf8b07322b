#include "tools/dogfs/bench/null_log.h"

#include <csignal>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/dogfs/bench/loopback.h"

namespace dogfs::tool {
namespace {

constexpr size_t kRecordBytes = 64;
constexpr size_t kReadBytes = 256 * 1024;

struct Guest {
  int socket;
  std::string bytes;  // that came in this turn
};

// False when the guest has left.
bool read_from(Guest& guest) {
  guest.bytes.resize(kReadBytes);
  const ssize_t count = ::recv(guest.socket, guest.bytes.data(), kReadBytes, MSG_DONTWAIT);
  guest.bytes.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

// What came from all in one turn is one batch.
bool make_durable(int file, const std::vector<Guest>& guests) {
  std::string batch;
  for (const Guest& guest : guests) batch += guest.bytes;
  if (batch.empty()) return true;
  return ::write(file, batch.data(), batch.size()) == static_cast<ssize_t>(batch.size()) &&
         ::fdatasync(file) == 0;
}

void send_back(const Guest& guest) {
  for (size_t sent = 0; sent < guest.bytes.size();) {
    const ssize_t count =
        ::send(guest.socket, guest.bytes.data() + sent, guest.bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno != EINTR) return;
    sent += static_cast<size_t>(std::max<ssize_t>(count, 0));
  }
}

[[noreturn]] void serve(int listener, int file) {
  std::vector<Guest> guests;
  for (;;) {
    std::vector<pollfd> polled{{listener, POLLIN, 0}};
    for (const Guest& guest : guests) polled.push_back({guest.socket, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) continue;
    std::vector<Guest> staying;
    for (size_t i = 0; i < guests.size(); ++i) {
      guests[i].bytes.clear();
      if (polled[i + 1].revents == 0 || read_from(guests[i]))
        staying.push_back(std::move(guests[i]));
      else
        ::close(guests[i].socket);
    }
    guests = std::move(staying);
    if (!make_durable(file, guests)) _exit(1);
    for (const Guest& guest : guests) send_back(guest);
    if (polled[0].revents == 0) continue;
    const int socket = ::accept(listener, nullptr, nullptr);
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (socket >= 0) guests.push_back({socket, {}});
  }
}

}  // namespace

Result<NullLog> NullLog::start(const std::filesystem::path& file) {
  NullLog log;
  const int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  const int listener = listen_on_loopback(log.port_);
  if (fd < 0 || listener < 0) return fail(Code::kIo, "null log: {}", std::strerror(errno));
  log.pid_ = ::fork();
  if (log.pid_ < 0) return fail(Code::kIo, "null log: fork: {}", std::strerror(errno));
  if (log.pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // whatever ends the benchmark
    serve(listener, fd);
  }
  ::close(listener);
  ::close(fd);
  return log;
}

NullLog::NullLog(NullLog&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), port_(other.port_) {}

NullLog::~NullLog() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void NullDialect::begin(uint32_t slot, std::string& out) {
  std::string record(kRecordBytes, '\0');
  std::memcpy(record.data(), &slot, sizeof slot);
  out += record;
}

Result<size_t> NullDialect::take(std::string_view in, std::string&, std::vector<uint32_t>& ended) {
  size_t used = 0;
  for (; in.size() - used >= kRecordBytes; used += kRecordBytes) {
    uint32_t slot = 0;
    std::memcpy(&slot, in.data() + used, sizeof slot);
    ended.push_back(slot);
  }
  return used;
}

}  // namespace dogfs::tool
