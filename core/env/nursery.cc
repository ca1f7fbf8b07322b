#include "core/env/nursery.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "core/base/check.h"

namespace dogfs {
namespace {

// The outermost frame of every spawned task. It posts first, so that no child runs inside spawn().
Task<> run_task(Operations& operations, Task<> body) {
  const Operations::LiveTask counted(operations);
  co_await asio::post(asio::use_awaitable);
  co_await std::move(body);
}

void check_ended_well(std::exception_ptr thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    CHECK(error.code() == asio::error::operation_aborted, "a task ended with {}", error.what());
  } catch (const std::exception& error) {
    UNREACHABLE("a task ended with {}", error.what());
  }
}

}  // namespace

// Shared with every child's completion handler: a signal must outlive the coroutine it cancels.
struct Nursery::State {
  struct Child {
    asio::cancellation_signal signal;
    TaskId task = 0;
  };
  explicit State(Env& e) : env(e), changed(e) {}

  Env& env;
  Event changed;
  std::list<Child> children;
  bool stopping = false;
};

Nursery::Nursery(Env& env) : state_(std::make_shared<State>(env)) {}

Nursery::~Nursery() {
  Operations& operations = state_->env.operations();
  CHECK(state_->children.empty() || !operations.alive(), "a nursery was left with {} children",
        state_->children.size());
  // Destroying a child's frames may end other children; take what is there one at a time.
  while (!state_->children.empty()) {
    const TaskId task = state_->children.front().task;
    operations.destroy_task(task);
    std::erase_if(state_->children, [&](const State::Child& child) { return child.task == task; });
  }
}

size_t Nursery::size() const { return state_->children.size(); }

void Nursery::spawn(Task<> child) {
  if (state_->stopping) return;
  Operations& operations = state_->env.operations();
  if (!operations.alive()) return;
  const auto place = state_->children.emplace(state_->children.end());
  place->task = operations.new_task();
  auto ended = [state = state_, place](std::exception_ptr thrown) {
    check_ended_well(thrown);
    state->children.erase(place);
    state->changed.notify();
  };
  operations.as_task(place->task, [&] {
    asio::co_spawn(operations.executor(), run_task(operations, std::move(child)),
                   asio::bind_cancellation_slot(place->signal.slot(), std::move(ended)));
  });
}

void Nursery::stop() {
  state_->stopping = true;
  // A cancelled child ends later, from the event loop, so the list does not change here.
  for (auto& child : state_->children) child.signal.emit(asio::cancellation_type::terminal);
}

Task<> Nursery::join() {
  while (!state_->children.empty()) co_await state_->changed.wait();
}

void start_root(Env& env, Task<> root, std::move_only_function<void()> done) {
  Operations& operations = env.operations();
  operations.as_task(operations.new_task(), [&] {
    asio::co_spawn(operations.executor(), run_task(operations, std::move(root)),
                   [done = std::move(done)](std::exception_ptr thrown) mutable {
                     check_ended_well(thrown);
                     if (done) done();
                   });
  });
}

}  // namespace dogfs
