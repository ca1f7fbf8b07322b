#include "tools/dogfs/bench/pattern.h"

#include <algorithm>
#include <cstring>

#include "core/base/limits.h"
#include "core/base/random.h"

namespace dogfs::tool {
namespace {

// No multiple of a cell, so that no two stripes of a file are the same.
constexpr size_t kNoiseBytes = 8 * limits::kMiB + 4096;

}  // namespace

Pattern::Pattern() {
  MutableBuffer noise(kNoiseBytes);
  Random random(1);
  for (size_t i = 0; i < kNoiseBytes; i += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(noise.data() + i, &word, sizeof word);
  }
  noise_ = std::move(noise).freeze();
}

Buffer Pattern::at(uint64_t offset, size_t max) const {
  const size_t begin = offset % noise_.size();
  return noise_.slice(begin, std::min(max, noise_.size() - begin));
}

Task<Result<Buffer>> PatternSource::read(size_t max) {
  const Buffer bytes = pattern_.at(offset_, std::min<uint64_t>(max, size_ - offset_));
  offset_ += bytes.size();
  co_return bytes;
}

Task<Result<void>> PatternSink::write(Buffer bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const Buffer expected = pattern_.at(offset_, bytes.size() - done);
    if (std::memcmp(expected.data(), bytes.data() + done, expected.size()) != 0)
      co_return fail(Code::kCorrupt, "wrong bytes came back near offset {}", offset_);
    done += expected.size();
    offset_ += expected.size();
  }
  co_return Result<void>();
}

}  // namespace dogfs::tool
