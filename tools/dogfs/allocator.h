#pragma once
// The program's allocator: mimalloc in place of the C library's, except under a sanitizer. What a
// snapshot leaves behind goes back without a pause, on whatever thread it is freed.

#include <cstdint>

namespace dogfs::tool {

// To be called first of all. Pages that were freed are kept for a quarter of a second: the pieces
// of a file on its way come and go within that, and each would be mapped anew.
void set_up_allocator();

// Bytes that this thread has allocated and nobody has freed; what the allocator keeps for itself is
// not among them.
uint64_t allocated_bytes();

// What is freed and kept goes back to the system now, that of threads that have ended included.
void give_back_freed_memory();

}  // namespace dogfs::tool
