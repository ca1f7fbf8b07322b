#pragma once
// Loop: the event loop and the thread pools that one or more processes share. A server has one
// Loop and one Process, put together by Runtime; a test may run many processes on one Loop.
//
// One thread runs it: run_one() and everything of the processes' happens there. Destroyed after its
// processes; then the reactor goes first and the pools are joined last (jobs that run are waited
// for, those that have not begun are dropped).

#include <cstddef>
#include <memory>

#include "core/base/time.h"

namespace boost::asio {
class io_context;
class thread_pool;
}  // namespace boost::asio

namespace dogfs::net {

class Process;

class Loop {
 public:
  struct Options {
    size_t disk_threads = 8;
    size_t compute_threads = 0;  // 0: one for each core
  };
  explicit Loop(const Options& options);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs what happens until stop().
  void run();
  // From the loop's thread.
  void stop();
  // Runs what happens next, waiting for it at most `limit`. False: nothing happened.
  bool run_one(Duration limit = std::chrono::hours(1));

  // For processes.
  boost::asio::io_context& io() { return *io_; }
  boost::asio::thread_pool& disk_pool() { return *disk_pool_; }
  boost::asio::thread_pool& compute_pool() { return *compute_pool_; }
  // Whose handler runs now, or null.
  const Process* running() const { return running_; }
  void set_running(const Process* process) { running_ = process; }

 private:
  struct WorkGuard;

  // Destroyed in reverse: the reactor before the pools.
  std::unique_ptr<boost::asio::thread_pool> disk_pool_;
  std::unique_ptr<boost::asio::thread_pool> compute_pool_;
  std::unique_ptr<boost::asio::io_context> io_;
  std::unique_ptr<WorkGuard> guard_;
  const Process* running_ = nullptr;
};

}  // namespace dogfs::net
