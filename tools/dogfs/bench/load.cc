#include "tools/dogfs/bench/load.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dogfs::tool {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 256 * 1024;
constexpr auto kGreetLimit = std::chrono::seconds(5);
constexpr auto kLookEvery = std::chrono::milliseconds(3);
constexpr auto kDrainLimit = std::chrono::seconds(20);

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double own_cpu_us() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

// The latency that a share of the operations did not exceed. Sorted, not empty.
double quantile(const std::vector<float>& sorted, double share) {
  const auto place = static_cast<size_t>(share * static_cast<double>(sorted.size()));
  return static_cast<double>(sorted[std::min(place, sorted.size() - 1)]);
}

Latencies latencies_of(std::vector<float> taken_us) {
  if (taken_us.empty()) return {};
  std::ranges::sort(taken_us);
  return {.operations = taken_us.size(),
          .p50_us = quantile(taken_us, 0.5),
          .p99_us = quantile(taken_us, 0.99),
          .p999_us = quantile(taken_us, 0.999),
          .max_us = static_cast<double>(taken_us.back())};
}

Result<int> connect_to(const Address& address) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Code::kIo, "cannot make a socket: {}", std::strerror(errno));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.port);
  ::inet_pton(AF_INET, address.host.c_str(), &to.sin_addr);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    const int error = errno;
    ::close(fd);
    return fail(Code::kUnavailable, "cannot connect to {}: {}", address.to_string(),
                std::strerror(error));
  }
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

}  // namespace

// A connection with its dialect, and since when each of its operations is under way.
struct Load::Line {
  Line(int descriptor, std::unique_ptr<Dialect> spoken)
      : fd(descriptor), dialect(std::move(spoken)) {}
  ~Line() { ::close(fd); }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  Result<void> write() {
    while (sent < out.size()) {
      const ssize_t count =
          ::send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
      if (count < 0) return fail(Code::kIo, "the connection was lost: {}", std::strerror(errno));
      sent += static_cast<size_t>(count);
    }
    out.clear();
    sent = 0;
    return {};
  }

  // False when nothing more is there.
  Result<bool> read() {
    const size_t before = in.size();
    in.resize(before + kReadBytes);
    const ssize_t count = ::recv(fd, in.data() + before, kReadBytes, MSG_DONTWAIT);
    const int error = errno;
    in.resize(before + static_cast<size_t>(std::max<ssize_t>(count, 0)));
    if (count > 0) return static_cast<size_t>(count) == kReadBytes;
    if (count < 0 && (error == EAGAIN || error == EINTR)) return false;
    return fail(Code::kIo, "the server ended the connection");
  }

  const int fd;
  const std::unique_ptr<Dialect> dialect;
  std::string in;
  std::string out;
  size_t sent = 0;
  std::vector<uint32_t> ended;
  struct Begun {
    Clock::time_point at;
    bool apart = false;
  };
  std::vector<Begun> begun;
};

Load::Load() = default;
Load::Load(Load&&) noexcept = default;
Load::~Load() = default;

Result<Load> Load::connect(const Address& address, std::vector<std::unique_ptr<Dialect>> dialects) {
  Load load;
  for (auto& dialect : dialects) {
    TRY(fd, connect_to(address));
    load.lines_.push_back(std::make_unique<Line>(fd, std::move(dialect)));
    load.lines_.back()->dialect->greet(load.lines_.back()->out);
  }
  const auto end = Clock::now() + kGreetLimit;
  const auto waits = [](const auto& line) { return !line->dialect->ready(); };
  while (std::ranges::any_of(load.lines_, waits)) {
    if (Clock::now() > end)
      return fail(Code::kDeadline, "{} did not greet back", address.to_string());
    TRY_VOID(load.move_bytes(50));
  }
  return load;
}

// Sends what waits, takes what came, and begins what may be begun; waits for something to come.
Result<void> Load::move_bytes(int timeout_ms) {
  std::vector<pollfd> polled;
  for (const auto& line : lines_) {
    TRY_VOID(line->write());
    polled.push_back({line->fd, static_cast<short>(POLLIN | (line->out.empty() ? 0 : POLLOUT)), 0});
  }
  ::poll(polled.data(), polled.size(), timeout_ms);
  for (size_t i = 0; i < lines_.size(); ++i)
    if (polled[i].revents != 0) TRY_VOID(serve(*lines_[i]));
  return {};
}

Result<void> Load::serve(Line& line) {
  for (bool more = true; more;) {
    TRY(full, line.read());
    more = full;
  }
  line.ended.clear();
  TRY(used, line.dialect->take(line.in, line.out, line.ended));
  line.in.erase(0, used);
  for (const uint32_t slot : line.ended) ended(line, slot);
  return {};
}

void Load::begin(Line& line, uint32_t slot) {
  if (begun_ >= begin_at_most_) return;
  ++begun_;
  ++under_way_;
  line.begun[slot] = {Clock::now(), apart_};
  line.dialect->begin(slot, line.out);
}

void Load::ended(Line& line, uint32_t slot) {
  --under_way_;
  const Line::Begun& begun = line.begun[slot];
  const std::chrono::duration<float, std::micro> taken = Clock::now() - begun.at;
  if (measuring_) (apart_ || begun.apart ? apart_us_ : usual_us_).push_back(taken.count());
  begin(line, slot);
}

Result<LoadFigures> Load::run(uint32_t in_flight, const Length& length) {
  begun_ = 0;
  begin_at_most_ = length.operations == 0 ? UINT64_MAX : length.operations;
  measuring_ = true;
  usual_us_.clear();
  apart_us_.clear();
  const double cpu_before = own_cpu_us();
  const auto start = Clock::now();
  const auto count = static_cast<uint32_t>(lines_.size());
  for (uint32_t i = 0; i < count; ++i) lines_[i]->begun.resize(in_flight / count + 1);
  for (uint32_t i = 0; i < in_flight; ++i) begin(*lines_[i % count], i / count);
  auto looked = start;
  for (auto now = start; under_way_ > 0; now = Clock::now()) {
    if (length.operations == 0 && seconds_between(start, now) >= length.seconds) break;
    if (length.apart && now - looked >= kLookEvery) {
      apart_ = length.apart();
      looked = now;
    }
    TRY_VOID(move_bytes(50));
  }
  LoadFigures figures;
  figures.seconds = seconds_between(start, Clock::now());
  figures.client_cpu_us = own_cpu_us() - cpu_before;
  TRY_VOID(drain());
  figures.usual = latencies_of(usual_us_);
  figures.apart = latencies_of(apart_us_);
  usual_us_.insert(usual_us_.end(), apart_us_.begin(), apart_us_.end());
  if (usual_us_.empty()) return fail(Code::kDeadline, "nothing was answered");
  static_cast<Latencies&>(figures) = latencies_of(std::move(usual_us_));
  return figures;
}

Result<void> Load::drain() {
  measuring_ = false;
  apart_ = false;
  begin_at_most_ = 0;
  for (const auto end = Clock::now() + kDrainLimit; under_way_ > 0;) {
    if (Clock::now() > end) return fail(Code::kDeadline, "{} operations hang", under_way_);
    TRY_VOID(move_bytes(50));
  }
  return {};
}

}  // namespace dogfs::tool
