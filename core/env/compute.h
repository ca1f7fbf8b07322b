#pragma once
// Compute: work that is too long for the event loop (encoding a stripe, hashing a block) runs off
// it. In the real world on a thread pool; in the simulated one inline, after a time modelled from
// the bytes it touches.

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>

#include "core/env/env.h"

namespace dogfs {

// Owns its inputs and its result. Runs on another thread: touches nothing else.
class Job {
 public:
  virtual ~Job() = default;
  virtual void run() noexcept = 0;
};

class Compute {
 public:
  virtual ~Compute() = default;
  // Runs the job once and then completes `op`. The job may run although the operation ended.
  virtual void run(std::shared_ptr<Job> job, size_t work_bytes, OperationRef op) = 0;
};

// offload() on a pool that a world keeps for itself (its disk's).
template <class F>
Task<std::invoke_result_t<F>> offload(Operations& operations, Compute& compute, size_t work_bytes,
                                      F f) {
  using T = std::invoke_result_t<F>;
  struct FunctionJob final : Job {
    explicit FunctionJob(F&& g) : function(std::move(g)) {}
    void run() noexcept override {
      try {
        result.emplace(function());
      } catch (...) {
        thrown = std::current_exception();
      }
    }
    F function;
    std::optional<T> result;
    std::exception_ptr thrown;
  };
  auto job = std::make_shared<FunctionJob>(std::move(f));  // shared: the frame may die first
  co_await suspend(operations, [&compute, job, work_bytes](OperationRef op) {
    compute.run(job, work_bytes, op);
  });
  if (job->thrown) std::rethrow_exception(job->thrown);
  co_return std::move(*job->result);
}

// The result of f(), which owns all that it touches. `work_bytes`: how many bytes it reads and
// writes, for the simulated world's clock.
template <class F>
Task<std::invoke_result_t<F>> offload(Env& env, size_t work_bytes, F f) {
  return offload(env.operations(), env.compute(), work_bytes, std::move(f));
}

}  // namespace dogfs
