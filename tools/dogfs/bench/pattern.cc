#include "tools/dogfs/bench/pattern.h"

#include <algorithm>
#include <cstring>

#include "core/base/limits.h"
#include "core/base/random.h"

namespace dogfs::tool {
namespace {

// No multiple of a cell, so that no two stripes of a file are the same.
constexpr size_t kNoiseBytes = 8 * limits::kMiB + 4096;
// Any range of so many bytes lies in one piece.
constexpr size_t kPieceBytes = 4 * limits::kMiB;
// Of what comes back the head of every page is looked at: the client has checked all of it, and
// what is to be found here is bytes of another place.
constexpr size_t kPageBytes = 4 * limits::kKiB;
constexpr size_t kHeadBytes = 32;

}  // namespace

Pattern::Pattern() {
  MutableBuffer noise(kNoiseBytes + kPieceBytes);
  Random random(1);
  for (size_t i = 0; i < kNoiseBytes; i += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(noise.data() + i, &word, sizeof word);
  }
  std::memcpy(noise.data() + kNoiseBytes, noise.data(), kPieceBytes);
  noise_ = std::move(noise).freeze();
}

Buffer Pattern::at(uint64_t offset, size_t max) const {
  return noise_.slice(offset % kNoiseBytes, std::min(max, kPieceBytes));
}

Task<Result<Buffer>> PatternSource::read(size_t max) {
  // In memory of its own, as what is read from a file would be: so the peak memory is a real one.
  const Buffer bytes =
      Buffer::copy(pattern_.at(offset_, std::min<uint64_t>(max, size_ - offset_)).view());
  offset_ += bytes.size();
  co_return bytes;
}

Task<Result<void>> PatternSink::write(Buffer bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const size_t to_next_page = kPageBytes - offset_ % kPageBytes;
    const size_t length = std::min(to_next_page, bytes.size() - done);
    const Buffer expected = pattern_.at(offset_, std::min(length, kHeadBytes));
    if (std::memcmp(expected.data(), bytes.data() + done, expected.size()) != 0)
      co_return fail(Code::kCorrupt, "wrong bytes came back near offset {}", offset_);
    done += length;
    offset_ += length;
  }
  co_return Result<void>();
}

}  // namespace dogfs::tool
