#include "core/base/checksum.h"

#include <algorithm>
#include <array>

#include <isa-l/crc.h>

namespace dogfs {

uint32_t crc32c(ByteView bytes, uint32_t before) {
  constexpr size_t kPieceMax = size_t{1} << 30;
  uint32_t state = ~before;
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(bytes.size(), kPieceMax));
    // ISA-L's prototype lacks const; the routine only reads.
    state = crc32_iscsi(const_cast<unsigned char*>(piece.data()), static_cast<int>(piece.size()),
                        state);
    bytes = bytes.subspan(piece.size());
  }
  return ~state;
}

Crc32c& Crc32c::add(uint64_t number) {
  std::array<uint8_t, 8> bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(number >> (8 * i));
  return add(ByteView(bytes));
}

}  // namespace dogfs
