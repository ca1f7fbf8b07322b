#include "tools/dogfs/allocator.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DOGFS_SANITIZER_ALLOCATES
#endif
#endif

#ifdef DOGFS_SANITIZER_ALLOCATES
#include <malloc.h>
#else
#include <mimalloc.h>
#endif

namespace dogfs::tool {

#ifdef DOGFS_SANITIZER_ALLOCATES

void set_up_allocator() {}

uint64_t allocated_bytes() {
  const auto usage = ::mallinfo2();
  return usage.uordblks + usage.hblkhd;
}

void give_back_freed_memory() { ::malloc_trim(0); }

#else

namespace {

bool add_area(const mi_heap_t*, const mi_heap_area_t* area, void*, size_t, void* sum) {
  *static_cast<uint64_t*>(sum) += area->used * area->block_size;
  return true;
}

constexpr long kKeptMs = 250;

}  // namespace

void set_up_allocator() { ::mi_option_set(mi_option_decommit_delay, kKeptMs); }

uint64_t allocated_bytes() {
  uint64_t sum = 0;
  ::mi_heap_visit_blocks(::mi_heap_get_default(), false, add_area, &sum);
  return sum;
}

void give_back_freed_memory() { ::mi_collect(true); }

#endif

}  // namespace dogfs::tool
