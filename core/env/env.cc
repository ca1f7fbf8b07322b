#include "core/env/env.h"

namespace dogfs {

Task<> Env::sleep(Duration duration) { return sleep_until(now() + duration); }

Task<> Env::sleep_until(Instant when) {
  return initiate<void(error_code)>(
      parts_.operations, asio::use_awaitable,
      [this, when](OperationRef op) { parts_.clock.complete_at(when, op); });
}

}  // namespace dogfs
