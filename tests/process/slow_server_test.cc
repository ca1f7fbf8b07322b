// Chunk servers that stand still, and how much memory moving a large file takes.

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMiB = 1 << 20;
constexpr auto kStop = std::chrono::seconds(20);

pid_t pid_of(const Cluster& cluster, const std::string& node) {
  pid_t pid = 0;
  std::ifstream(fs::path(cluster.directory()) / node / "pid") >> pid;
  return pid;
}

// Stopped from when it is made until 20 seconds later, or until it is destroyed.
class Stopped {
 public:
  explicit Stopped(pid_t pid) : pid_(pid), begin_(std::chrono::steady_clock::now()) {
    ::kill(pid, SIGSTOP);
  }
  ~Stopped() { ::kill(pid_, SIGCONT); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;
  void look() const {
    if (std::chrono::steady_clock::now() - begin_ > kStop) ::kill(pid_, SIGCONT);
  }

 private:
  const pid_t pid_;
  const std::chrono::steady_clock::time_point begin_;
};

// In kB, from /proc/PID/status; 0 for a process that has ended.
size_t peak_memory(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) / 1024;
  return 0;
}

bool alive(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.at(name_end + 2) != 'Z';
}

struct Moved {
  double seconds = 0;
  size_t peak_mib = 0;
};

// Runs a transfer; when a third of `usual` is over, `stalled` (if any) stands still.
Moved move(const Cluster& cluster, Arguments arguments, double usual, pid_t stalled) {
  const auto begin = std::chrono::steady_clock::now();
  arguments.insert(arguments.end(), {"--cluster", cluster.directory()});
  Running running(cluster.scratch(), arguments, {.limit = std::chrono::seconds(120)});
  std::optional<Stopped> stopped;
  Moved moved;
  while (alive(running.pid())) {
    moved.peak_mib = std::max(moved.peak_mib, peak_memory(running.pid()));
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
    if (stalled != 0 && !stopped && passed.count() > usual / 3) stopped.emplace(stalled);
    if (stopped) stopped->look();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  const Outcome outcome = running.wait();
  CAPTURE(outcome.err);
  CHECK_EQ(outcome.exit_code, 0);
  moved.seconds = outcome.seconds;
  return moved;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DOGFS_SANITIZED
#endif
#endif

void check_memory(const Cluster& cluster, const Moved& put, const Moved& got) {
  size_t servers = 0;
  for (const pid_t pid : cluster.pids()) servers = std::max(servers, peak_memory(pid));
  MESSAGE("peak memory in MiB: put ", put.peak_mib, ", get ", got.peak_mib, ", largest server ",
          servers);
#ifndef DOGFS_SANITIZED
  CHECK_LT(put.peak_mib, 128);
  CHECK_LT(got.peak_mib, 128);
  CHECK_LT(servers, 128);
#endif
}

}  // namespace

TEST_CASE("a chunk server that stands still costs a put and a get less than five seconds") {
  const Cluster cluster;
  const std::string local = cluster.scratch() / "local";
  const std::string copy = cluster.scratch() / "copy";
  const std::string bytes = noise(384 * kMiB, 1);
  write_file(local, bytes);
  const Moved put = move(cluster, {"put", local, "/first"}, 0, 0);
  const Moved got = move(cluster, {"get", "/first", copy}, 0, 0);
  CHECK((read_file(copy) == bytes));
  check_memory(cluster, put, got);
  const pid_t server = pid_of(cluster, "chunk-2");
  const Moved slow_put = move(cluster, {"put", local, "/second"}, put.seconds, server);
  const Moved slow_get = move(cluster, {"get", "/first", copy}, got.seconds, server);
  CHECK((read_file(copy) == bytes));
  MESSAGE("seconds: put ", put.seconds, ", with a server standing still ", slow_put.seconds,
          "; get ", got.seconds, ", with a server standing still ", slow_get.seconds);
  CHECK_LT(slow_put.seconds, put.seconds + 5);
  CHECK_LT(slow_get.seconds, got.seconds + 5);
  CHECK_EQ(cluster.dogfs({"get", "/second", copy}).exit_code, 0);
  CHECK((read_file(copy) == bytes));
}

}  // namespace dogfs::test
