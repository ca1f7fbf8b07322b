#include "net/gate.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "net/process.h"

namespace dogfs::net {

bool Gate::enter() {
  const std::lock_guard lock(mutex_);
  if (process_ == nullptr) return false;
  ++running_;
  return true;
}

void Gate::leave(OperationRef op) {
  const std::lock_guard lock(mutex_);
  --running_;
  // Posted under the lock: whoever shuts the gate may destroy the loop next.
  if (process_ != nullptr) {
    asio::post(io_, [self = shared_from_this(), op] {
      if (Process* process = self->process()) process->complete(op, {});
    });
  }
  idle_.notify_all();
}

void Gate::shut() {
  const std::lock_guard lock(mutex_);
  process_ = nullptr;
}

void Gate::shut_and_wait() {
  std::unique_lock lock(mutex_);
  process_ = nullptr;
  idle_.wait(lock, [this] { return running_ == 0; });
}

}  // namespace dogfs::net
