#include "tests/process/program.h"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

namespace fs = std::filesystem;

// What the program finds in its environment: ours, without what would lead it to other clusters.
std::vector<std::string> environment_of(const fs::path& scratch, const std::string& more) {
  std::vector<std::string> variables;
  for (char** at = environ; *at != nullptr; ++at)
    if (std::strncmp(*at, "DOGFS_", 6) != 0 && std::strncmp(*at, "XDG_STATE_HOME=", 15) != 0)
      variables.emplace_back(*at);
  variables.push_back("XDG_STATE_HOME=" + (scratch / "state").string());
  if (!more.empty()) variables.push_back(more);
  return variables;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (const auto& text : texts) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::vector<nlohmann::json> Outcome::lines() const {
  std::vector<nlohmann::json> result;
  std::istringstream text(out);
  for (std::string line; std::getline(text, line);) {
    auto value = nlohmann::json::parse(line, nullptr, false);
    INFO("not a line of JSON: ", line);
    REQUIRE(!value.is_discarded());
    result.push_back(std::move(value));
  }
  return result;
}

Running::Running(const TemporaryDirectory& scratch, const Arguments& arguments,
                 const RunOptions& options)
    : limit_(options.limit), begin_(std::chrono::steady_clock::now()) {
  static std::atomic<int> count = 0;
  name_ = scratch / ("run-" + std::to_string(count++));
  write_file(name_ + ".in", options.input);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, (name_ + ".in").c_str(), O_RDONLY, 0);
  const int create = O_WRONLY | O_CREAT | O_TRUNC;
  const std::string output = options.output.empty() ? name_ + ".out" : options.output;
  posix_spawn_file_actions_addopen(&files, 1, output.c_str(), create, 0600);
  posix_spawn_file_actions_addopen(&files, 2, (name_ + ".err").c_str(), create, 0600);
  for (const int fd : options.closed) posix_spawn_file_actions_addclose(&files, fd);
  Arguments all{options.program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const auto environment = environment_of(scratch.path(), options.environment);
  // As from a terminal, whatever these tests were started from ignores.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t every;
  sigfillset(&every);
  posix_spawnattr_setsigdefault(&attributes, &every);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawn(&pid_, options.program.c_str(), &files, &attributes,
                                pointers(all).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  REQUIRE(error == 0);
}

Running::~Running() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Running::signal(int signal) const { ::kill(pid_, signal); }

Outcome Running::wait() {
  using Clock = std::chrono::steady_clock;
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    if (Clock::now() - begin_ > limit_) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  pid_ = 0;
  Outcome outcome;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  outcome.out = read_file(name_ + ".out");
  outcome.err = read_file(name_ + ".err");
  for (const char* end : {".in", ".out", ".err"}) fs::remove(name_ + end);
  return outcome;
}

Outcome run(const TemporaryDirectory& scratch, const Arguments& arguments,
            const RunOptions& options) {
  return Running(scratch, arguments, options).wait();
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void write_file(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::string noise(size_t size, uint64_t seed) {
  Random random(seed);
  std::string bytes((size + 7) / 8 * 8, '\0');
  for (size_t i = 0; i < bytes.size(); i += 8) {
    const uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace dogfs::test
