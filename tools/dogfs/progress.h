#pragma once
// Progress: one line on stderr that tells how far a transfer is, when stderr is a terminal and
// nobody asked for JSON. It is wiped when the object goes. One thread.

#include <cstdint>
#include <functional>
#include <optional>

#include "core/base/time.h"

namespace dogfs {
class Env;
}

namespace dogfs::tool {

class Output;

class Progress {
 public:
  Progress(Env& env, const Output& output, std::optional<uint64_t> total_bytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // To be called with the bytes so far; does nothing when there is nobody to see it.
  std::function<void(uint64_t bytes)> callback();

 private:
  void show(uint64_t bytes);

  Env& env_;
  const bool visible_;
  const std::optional<uint64_t> total_bytes_;
  const Instant begin_;
  Instant shown_;
  bool any_ = false;
};

}  // namespace dogfs::tool
