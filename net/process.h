#pragma once
// Process: one incarnation of a node in the real world: its registry of operations and its Env. As
// sim/world has one for each boot of a host, a server has one for its life; a test may have many on
// one Loop, kill any of them and make it anew on the same directory.
//
// Everything here is called from the loop's thread. After kill() no frame of the node is left, its
// sockets are closed and no job touches its files; it then stays behind as a tombstone, since
// copies of its executor point at it. Streams and files are owned by frames, so they are gone
// before it.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/env/executor.h"
#include "core/env/operations.h"
#include "net/line_log.h"

namespace dogfs::net {

class FileDisk;
class Gate;
class Loop;
class RootDirectory;
class SteadyClock;

struct ProcessOptions {
  std::string name;            // in log lines
  std::string data_directory;  // made if missing; empty: no disk
  // Further ones, each a disk of its own. With any, one that cannot be used is a disk that fails
  // every call, and no error.
  std::vector<std::string> more_directories;
  LineLog::Options log;
};

class Process final : public Operations, private ExecutorTarget {
 public:
  // kIo, kNotFound, kInvalid: the data directory or the log file cannot be used; kUnavailable:
  // another process uses the directory.
  static Result<std::unique_ptr<Process>> make(Loop& loop, ProcessOptions options);
  ~Process() override;  // kills

  Env& env() { return *env_; }
  // Of each data directory, in their order; the first is that of env().
  std::vector<Disk*> disks();
  // Runs the node's main as the root task; `done` is called when it has returned by itself.
  void start(Task<> main, std::move_only_function<void()> done = {});
  // Of its files and directories so far.
  uint64_t syncs() const;
  // The longest time for which this process kept the loop from everything else, since this was
  // asked last.
  Duration take_longest_turn() { return std::exchange(longest_turn_, Duration()); }
  // Never from a handler of this process.
  void kill();

 protected:
  void schedule(OperationRef op) override;

 private:
  explicit Process(Loop& loop);
  Result<void> open(ProcessOptions options);
  Result<void> open_disk(const std::string& directory, bool required);
  // Runs what was scheduled so far.
  void drain();

  // ExecutorTarget
  bool refuses() const override { return !alive(); }
  bool running() const override;
  void post(std::move_only_function<void()> function) override;

  Loop& loop_;
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<Gate> disk_gate_;
  std::vector<OperationRef> ready_;
  std::vector<OperationRef> running_now_;  // empty between drains; keeps its memory
  bool drain_posted_ = false;
  Duration longest_turn_{};
  std::vector<std::shared_ptr<RootDirectory>> roots_;
  std::unique_ptr<LineLog> log_;
  std::unique_ptr<SteadyClock> clock_;
  std::unique_ptr<Network> network_;
  std::vector<std::unique_ptr<FileDisk>> disks_;
  std::unique_ptr<Compute> compute_;
  std::unique_ptr<Compute> disk_compute_;
  std::optional<Env> env_;
};

}  // namespace dogfs::net
