#pragma once
// Checksums of joined bytes from the checksums of the parts: bytes that were
// checked once need not be read again because they travel in another frame or
// under another name. Costs about a microsecond, whatever the length; a pass
// over fewer than some KiB is cheaper.

#include <cstdint>

namespace dogfs {

// crc32c of a followed by b, from crc32c(a) and crc32c(b).
uint32_t crc32c_combine(uint32_t a, uint32_t b, uint64_t b_bytes);
// crc32c of b, from crc32c(a) and that of a followed by b.
uint32_t crc32c_behind(uint32_t a, uint32_t joined, uint64_t b_bytes);

}  // namespace dogfs
