#pragma once
// SpaceRecount: how much is stored, and how much of it is of use, counted from the rows once more,
// by another way than the metadata count (core/namespace/tables.h): a block is in use because a
// file has an extent of it, and bytes of packs are those of extents. Pure.

#include <cstdint>
#include <map>

#include "core/namespace/state_machine.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

struct SpaceRecount {
  uint64_t file_bytes = 0;     // of all files with a name, packs aside
  uint64_t placed_bytes = 0;   // of shards and logs of blocks that files refer to
  uint64_t garbage_bytes = 0;  // of the others, and of former generations
  uint64_t block_bytes = 0;    // of sealed blocks that files refer to, each once
  uint64_t pack_bytes = 0;     // likewise of packs
  uint64_t packed_bytes = 0;   // that files have in blocks of packs
  // Blocks of packs that can be compacted.
  struct Pack {
    uint64_t length = 0;
    uint64_t live = 0;  // bytes that files have
  };
  std::map<BlockId, Pack> packs;
};

SpaceRecount recount_space(const metadata::Tables& tables);

// What `dogfs cluster status` makes its space amplification of. kSpace for each figure that the
// metadata give otherwise. `file_bytes`: as they give it for the root.
void check_recount(const SpaceRecount& recount, const metadata::Counters& told, uint64_t file_bytes,
                   Violations& violations);

}  // namespace dogfs::sim
