#pragma once
// Pattern: bytes that can be made and checked at next to no cost, so that a benchmark measures the
// store. PatternSource gives a number of them; PatternSink says whether they came back.

#include "nodes/client/byte_stream.h"

namespace dogfs::tool {

// A few MiB of noise, repeated without end.
class Pattern {
 public:
  Pattern();
  // The next up to `max` bytes from `offset`.
  Buffer at(uint64_t offset, size_t max) const;

 private:
  Buffer noise_;
};

class PatternSource final : public nodes::ByteSource {
 public:
  PatternSource(const Pattern& pattern, uint64_t size) : pattern_(pattern), size_(size) {}
  Task<Result<Buffer>> read(size_t max) override;

 private:
  const Pattern& pattern_;
  uint64_t size_;
  uint64_t offset_ = 0;
};

class PatternSink final : public nodes::ByteSink {
 public:
  // The first byte that comes is that at `begin`.
  PatternSink(const Pattern& pattern, uint64_t begin)
      : pattern_(pattern), begin_(begin), offset_(begin) {}
  // kCorrupt when other bytes come than the source gave; looks at some of every page.
  Task<Result<void>> write(Buffer bytes) override;
  uint64_t size() const { return offset_ - begin_; }

 private:
  const Pattern& pattern_;
  const uint64_t begin_;
  uint64_t offset_;
};

}  // namespace dogfs::tool
