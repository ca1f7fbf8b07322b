#include "core/namespace/known_blocks.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/namespace/layouts.h"
#include "core/namespace/uploads.h"

namespace dogfs::metadata {
namespace {

// Whoever is told that a put is done may rely on its full width, so none of it may be in doubt.
bool is_whole(const Tables& tables, const BlockRow& block) {
  return (block.state == BlockState::kSealed || MUTANT("M105")) &&
         std::ranges::all_of(block.shards, [&](const ShardRow& shard) {
           const auto* node = tables.map().find(shard.node);
           return shard.durable && node != nullptr && node->state == placement::NodeState::kLive;
         });
}

// Whether a file that would store such a block can have that one instead.
bool serves(const Tables& tables, const BlockRow& block, const placement::Policy& policy,
            uint32_t cell_bytes) {
  return block.policy == policy && block.cell_bytes == cell_bytes && is_whole(tables, block);
}

Result<> check_asked(const Tables& tables, const FileRow& row, const UseBlocks& operation) {
  const size_t count = operation.blocks.size();
  if (count == 0 || count > limits::kBlocksPerAllocation) {
    return fail(Code::kInvalid, "{} blocks asked for at once, 1 to {} are allowed", count,
                limits::kBlocksPerAllocation);
  }
  const uint64_t block_bytes = block_bytes_of(tables, row);
  for (const KnownBlock& block : operation.blocks) {
    if (block.length > 0 && block.length <= block_bytes) continue;
    return fail(Code::kInvalid, "a block of {} bytes: 1 to {} are allowed", block.length,
                block_bytes);
  }
  if (operation.file_offset != row.length()) {
    return fail(Code::kPrecondition, "blocks asked for at offset {}, the others end at {}",
                operation.file_offset, row.length());
  }
  if (row.extents.size() + count <= limits::kFileBlocksMax) return {};
  return fail(Code::kTooLarge, "a file has at most {} blocks; use larger blocks",
              limits::kFileBlocksMax);
}

// The caller writes the row.
void take_from_volume(Tables& tables, BlockRow& block) {
  if (block.known_in) tables.erase_known(block.known_in, *block.digest);
  block.known_in = InodeId(0);
}

// The block that the upload may have; 0: none.
BlockId find_known(const Tables& tables, InodeId volume, const FileRow& row,
                   const KnownBlock& asked) {
  const auto known = tables.known(volume, asked.digest);
  if (!known) return BlockId(0);
  const auto block = tables.block(known->block);
  const bool in_use = block.has_value() && (!block->is_garbage() || MUTANT("M105"));
  CHECK(in_use, "block {} is known and gone", known->block);
  const bool same = block->length == asked.length;
  return same && serves(tables, *block, row.policy, row.cell_bytes) ? known->block : BlockId(0);
}

}  // namespace

// The bound ends the walk when a planted bug has made a loop.
InodeId volume_of(const Tables& tables, InodeId directory) {
  for (uint64_t steps = 0; directory && steps <= tables.counters().directories; ++steps) {
    const auto row = tables.directory(directory);  // that of an upload may be gone
    if (!row) return InodeId(0);
    const auto& mode = row->content_mode;
    if (mode) return *mode == ContentMode::kDedup ? directory : InodeId(0);
    directory = row->parent;
  }
  return InodeId(0);
}

void know_block(Tables& tables, FileHandle file, BlockId id) {
  auto block = tables.block(id);
  CHECK(block.has_value(), "block {} of an upload is gone", id);
  if (!block->digest || block->known_in || block->disowned) return;
  if (!is_whole(tables, *block)) return;
  const InodeId volume = volume_of(tables, file.home);
  if (!volume) return;
  const auto known = tables.known(volume, *block->digest);
  if (known) {
    auto other = tables.block(known->block);
    CHECK(other.has_value(), "block {} is known and gone", known->block);
    if (serves(tables, *other, block->policy, block->cell_bytes)) return;
    other->known_in = InodeId(0);
    tables.put(known->block, *other);
  }
  tables.put(volume, *block->digest, KnownRow{.block = id});
  if (!block->shared) tables.put(id, file.file, ReferrerRow{.home = file.home});
  block->shared = true;
  block->known_in = volume;
  tables.put(id, *block);
}

void forget_block(Tables& tables, BlockRow& block) {
  take_from_volume(tables, block);
  block.digest.reset();
  block.disowned = false;
}

Response apply(Tables& tables, const EntryContext& entry, const UseBlocks& operation) {
  TRY(row, held_upload(tables, entry, operation.file, operation.epoch));
  TRY_VOID(check_asked(tables, row, operation));
  const InodeId volume = volume_of(tables, operation.file.home);
  BlocksUsed used;
  for (const KnownBlock& asked : operation.blocks) {
    const BlockId id = volume ? find_known(tables, volume, row, asked) : BlockId(0);
    if (!id) break;
    row.extents.push_back(
        {.file_offset = row.length(), .length = asked.length, .block = id, .block_offset = 0});
    tables.put(id, operation.file.file, ReferrerRow{.home = operation.file.home});
    ++used.blocks;
  }
  if (used.blocks > 0) tables.put(operation.file, row);
  return used;
}

Response apply(Tables& tables, const EntryContext&, const DisownBlock& operation) {
  auto block = tables.block(operation.block);
  if (!block || block->digest != operation.digest || block->disowned) return Done{};
  take_from_volume(tables, *block);
  block->disowned = true;
  tables.put(operation.block, *block);
  return Done{};
}

}  // namespace dogfs::metadata
