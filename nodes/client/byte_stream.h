#pragma once
// ByteSource and ByteSink: where the bytes of a put come from and those of a get go to. Whoever
// calls the client implements them (a local file, a pipe, memory); the client uses one from one
// task at a time, and only while the call that it was given to runs.

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/env/task.h"

namespace dogfs::nodes {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next 1 to `max` bytes; empty at the end, and only there. Give as many as are at hand, up to
  // `max`: what comes in one piece is not copied on its way to the network. An error ends the put.
  virtual Task<Result<Buffer>> read(size_t max) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes all of `bytes`, which follow those of the write before. An error ends the get.
  virtual Task<Result<void>> write(Buffer bytes) = 0;
};

}  // namespace dogfs::nodes
