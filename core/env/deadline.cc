#include "core/env/deadline.h"

namespace dogfs {

Deadline::Deadline(Env& env, Stream& stream, Duration limit)
    : env_(env), expired_(std::make_shared<bool>(false)) {
  timer_ = env.operations().park([&stream, expired = expired_](error_code, size_t) {
    *expired = true;
    stream.close();
  });
  env.clock().complete_at(env.now() + limit, timer_);
}

Deadline::~Deadline() { env_.operations().discard(timer_); }

}  // namespace dogfs
