#pragma once
// ServerProcess: one server of a local cluster as an operating system process: started in a session
// of its own with its output in a log file, known by a pid file that survives the starter. The pid
// file holds the start time of the process, too, so that a pid that was used again is never taken
// for the server, and how long the log was then.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/time.h"

namespace dogfs::tool {

class ServerProcess {
 public:
  // `directory` holds the pid file and server.log.
  explicit ServerProcess(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // The pid, if the server that was started last still runs.
  std::optional<int> running() const;
  // Starts it. kExists when it runs; kIo when it cannot be started, or as replace_file when its pid
  // cannot be written down: then it does not run either.
  Result<void> start(const std::filesystem::path& program,
                     const std::vector<std::string>& arguments);
  // kNotFound when it does not run.
  Result<void> signal(int signal);
  // kDeadline when the process is still there after `limit`.
  Result<void> wait_until_gone(Duration limit) const;
  // What it wrote since it was started last, at most the end of it; for error messages.
  std::string log_tail() const;

 private:
  std::string name() const { return directory_.filename().string(); }
  std::filesystem::path pid_file() const { return directory_ / "pid"; }
  std::filesystem::path log_file() const { return directory_ / "server.log"; }

  std::filesystem::path directory_;
};

}  // namespace dogfs::tool
