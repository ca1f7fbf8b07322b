#pragma once
// Limits on waiting: within() bounds any task; Deadline bounds what is done with one stream. Both
// belong to the code that waits, and nothing that they started outlives them.

#include <memory>
#include <optional>

#include "core/base/error.h"
#include "core/env/event.h"
#include "core/env/network.h"
#include "core/env/nursery.h"

namespace dogfs {

// Closes the stream when the time is over, so that whatever waits on it ends with an error. Made
// after the stream and destroyed before it. Cheap: no task, one timer.
class Deadline {
 public:
  Deadline(Env& env, Stream& stream, Duration limit);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool expired() const { return *expired_; }

 private:
  Env& env_;
  OperationRef timer_;
  std::shared_ptr<bool> expired_;
};

namespace within_detail {

template <class T>
struct State {
  explicit State(Env& env) : done(env) {}
  std::optional<Result<T>> result;
  Event done;
  bool in_time = false;
};

template <class T>
Task<> run(std::shared_ptr<State<T>> state, Task<Result<T>> task) {
  const SetAtEnd ended(state->done);
  state->result.emplace(co_await std::move(task));
}

template <class T>
Task<> race(Nursery& children, std::shared_ptr<State<T>> state, Task<Result<T>> task,
            Duration limit) {
  children.spawn(run(state, std::move(task)));
  state->in_time = co_await state->done.wait_for(limit);
}

}  // namespace within_detail

// The task's result, or kDeadline when it did not end in time; it was then cancelled and has ended.
// A result that was there when the time ended is never dropped. A task that throws
// operation_aborted of itself, as reading from a closed stream does, passes that on at once.
template <class T>
Task<Result<T>> within(Env& env, Duration limit, Task<Result<T>> task) {
  auto state = std::make_shared<within_detail::State<T>>(env);
  co_await nursery(env, [&](Nursery& children) {
    return within_detail::race(children, state, std::move(task), limit);
  });
  if (state->result) co_return std::move(*state->result);
  if (state->in_time) throw boost::system::system_error(asio::error::operation_aborted);
  co_return fail(Code::kDeadline, "not done within {} ms", to_ms(limit));
}

}  // namespace dogfs
