#pragma once
// Buffer: immutable bytes, shared by reference count; copying or slicing one copies no bytes.
// MutableBuffer: bytes with one owner, written and then frozen into a Buffer.
//
// Bytes that are given to disk, network or compute travel as Buffers, so that they live as long as
// the operation does, whatever happens to the coroutine that asked.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "core/base/checksum.h"

namespace dogfs {

class Buffer {
 public:
  Buffer() = default;
  static Buffer copy(ByteView bytes);
  static Buffer copy(std::string_view text) { return copy(as_bytes(text)); }
  // Takes over a string's storage without copying.
  static Buffer take(std::string text);
  // One behind the other; a single one is shared, more are copied.
  static Buffer join(std::span<const Buffer> pieces);

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  ByteView view() const { return {data_, size_}; }
  std::string_view text() const { return as_text(view()); }

  // Shares this buffer's bytes; offset + length must lie within it.
  Buffer slice(size_t offset, size_t length) const;
  Buffer suffix(size_t offset) const { return slice(offset, size_ - offset); }

  bool operator==(const Buffer& other) const { return text() == other.text(); }

 private:
  friend class MutableBuffer;
  Buffer(std::shared_ptr<const void> owner, const uint8_t* data, size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}

  std::shared_ptr<const void> owner_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

class MutableBuffer {
 public:
  MutableBuffer() = default;
  // Uninitialised bytes: the caller writes all of them before freezing.
  explicit MutableBuffer(size_t size);
  static MutableBuffer zeroed(size_t size);
  MutableBuffer(MutableBuffer&& other) noexcept
      : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}
  MutableBuffer& operator=(MutableBuffer&& other) noexcept {
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  uint8_t* data() { return bytes_.get(); }
  size_t size() const { return size_; }
  std::span<uint8_t> span() { return {bytes_.get(), size_}; }
  // Shortens to the first `size` bytes (a short read).
  void truncate(size_t size);
  Buffer freeze() &&;

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

}  // namespace dogfs
