#include "core/namespace/uploads.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/namespace/blocks.h"
#include "core/namespace/files.h"
#include "core/namespace/garbage.h"
#include "core/namespace/known_blocks.h"
#include "core/namespace/layouts.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"

namespace dogfs::metadata {
namespace {

Result<FileRow> upload(const Tables& tables, FileHandle file, Epoch epoch) {
  auto row = tables.file(file);
  if (!row) {
    // Nothing of it is left, and whoever tries again begins anew. Not kNotFound: that would say
    // that the directory of the path is gone.
    return fail(Code::kUnavailable, "the lease of upload {} has ended, or it was abandoned",
                file.file);
  }
  if (row->state != FileState::kUpload) {
    return fail(Code::kPrecondition, "upload {} is finished already", file.file);
  }
  if (row->epoch != epoch) {
    return fail(Code::kPrecondition, "the lease of upload {} is at epoch {}, not {}", file.file,
                row->epoch, epoch);
  }
  return *std::move(row);
}

uint64_t end_of(const std::vector<Extent>& extents) {
  return extents.empty() ? 0 : extents.back().file_offset + extents.back().length;
}

// Bounds the work of an entry that keeps only the first `kept` extents.
Result<> check_given_back(const FileRow& row, size_t kept) {
  const size_t given_back = row.extents.size() - kept;
  if (given_back <= limits::kRemoveStepMax) return {};
  return fail(Code::kTooLarge, "{} blocks to give back at once, {} are allowed", given_back,
              limits::kRemoveStepMax);
}

void give_back(Tables& tables, const EntryContext& entry, FileHandle file, FileRow& row,
               size_t kept) {
  const auto first = row.extents.begin() + static_cast<ptrdiff_t>(kept);
  const std::vector<Extent> dropped(first, row.extents.end());
  row.extents.resize(kept);
  release_extents(tables, entry, file.file, dropped, ReferredBlocks(row.extents));
}

// --- Allocation ---

Result<> check_lengths(uint64_t block_bytes, const AllocateBlocks& operation) {
  const size_t count = operation.lengths.size();
  if (count == 0 || count > limits::kBlocksPerAllocation) {
    return fail(Code::kInvalid, "{} blocks asked for at once, 1 to {} are allowed", count,
                limits::kBlocksPerAllocation);
  }
  for (const uint64_t length : operation.lengths) {
    if (length > 0 && length <= block_bytes) continue;
    return fail(Code::kInvalid, "a block of {} bytes: 1 to {} are allowed", length, block_bytes);
  }
  return {};
}

// How many extents stay: all, or those before the one that begins where the new blocks go.
Result<size_t> kept_extents(const Tables& tables, const FileRow& row,
                            const AllocateBlocks& operation) {
  const uint64_t file_offset = operation.file_offset;
  size_t kept = row.extents.size();
  while (kept > 0 && row.extents[kept - 1].file_offset >= file_offset) --kept;
  const uint64_t end =
      kept == 0 ? 0 : row.extents[kept - 1].file_offset + row.extents[kept - 1].length;
  if (file_offset != end) {
    return fail(Code::kPrecondition, "blocks asked for at offset {}, where none begins or ends",
                file_offset);
  }
  if (kept + operation.lengths.size() > limits::kFileBlocksMax) {
    return fail(Code::kTooLarge, "a file has at most {} blocks; use larger blocks",
                limits::kFileBlocksMax);
  }
  TRY_VOID(check_given_back(row, kept));
  for (size_t i = kept; i < row.extents.size(); ++i) {
    const auto block = tables.block(row.extents[i].block);
    CHECK(block.has_value(), "block {} of an upload is gone", row.extents[i].block);
    if (block->state == BlockState::kOpen) continue;
    return fail(Code::kPrecondition, "block {} at offset {} is committed", row.extents[i].block,
                row.extents[i].file_offset);
  }
  return kept;
}

PlacedBlock allocate(Tables& tables, FileHandle file, const std::vector<NodeId>& servers,
                     FileRow& row, uint64_t length) {
  BlockRow block{.state = BlockState::kOpen,
                 .policy = row.policy,
                 .generation = Generation(1),
                 .placement_version = PlacementVersion(1),
                 .length = length,
                 .shards = {},
                 .cell_bytes = row.cell_bytes};
  for (const NodeId server : servers) block.shards.push_back({.node = server});
  const BlockId id = tables.new_block(slot_of(file.home));
  tables.put(id, block);
  const uint64_t offset = end_of(row.extents);
  row.extents.push_back({.file_offset = offset, .length = length, .block = id, .block_offset = 0});
  return placed(id, block, offset);
}

// --- Commit ---

// The block's row as it will be, if the commit is in order.
Result<BlockRow> merge_commit(const BlockRow& old, const CommittedBlock& commit) {
  BlockRow block = old;
  if (commit.generation != block.generation) {
    return fail(Code::kPrecondition, "block {} has generation {}, not {}", commit.block,
                block.generation, commit.generation);
  }
  const bool sealed = block.state == BlockState::kSealed;
  if (commit.length == 0 || commit.length > block.length ||
      (sealed && commit.length != block.length)) {
    return fail(Code::kPrecondition, "block {} committed with {} bytes, it has {}", commit.block,
                commit.length, block.length);
  }
  if (sealed && commit.digest != block.digest) {
    return fail(Code::kPrecondition, "block {} was committed with another digest", commit.block);
  }
  for (const DurableShard& durable : commit.shards) {
    if (durable.index >= block.shards.size() || !block.shards[durable.index].node) {
      return fail(Code::kInvalid, "block {} has no server for shard {}", commit.block,
                  durable.index);
    }
    ShardRow& shard = block.shards[durable.index];
    if ((shard.durable || shard.lost) && shard.checksum != durable.checksum) {
      return fail(Code::kPrecondition, "shard {} of block {} has another checksum", durable.index,
                  commit.block);
    }
    if (!shard.lost) shard.durable = true;  // its server says when it is sound again
    shard.checksum = durable.checksum;
  }
  const uint32_t needed = MUTANT("M17") ? block.policy.data_shards() : block.policy.min_shards();
  if (block.durable_shards() + block.lost_shards() < needed) {
    return fail(Code::kPrecondition, "block {} has {} durable shards, {} needs {}", commit.block,
                block.durable_shards(), block.policy.text(), needed);
  }
  block.state = BlockState::kSealed;
  block.length = commit.length;
  block.digest = commit.digest;
  return block;
}

Result<BlockRow> check_commit(const Tables& tables, const FileRow& row,
                              const CommittedBlock& commit) {
  const auto extent = std::ranges::find(row.extents, commit.block, &Extent::block);
  if (extent == row.extents.end()) {
    return fail(Code::kPrecondition, "block {} was not allocated for this upload", commit.block);
  }
  if (extent->file_offset != commit.file_offset) {
    return fail(Code::kPrecondition, "block {} starts at offset {} of the file, not {}",
                commit.block, extent->file_offset, commit.file_offset);
  }
  const auto block = tables.block(commit.block);
  CHECK(block.has_value() && !block->is_garbage(), "block {} of an upload is gone", commit.block);
  return merge_commit(*block, commit);
}

// --- Publish ---

// How many extents hold the file's bytes: all committed, without a gap, `length` bytes in sum.
Result<size_t> check_content(const Tables& tables, FileRow& row, uint64_t length) {
  uint64_t end = 0;
  size_t count = 0;
  for (Extent& extent : row.extents) {
    const auto block = tables.block(extent.block);
    CHECK(block.has_value(), "block {} of an upload is gone", extent.block);
    if (block->state != BlockState::kSealed) break;
    if (extent.file_offset != end) {
      return fail(Code::kPrecondition, "a gap at offset {}: the block before it is shorter", end);
    }
    extent.length = block->length;
    end += block->length;
    ++count;
  }
  if (end != length) {
    return fail(Code::kPrecondition, "{} bytes are committed without a gap, not {}", end, length);
  }
  return count;
}

}  // namespace

Result<FileRow> held_upload(const Tables& tables, const EntryContext& entry, FileHandle file,
                            Epoch epoch) {
  TRY(row, upload(tables, file, epoch));
  if (row.client != entry.client) {
    return fail(Code::kPrecondition, "upload {} belongs to client {}, not {}", file.file,
                row.client, entry.client);
  }
  return row;
}

Response apply(Tables& tables, const EntryContext& entry, const StartUpload& operation) {
  const auto condition =
      operation.overwrite ? PublishCondition::kOverwrite : PublishCondition::kIfAbsent;
  TRY(target,
      file_place(tables, entry, {.path = operation.path, .condition = condition, .version = {}}));
  if (tables.uploads().size() >= limits::kUploadsMax) {
    return fail(Code::kUnavailable, "{} files are being written, no more can; try later",
                limits::kUploadsMax);
  }
  TRY_VOID(check_room(tables, target, operation.path));
  TRY_VOID(check_growth(tables, target, 0));
  TRY(layout, chosen_layout(target.layout, {.policy = operation.policy,
                                            .block_bytes = operation.block_bytes,
                                            .cell_bytes = operation.cell_bytes}));
  TRY_VOID(placement::check_fits(tables.map(), layout.policy));
  const FileHandle file{target.parent(), tables.new_inode(slot_of(target.parent()))};
  FileRow row{.state = FileState::kUpload,
              .policy = {},
              .modified = entry.wall,
              .client = entry.client,
              .epoch = Epoch(1),
              .extents = {},
              .content = {}};
  set_layout(tables, row, layout);
  tables.put(file, row);
  return UploadStarted{.file = file,
                       .epoch = row.epoch,
                       .policy = layout.policy,
                       .block_bytes = layout.block_bytes,
                       .cell_bytes = layout.cell_bytes,
                       .content_mode = layout.content_mode};
}

Response apply(Tables& tables, const EntryContext& entry, const AllocateBlocks& operation) {
  TRY(row, held_upload(tables, entry, operation.file, operation.epoch));
  TRY_VOID(check_lengths(block_bytes_of(tables, row), operation));
  TRY(kept, kept_extents(tables, row, operation));
  // The ids to come seed the choice of servers, so that each block of a file goes elsewhere.
  const Slot slot = slot_of(operation.file.home);
  if (!tables.has_blocks(slot, operation.lengths.size())) {
    return fail(Code::kTooLarge, "the file's directory can take no more blocks; use another");
  }
  const uint64_t first = tables.slot(slot).next_block;
  std::vector<std::vector<NodeId>> servers;
  for (size_t i = 0; i < operation.lengths.size(); ++i) {
    const uint64_t seed = uint64_t{slot.value} << kCounterBits | (first + i);
    TRY(choice, placement::place_block(tables.strategy(), tables.map(), row.policy, seed));
    servers.push_back(std::move(choice));
  }
  give_back(tables, entry, operation.file, row, kept);
  BlocksAllocated reply{.policy = row.policy, .blocks = {}};
  for (size_t i = 0; i < operation.lengths.size(); ++i) {
    reply.blocks.push_back(allocate(tables, operation.file, servers[i], row, operation.lengths[i]));
  }
  tables.put(operation.file, row);
  return reply;
}

Response apply(Tables& tables, const EntryContext& entry, const CommitBlocks& operation) {
  TRY(row, held_upload(tables, entry, operation.file, operation.epoch));
  if (operation.blocks.empty() || operation.blocks.size() > limits::kBlocksPerAllocation) {
    return fail(Code::kInvalid, "{} blocks committed at once, 1 to {} are allowed",
                operation.blocks.size(), limits::kBlocksPerAllocation);
  }
  std::vector<BlockRow> blocks;
  for (size_t i = 0; i < operation.blocks.size(); ++i) {
    const CommittedBlock& commit = operation.blocks[i];
    if (i > 0 && commit.file_offset <= operation.blocks[i - 1].file_offset) {
      return fail(Code::kInvalid, "blocks are committed in the order of their offsets");
    }
    TRY(block, check_commit(tables, row, commit));
    blocks.push_back(std::move(block));
  }
  for (size_t i = 0; i < blocks.size(); ++i) tables.put(operation.blocks[i].block, blocks[i]);
  for (const CommittedBlock& block : operation.blocks) {
    if (block.digest) know_block(tables, operation.file, block.block);
  }
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const Publish& operation) {
  TRY(row, held_upload(tables, entry, operation.file, operation.epoch));
  TRY(target, file_place(tables, entry,
                         {.path = operation.path,
                          .condition = operation.condition,
                          .version = operation.version}));
  TRY_VOID(check_attributes(operation.attributes));
  if (target.parent() != operation.file.home) {
    return fail(Code::kPrecondition,
                "the directory of {} was replaced while the file was written; write it again",
                shown(operation.path));
  }
  TRY(used, check_content(tables, row, operation.length));
  TRY_VOID(check_given_back(row, used));
  TRY_VOID(check_growth(tables, target, operation.length));
  give_back(tables, entry, operation.file, row, used);
  row.state = FileState::kPublished;
  row.client = ClientId(0);
  row.epoch = Epoch(0);
  row.modified = entry.wall;
  row.attributes = made_by(entry.asker, operation.attributes);
  tables.put(operation.file, row);
  link_file(tables, entry, target, operation.file);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const AbandonUpload& operation) {
  TRY_VOID(held_upload(tables, entry, operation.file, operation.epoch));
  drop_file(tables, entry, slot_of(operation.file.home), operation.file);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const RenewLease& operation) {
  TRY_VOID(held_upload(tables, entry, operation.file, operation.epoch));
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const ExpireLease& operation) {
  TRY_VOID(upload(tables, operation.file, operation.epoch));
  drop_file(tables, entry, slot_of(operation.file.home), operation.file);
  return Done{};
}

}  // namespace dogfs::metadata
