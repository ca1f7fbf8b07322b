#include "tests/process/cluster.h"

#include <csignal>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/doctest.h"

namespace dogfs::test {

namespace fs = std::filesystem;

Cluster::Cluster(const Arguments& shape, const std::string& program) {
  Arguments arguments{"up"};
  arguments.insert(arguments.end(), shape.begin(), shape.end());
  const Outcome started = control(arguments, program);
  INFO(started.out, started.err);
  REQUIRE_EQ(started.exit_code, 0);
}

Cluster::~Cluster() {
  (void)control({"down"});
  for (const pid_t pid : pids()) ::kill(pid, SIGKILL);
}

Outcome Cluster::dogfs(const Arguments& arguments, RunOptions options) const {
  options.environment = "DOGFS_CLUSTER=" + directory();
  return run(scratch_, arguments, options);
}

Outcome Cluster::control(const Arguments& arguments, const std::string& program) const {
  Arguments all{"cluster"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.insert(all.end(), {"--dir", directory()});
  RunOptions options;
  options.program = program;
  return run(scratch_, all, options);
}

void Cluster::up() const {
  const Outcome started = control({"up"});
  INFO(started.out, started.err);
  REQUIRE_EQ(started.exit_code, 0);
}

void Cluster::kill(const std::string& node) const {
  const Outcome killed = control({"kill", node});
  INFO(killed.out, killed.err);
  REQUIRE_EQ(killed.exit_code, 0);
}

void Cluster::kill_all() const {
  for (const pid_t pid : pids()) ::kill(pid, SIGKILL);
}

std::vector<pid_t> Cluster::pids() const {
  std::vector<pid_t> result;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory(), error)) {
    std::ifstream file(entry.path() / "pid");
    pid_t pid = 0;
    if (!(file >> pid)) continue;
    // Only while the pid still is this server's, not one of somebody else.
    const std::string command = read_file(fs::path("/proc") / std::to_string(pid) / "cmdline");
    if (command.find(entry.path().string()) != std::string::npos) result.push_back(pid);
  }
  return result;
}

std::string Cluster::leader() const {
  Outcome status;
  // On a busy machine an election may be under way.
  for (int attempt = 0; attempt < 100; ++attempt) {
    status = control({"status", "--json"});
    for (const auto& line : status.lines())
      if (line.value("role", "") == "leader") return line.at("name");
  }
  FAIL("no metadata server leads: ", status.out);
  return "";
}

Outcome Cluster::put(const std::string& path, const std::string& bytes,
                     const Arguments& more) const {
  Arguments arguments{"put", "-", path};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return dogfs(arguments, {.input = bytes});
}

std::optional<std::string> Cluster::get(const std::string& path) const {
  Outcome read = dogfs({"cat", path});
  if (read.exit_code != 0) return std::nullopt;
  return std::move(read.out);
}

}  // namespace dogfs::test
