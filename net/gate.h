#pragma once
// Gate: all that a pool thread, or a handler that waits in the reactor, may know of a process. It
// is shut when the process is killed; then nobody reaches the process or its loop through it, so
// both may be destroyed although a pool still works.
//
// enter() and leave() belong to pool threads, process() and shut() to the loop's thread.

#include <condition_variable>
#include <memory>
#include <mutex>

#include "core/env/operations.h"

namespace boost::asio {
class io_context;
}

namespace dogfs::net {

class Process;

class Gate : public std::enable_shared_from_this<Gate> {
 public:
  Gate(Process& process, asio::io_context& io) : io_(io), process_(&process) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // A job begins. False: the gate is shut, the job must not run.
  bool enter();
  // The job has ended: `op` completes on the loop, unless the gate was shut meanwhile.
  void leave(OperationRef op);

  // Null once shut.
  Process* process() const { return process_; }
  // Waits for no job: those that run end alone, those that have not begun never will.
  void shut();
  // Also waits until the jobs that have begun are over.
  void shut_and_wait();

 private:
  asio::io_context& io_;  // touched only while open
  std::mutex mutex_;
  std::condition_variable idle_;
  Process* process_;  // written by the loop's thread under the mutex
  int running_ = 0;   // under the mutex
};

}  // namespace dogfs::net
