#include "tools/dogfs/progress.h"

#include <cstdio>

#include <unistd.h>

#include "core/base/limits.h"
#include "core/env/env.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {

Progress::Progress(Env& env, const Output& output, std::optional<uint64_t> total_bytes)
    : env_(env),
      visible_(!output.json() && ::isatty(STDERR_FILENO)),
      total_bytes_(total_bytes),
      begin_(env.now()),
      shown_(begin_) {}

Progress::~Progress() {
  if (any_) fmt::print(stderr, "\r\033[K");
}

std::function<void(uint64_t bytes)> Progress::callback() {
  if (!visible_) return {};
  return [this](uint64_t bytes) { show(bytes); };
}

void Progress::show(uint64_t bytes) {
  const Instant now = env_.now();
  if (now - shown_ < 100ms) return;
  shown_ = now;
  any_ = true;
  const auto mib = bytes / limits::kMiB;
  const auto rate = mib * 1000 / static_cast<uint64_t>(to_ms(now - begin_));
  fmt::print(stderr, "\r\033[K{} MiB", mib);
  if (total_bytes_ && *total_bytes_ > 0)
    fmt::print(stderr, " of {}, {} %", *total_bytes_ / limits::kMiB, bytes * 100 / *total_bytes_);
  fmt::print(stderr, ", {} MiB/s", rate);
  std::fflush(stderr);
}

}  // namespace dogfs::tool
