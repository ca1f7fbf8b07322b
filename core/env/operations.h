#pragma once
// Operations: the registry of everything one node (one incarnation of it) is waiting for. Owned by
// its world's process; used by the layers below node code, never by node code itself. One thread.
//
// The ownership rule. A pending handler owns the coroutine frames behind it, so it lives in exactly
// one place: here. The event heap, a peer's socket, a listener, a disk queue and a thread pool keep
// only an OperationRef, which goes stale when the operation ends. Killing a node is emptying its
// registry, and then no frame of it is left.
//
// An operation is parked by its initiation, completed once (the first result counts, later ones and
// those of stale references are ignored), and its handler runs later, from the node's event loop:
// never inside the call that began it.

#include <cstdint>
#include <functional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/env/task.h"

namespace dogfs {

// A weak name of a pending operation.
struct OperationRef {
  uint32_t index = UINT32_MAX;
  uint32_t generation = 0;
  bool operator==(const OperationRef&) const = default;
};

// A spawned task. Operations are tagged with the task that waits for them, so that a dying nursery
// can destroy its children before what they refer to.
using TaskId = uint32_t;

class Operations {
 public:
  using Completion = std::move_only_function<void(error_code, size_t)>;

  // The executor must run a dispatched function at once while this node is running
  // (blocking.possibly); Asio's co_spawn uses freed memory with one that always queues.
  explicit Operations(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  virtual ~Operations();
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  const asio::any_io_executor& executor() const { return executor_; }
  bool alive() const { return alive_; }

  // Takes the handler over until it runs, is discarded or the node is killed. A dead node destroys
  // it at once and returns a stale reference.
  OperationRef park(Completion completion, asio::cancellation_slot slot = {});
  // True until a result is decided. Only while this holds may an implementation touch the memory
  // that the initiator lent it.
  bool pending(OperationRef op) const;
  // True until the handler ran.
  bool exists(OperationRef op) const;
  // Decides the result; the handler runs later. Ignored when stale or decided.
  void complete(OperationRef op, error_code result, size_t count = 0);
  // Runs the handler now, from the event loop; an undecided operation succeeds with count 0 (a
  // timer that elapsed).
  void fire(OperationRef op);
  // Drops the handler without running it.
  void discard(OperationRef op);

  // Tasks.
  TaskId new_task() { return ++last_task_; }
  TaskId current_task() const { return current_task_; }
  // Runs f with operations parked in it belonging to `task`.
  template <class F>
  void as_task(TaskId task, F&& f) {
    const TaskId outer = std::exchange(current_task_, task);
    f();
    current_task_ = outer;
  }
  // Destroys all frames of a task of a dead node.
  void destroy_task(TaskId task);
  // Frames of spawned tasks that exist (each holds what it awaits). Zero after a kill.
  int live_tasks() const { return live_tasks_; }

  // Counts one spawned task's outermost frame.
  class LiveTask {
   public:
    explicit LiveTask(Operations& operations) : operations_(operations) {
      ++operations_.live_tasks_;
    }
    ~LiveTask() { --operations_.live_tasks_; }
    LiveTask(const LiveTask&) = delete;
    LiveTask& operator=(const LiveTask&) = delete;

   private:
    Operations& operations_;
  };

 protected:
  // Makes fire(op) happen soon, from the event loop, not now.
  virtual void schedule(OperationRef op) = 0;
  // Refuses everything from now on and destroys all handlers. Never call it from a handler of this
  // node.
  void kill();

 private:
  struct Operation {
    Completion completion;
    asio::cancellation_slot slot;
    error_code result;
    size_t count = 0;
    uint32_t generation = 0;
    TaskId task = 0;
    bool decided = false;
  };
  void cancel(OperationRef op);
  Completion take(OperationRef op);

  asio::any_io_executor executor_;
  std::vector<Operation> operations_;
  std::vector<uint32_t> free_;
  TaskId last_task_ = 0;
  TaskId current_task_ = 0;
  int live_tasks_ = 0;
  bool alive_ = true;
};

// Turns any completion token into a parked operation and hands its reference to start(ref).
// Signature is void(error_code) or void(error_code, size_t).
template <class Signature, class Token, class Start>
auto initiate(Operations& operations, Token&& token, Start start) {
  return asio::async_initiate<Token, Signature>(
      [&operations](auto handler, auto begin) {
        const auto slot = asio::get_associated_cancellation_slot(handler);
        auto executor = asio::get_associated_executor(handler, operations.executor());
        auto call = [handler = std::move(handler)](error_code result, size_t count) mutable {
          if constexpr (std::is_same_v<Signature, void(error_code)>)
            std::move(handler)(result);
          else
            std::move(handler)(result, count);
        };
        bool at_home = false;
        if constexpr (std::is_same_v<decltype(executor), asio::any_io_executor>)
          at_home = executor == operations.executor();
        OperationRef op;
        if (at_home) {
          op = operations.park(std::move(call), slot);
        } else {
          op = operations.park(
              [call = std::move(call), executor](error_code result, size_t count) mutable {
                asio::dispatch(executor, [call = std::move(call), result, count]() mutable {
                  call(result, count);
                });
              },
              slot);
        }
        begin(op);
      },
      token, std::move(start));
}

// Waits for an operation of the layers below: co_await suspend(operations, [&](OperationRef op)
// {...}) gives the count it completed with, and throws what it failed with.
template <class Start>
Task<size_t> suspend(Operations& operations, Start start) {
  return initiate<void(error_code, size_t)>(operations, asio::use_awaitable, std::move(start));
}

}  // namespace dogfs
