#include "tools/dogfs/server_process.h"

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/dogfs/text_file.h"

namespace dogfs::tool {
namespace {

// Field 22 of /proc/PID/stat (proc(5)): when the process started, in clock ticks since boot. The
// name in field 2 may hold anything, so fields are counted from the last ')'. Nothing for one that
// is dead and only not collected yet: a zombie without other threads (field 20), for while there
// are any, they hold its files and ports.
std::optional<uint64_t> start_time(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string field;
  char state = 0;
  fields >> state;
  for (int number = 4; number <= 19; ++number) fields >> field;
  int threads = 0;
  uint64_t started = 0;
  if (!(fields >> threads >> field >> started)) return std::nullopt;
  if (state == 'Z' && threads <= 1) return std::nullopt;
  return started;
}

// Input from nowhere, output to the log.
class SpawnFiles {
 public:
  explicit SpawnFiles(const std::filesystem::path& log) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, STDERR_FILENO);
  }
  ~SpawnFiles() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnFiles(const SpawnFiles&) = delete;
  SpawnFiles& operator=(const SpawnFiles&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// A session of its own: neither the terminal's hang-up nor its control-C reaches the server. No
// signal is blocked or ignored, whatever the starter does with them.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

// What a pid file says.
struct Started {
  int pid = 0;
  uint64_t time = 0;
  std::streamoff log_size = 0;  // when it was started
};

std::optional<Started> read_pid_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  Started started;
  if (!(file >> started.pid >> started.time >> started.log_size)) return std::nullopt;
  return started;
}

}  // namespace

std::optional<int> ServerProcess::running() const {
  const auto started = read_pid_file(pid_file());
  if (!started) return std::nullopt;
  const auto actual = start_time(started->pid);
  if (!actual || *actual != started->time) return std::nullopt;
  return started->pid;
}

Result<void> ServerProcess::start(const std::filesystem::path& program,
                                  const std::vector<std::string>& arguments) {
  if (running()) return fail(Code::kExists, "{} is running already", name());
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  std::error_code no_log;
  const auto log_size = std::filesystem::file_size(log_file(), no_log);
  const SpawnFiles files(log_file());
  const SpawnAttributes attributes;
  pid_t pid = 0;
  const int error =
      posix_spawn(&pid, program.c_str(), files.get(), attributes.get(), argv.data(), environ);
  if (error != 0)
    return fail(Code::kIo, "cannot start {}: {}", program.string(), std::strerror(error));

  auto noted = replace_file(pid_file(), fmt::format("{} {} {}\n", pid, start_time(pid).value_or(0),
                                                    no_log ? 0 : log_size));
  if (noted) return noted;
  kill(pid, SIGKILL);  // or nobody could find it again
  waitpid(pid, nullptr, 0);
  return noted;
}

Result<void> ServerProcess::signal(int signal) {
  const auto pid = running();
  if (!pid) return fail(Code::kNotFound, "{} does not run", name());
  if (kill(*pid, signal) != 0)
    return fail(Code::kIo, "cannot signal process {} of {}: {}", *pid, name(),
                std::strerror(errno));
  return {};
}

Result<void> ServerProcess::wait_until_gone(Duration limit) const {
  constexpr auto kLook = std::chrono::milliseconds(5);
  for (Duration waited{};; waited += kLook) {
    const auto pid = running();
    if (!pid) return {};
    waitpid(*pid, nullptr, WNOHANG);  // if it is a child of this process; init collects the others
    if (waited >= limit)
      return fail(Code::kDeadline, "process {} of {} is still there after {} ms", *pid, name(),
                  to_ms(limit));
    std::this_thread::sleep_for(kLook);
  }
}

std::string ServerProcess::log_tail() const {
  constexpr std::streamoff kTailBytes = 2000;
  const auto started = read_pid_file(pid_file());
  const std::streamoff from = started ? started->log_size : 0;
  std::ifstream file(log_file(), std::ios::ate);
  const std::streamoff size = file.tellg();
  if (size <= from) return "";
  file.seekg(std::max(from, size - kTailBytes));
  std::string cut;
  if (size - from > kTailBytes) std::getline(file, cut);  // the rest of a line
  std::ostringstream tail;
  tail << file.rdbuf();
  return tail.str();
}

}  // namespace dogfs::tool
