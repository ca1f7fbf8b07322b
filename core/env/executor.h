#pragma once
// Executor: runs the functions of one process from the event loop of its world, in either world. A
// dispatch from the running process runs at once (blocking.possibly); everything else waits for its
// turn. A dead process destroys what it is given, and with it the coroutine frames behind it.

#include <functional>
#include <utility>

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>

namespace dogfs {

// What an Executor asks of its process. Asio's services of a process (its channels) live in it and
// end with it.
class ExecutorTarget : public boost::asio::execution_context {
 public:
  virtual bool refuses() const = 0;
  virtual bool running() const = 0;
  virtual void post(std::move_only_function<void()> function) = 0;

 protected:
  ~ExecutorTarget() = default;
};

class Executor {
 public:
  explicit Executor(ExecutorTarget& target) : target_(&target) {}

  boost::asio::execution_context& query(boost::asio::execution::context_t) const noexcept {
    return *target_;
  }
  boost::asio::execution::blocking_t query(boost::asio::execution::blocking_t) const noexcept {
    if (possibly_) return boost::asio::execution::blocking.possibly;
    return boost::asio::execution::blocking.never;
  }
  Executor require(boost::asio::execution::blocking_t::never_t) const { return {target_, false}; }
  Executor require(boost::asio::execution::blocking_t::possibly_t) const { return {target_, true}; }
  bool operator==(const Executor&) const noexcept = default;

  template <class F>
  void execute(F function) const {
    if (target_->refuses()) return;
    if (possibly_ && target_->running()) {
      function();
      return;
    }
    target_->post(std::move(function));
  }

 private:
  Executor(ExecutorTarget* target, bool possibly) : target_(target), possibly_(possibly) {}

  ExecutorTarget* target_;
  bool possibly_ = true;
};

}  // namespace dogfs
