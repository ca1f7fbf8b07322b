#pragma once
// Nursery: owns tasks that run beside each other, and does not let go of them: whoever opens one
// leaves it only when every child has ended. Structured concurrency is the only concurrency here.
//
//   co_await nursery(env, [this](Nursery& children) { return serve(children); });
//
// runs serve(children) in the caller's own task; when it returns, throws or is cancelled, the
// children are cancelled and joined. A child that ends by cancellation ends quietly; any other
// exception that leaves a child is a bug and stops the program.

#include <exception>
#include <list>
#include <memory>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/env/env.h"
#include "core/env/event.h"

namespace dogfs {

class Nursery {
 public:
  explicit Nursery(Env& env);
  ~Nursery();  // joined, or the node is dead: then the children are destroyed here
  Nursery(const Nursery&) = delete;
  Nursery& operator=(const Nursery&) = delete;

  // Starts a child; it first runs after this call. Ignored once stop() was called.
  void spawn(Task<> child);
  // Cancels every child. Each sees it at the co_await it waits in.
  void stop();
  // Waits until no child is left; spawns are still allowed before stop().
  Task<> join();
  size_t size() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

template <class Body>
Task<> nursery(Env& env, Body body) {
  namespace this_coro = asio::this_coro;
  Nursery children(env);
  std::exception_ptr thrown;
  try {
    co_await body(children);
  } catch (...) {
    thrown = std::current_exception();
  }
  // A cancelled task's every further co_await throws, even one of a clean-up coroutine before that
  // is entered. So this is switched off, here, until the children have ended. A cancellation that
  // comes meanwhile interrupts one wait; the task's state remembers it as it does an earlier one.
  const bool throws = co_await this_coro::throw_if_cancelled();
  co_await this_coro::throw_if_cancelled(false);
  children.stop();
  while (children.size() > 0) {
    try {
      co_await children.join();
    } catch (const boost::system::system_error&) {
      continue;
    }
  }
  co_await this_coro::throw_if_cancelled(throws);
  if (thrown) std::rethrow_exception(thrown);
  if ((co_await this_coro::cancellation_state).cancelled() != asio::cancellation_type::none)
    throw boost::system::system_error(asio::error::operation_aborted);
}

// Runs a task of its own without a parent: a node's main. The world keeps it; `done` runs when it
// has ended by itself. Only worlds and tests call this.
void start_root(Env& env, Task<> root, std::move_only_function<void()> done);

}  // namespace dogfs
