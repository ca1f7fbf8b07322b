#pragma once
// Runs the real `dogfs` program, as a person or a script does, and tells what came of it.
// DOGFS_PROGRAM, defined by the build, is the program under test; DOGFS_PREVIOUS is the same as a
// build that knows no cluster version but the first.

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>
#include <sys/types.h>

#include "tests/temporary_directory.h"

namespace dogfs::test {

using Arguments = std::vector<std::string>;

struct Outcome {
  int exit_code = -1;  // 128 and the signal when one ended it
  std::string out;
  std::string err;
  double seconds = 0;

  // Standard output as JSON lines; fails the test when a line is none.
  std::vector<nlohmann::json> lines() const;
};

struct RunOptions {
  std::string input;        // on standard input
  std::string environment;  // one more variable, as in "A=b"
  std::string output;       // standard output goes into this file instead
  std::vector<int> closed;  // standard streams that it is started without
  std::string program = DOGFS_PROGRAM;
  std::chrono::seconds limit{60};  // then it is killed
};

// Its own state directory, no cluster in the environment.
Outcome run(const TemporaryDirectory& scratch, const Arguments& arguments,
            const RunOptions& options = {});

// The same, not waited for. Its output goes to files of the scratch directory.
class Running {
 public:
  Running(const TemporaryDirectory& scratch, const Arguments& arguments,
          const RunOptions& options = {});
  ~Running();  // kills
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int signal) const;
  Outcome wait();

 private:
  std::string name_;
  std::chrono::seconds limit_;
  std::chrono::steady_clock::time_point begin_;
  pid_t pid_ = 0;  // 0: collected
};

std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& content);
// Bytes that are the same for the same seed, and compress to nothing less.
std::string noise(size_t size, uint64_t seed);

}  // namespace dogfs::test
