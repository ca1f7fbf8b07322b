#pragma once
// MemorySource and MemorySink: the bytes of a put and of a get that fit into memory. Plain objects
// of whoever calls the client; they never fail.

#include <algorithm>
#include <string>

#include "nodes/client/byte_stream.h"

namespace dogfs::nodes {

class MemorySource final : public ByteSource {
 public:
  // Gives at most `at_once` of them in one piece.
  explicit MemorySource(Buffer bytes, size_t at_once = SIZE_MAX)
      : bytes_(std::move(bytes)), at_once_(at_once) {}
  explicit MemorySource(std::string bytes, size_t at_once = SIZE_MAX)
      : MemorySource(Buffer::take(std::move(bytes)), at_once) {}

  Task<Result<Buffer>> read(size_t max) override {
    const size_t length = std::min({max, at_once_, bytes_.size() - at_});
    Buffer piece = bytes_.slice(at_, length);
    at_ += length;
    co_return piece;
  }

 private:
  const Buffer bytes_;
  const size_t at_once_;
  size_t at_ = 0;
};

class MemorySink final : public ByteSink {
 public:
  Task<Result<void>> write(Buffer piece) override {
    bytes += piece.text();
    co_return Result<void>();
  }

  std::string bytes;  // so far
};

}  // namespace dogfs::nodes
