#pragma once
// A cluster of real server processes for one test, stopped at its end whatever happens: in order
// first, and then whatever is left, by its pid.

#include <optional>
#include <string>
#include <vector>

#include "tests/process/program.h"

namespace dogfs::test {

class Cluster {
 public:
  // `program`: of the servers and of what `control` runs, until another is given there.
  explicit Cluster(const Arguments& shape = {}, const std::string& program = DOGFS_PROGRAM);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  const TemporaryDirectory& scratch() const { return scratch_; }
  std::string directory() const { return scratch_ / "cluster"; }
  // A file command against this cluster.
  Outcome dogfs(const Arguments& arguments, RunOptions options = {}) const;
  // `cluster VERB ARGUMENTS --dir ...`
  Outcome control(const Arguments& arguments, const std::string& program = DOGFS_PROGRAM) const;

  void up() const;
  void kill(const std::string& node) const;
  // Every process, as close together as signals can be sent.
  void kill_all() const;
  std::vector<pid_t> pids() const;
  std::string leader() const;

  // Stores these bytes; the outcome is put's.
  Outcome put(const std::string& path, const std::string& bytes, const Arguments& more = {}) const;
  // The bytes, or nothing when get fails.
  std::optional<std::string> get(const std::string& path) const;

 private:
  TemporaryDirectory scratch_;
};

}  // namespace dogfs::test
