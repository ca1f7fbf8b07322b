#pragma once
// CRC32C (Castagnoli, as in RFC 3720 appendix B.4), the checksum of every frame, log record and
// shard cell. This is the one place that knows ISA-L's conventions: its routine takes and returns
// the register uninverted, and an int length, so long inputs go in pieces.

#include <cstdint>
#include <span>
#include <string_view>

namespace dogfs {

using ByteView = std::span<const uint8_t>;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The CRC32C of a followed by b is crc32c(b, crc32c(a)).
uint32_t crc32c(ByteView bytes, uint32_t before = 0);

// A checksum that is fed piece by piece, identity first: whoever checks bytes names what they must
// be, so that right bytes in the wrong place do not pass.
class Crc32c {
 public:
  Crc32c& add(ByteView bytes) {
    value_ = crc32c(bytes, value_);
    return *this;
  }
  Crc32c& add(uint64_t number);  // as 8 little-endian bytes
  uint32_t value() const { return value_; }

 private:
  uint32_t value_ = 0;
};

}  // namespace dogfs
