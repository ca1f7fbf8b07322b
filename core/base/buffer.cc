#include "core/base/buffer.h"

#include <cstring>
#include <utility>

namespace dogfs {

Buffer Buffer::copy(ByteView bytes) {
  if (bytes.empty()) return {};
  auto owner = std::make_shared_for_overwrite<uint8_t[]>(bytes.size());
  std::memcpy(owner.get(), bytes.data(), bytes.size());
  const uint8_t* data = owner.get();
  return Buffer(std::move(owner), data, bytes.size());
}

Buffer Buffer::take(std::string text) {
  auto owner = std::make_shared<const std::string>(std::move(text));
  const auto* data = reinterpret_cast<const uint8_t*>(owner->data());
  const size_t size = owner->size();
  return Buffer(std::move(owner), data, size);
}

Buffer Buffer::join(std::span<const Buffer> pieces) {
  if (pieces.size() == 1) return pieces.front();
  size_t size = 0;
  for (const Buffer& piece : pieces) size += piece.size();
  MutableBuffer joined(size);
  size_t at = 0;
  for (const Buffer& piece : pieces) {
    if (!piece.empty()) std::memcpy(joined.data() + at, piece.data(), piece.size());
    at += piece.size();
  }
  return std::move(joined).freeze();
}

Buffer Buffer::slice(size_t offset, size_t length) const {
  CHECK(offset <= size_ && length <= size_ - offset, "slice {}+{} of {}", offset, length, size_);
  return Buffer(owner_, data_ + offset, length);
}

MutableBuffer::MutableBuffer(size_t size)
    : bytes_(std::make_unique_for_overwrite<uint8_t[]>(size)), size_(size) {}

MutableBuffer MutableBuffer::zeroed(size_t size) {
  MutableBuffer out(size);
  if (size > 0) std::memset(out.data(), 0, size);
  return out;
}

void MutableBuffer::truncate(size_t size) {
  CHECK(size <= size_, "truncate {} to {}", size_, size);
  size_ = size;
}

Buffer MutableBuffer::freeze() && {
  const size_t size = std::exchange(size_, 0);
  std::shared_ptr<const uint8_t[]> owner(std::move(bytes_));
  const uint8_t* data = owner.get();
  return Buffer(std::move(owner), data, size);
}

}  // namespace dogfs
