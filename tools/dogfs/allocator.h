#pragma once
// The program's allocator: mimalloc in place of the C library's, except under a sanitizer. What a
// snapshot leaves behind goes back without a pause, on whatever thread it is freed.

#include <cstdint>

namespace dogfs::tool {

// Bytes that this thread has allocated and nobody has freed; what the allocator keeps for itself is
// not among them.
uint64_t allocated_bytes();

}  // namespace dogfs::tool
