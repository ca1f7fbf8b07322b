#include "core/namespace/packs.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/namespace/files.h"
#include "core/namespace/garbage.h"
#include "core/namespace/layouts.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"

namespace dogfs::metadata {
namespace {

constexpr uint32_t kVersion = 3;  // of clusters that have packs
constexpr uint32_t kReplicasMax = 5;

// The block, if bytes of it can be a file's. `operation`: PutPacked or MovePacked.
template <class Claim>
Result<BlockRow> claimable(const Tables& tables, const Claim& operation,
                           const placement::Policy& policy) {
  auto block = tables.block(operation.block);
  const bool open = block && !block->is_garbage() && block->pack && block->append &&
                    block->append->file == operation.pack && block->append->begun;
  if (!open) {
    return fail(Code::kUnavailable, "block {} takes no more files of pack {}", operation.block,
                operation.pack.file);
  }
  if (block->append->target != policy) {
    return fail(Code::kUnavailable, "block {} is for files of {}, not {}", operation.block,
                block->append->target.text(), policy.text());
  }
  const uint64_t end = block->unsealed() ? block->append->capacity : block->length;
  if (operation.length <= end && operation.block_offset <= end - operation.length) {
    return *std::move(block);
  }
  return fail(Code::kUnavailable, "block {} has no {} bytes at {}", operation.block,
              operation.length, operation.block_offset);
}

// The file, whose row is `row`, refers to those bytes of the block from here on.
template <class Claim>
void claim(Tables& tables, const Claim& operation, BlockRow block, FileHandle file,
           const FileRow& row) {
  if (block.unsealed()) {
    uint64_t& claimed = block.append->claimed;
    claimed = std::max(claimed, operation.block_offset + operation.length);
    tables.put(operation.block, block);
  }
  share_block(tables, operation.block, operation.pack, file);
  note_packed(tables, file, row, operation.block);
}

bool is_stretch(const Extent& extent, const MovePacked& operation) {
  if (MUTANT("M104")) return extent.block == operation.from;
  return extent.block == operation.from && extent.block_offset == operation.from_offset &&
         extent.length == operation.length;
}

// Puts the new stretch in the place of the old one; gives those extents as they were.
std::vector<Extent> exchange(FileRow& row, const MovePacked& operation) {
  std::vector<Extent> before;
  for (Extent& extent : row.extents) {
    if (!is_stretch(extent, operation)) continue;
    before.push_back(extent);
    extent.block = operation.block;
    extent.block_offset = operation.block_offset;
  }
  return before;
}

}  // namespace

std::string pack_path(const placement::Policy& policy, uint32_t number) {
  return fmt::format("{}/{}.{}", kPacksDirectory, policy.text(), number);
}

bool in_packs(const Tables& tables, std::string_view path) {
  if (tables.settings().settings.cluster_version < kVersion) return false;
  if (!path.starts_with(kPacksDirectory)) return false;
  path.remove_prefix(kPacksDirectory.size());
  return path.empty() || path.starts_with('/');
}

Result<> check_not_in_packs(const Tables& tables, std::string_view path) {
  if (!in_packs(tables, path)) return {};
  return fail(Code::kInvalid, "{}: {} is kept for the bytes of small files", shown(path),
              kPacksDirectory);
}

Result<placement::Policy> policy_of_pack(std::string_view path) {
  const std::string_view name = path.substr(std::min(path.size(), kPacksDirectory.size() + 1));
  const auto policy = placement::Policy::parse(name.substr(0, name.rfind('.')));
  for (uint32_t i = 0; policy && i < limits::kPacksPerPolicy; ++i) {
    if (path == pack_path(*policy, i)) return *policy;
  }
  return fail(Code::kInvalid, "{} is no pack", shown(path));
}

Result<uint32_t> pack_replicas(const placement::Policy& policy) {
  const uint32_t survived = policy.min_shards() - policy.data_shards();
  const uint32_t replicas = 2 * survived + 1;
  if (replicas <= kReplicasMax) return replicas;
  return fail(Code::kPrecondition, "a pack of {} would need {} replicas, at most {} are allowed",
              policy.text(), replicas, kReplicasMax);
}

void note_packed(Tables& tables, FileHandle file, const FileRow& row, BlockId id) {
  const auto block = tables.block(id);
  if (!block || !block->pack || !block->shared) return;
  auto known = tables.referrer(id, file.file);
  if (!known) return;
  uint64_t bytes = 0;
  for (const Extent& extent : row.extents) bytes += extent.block == id ? extent.length : 0;
  if (known->bytes == bytes) return;
  known->bytes = bytes;
  tables.put(id, file.file, *known);
}

Response apply(Tables& tables, const EntryContext& entry, const PutPacked& operation) {
  if (operation.length == 0 || operation.length > limits::kPackedBytesMax) {
    return fail(Code::kInvalid, "{} bytes in a pack, 1 to {} are allowed", operation.length,
                limits::kPackedBytesMax);
  }
  TRY(target, file_place(tables, entry,
                         {.path = operation.path,
                          .condition = operation.condition,
                          .version = operation.version}));
  TRY_VOID(check_attributes(operation.attributes));
  TRY_VOID(check_room(tables, target, operation.path));
  TRY_VOID(check_growth(tables, target, operation.length));
  TRY(layout, chosen_layout(target.layout, {.policy = operation.policy}));
  if (layout.content_mode == ContentMode::kDedup) {
    return fail(Code::kUnavailable, "{}: files share blocks there, and no packs",
                shown(operation.path));
  }
  TRY(block, claimable(tables, operation, layout.policy));
  const FileHandle file{target.parent(), tables.new_inode(slot_of(target.parent()))};
  FileRow row = published_row(tables, entry, layout, operation.attributes);
  row.extents.push_back({.file_offset = 0,
                         .length = operation.length,
                         .block = operation.block,
                         .block_offset = operation.block_offset});
  tables.put(file, row);
  claim(tables, operation, std::move(block), file, row);
  link_file(tables, entry, target, file);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const MovePacked& operation) {
  if (entry.asker != nullptr) {
    return fail(Code::kDenied, "{} may not move what others have in a pack",
                shown(entry.asker->user));
  }
  if (operation.length == 0) return fail(Code::kInvalid, "0 bytes cannot be moved");
  const auto from = tables.block(operation.from);
  if (!from || from->is_garbage()) {
    return fail(Code::kNotFound, "block {} was removed", operation.from);
  }
  if (!from->compactable()) {
    return fail(Code::kPrecondition, "block {} is no sealed and converted one of a pack",
                operation.from);
  }
  auto row = tables.file(operation.file);
  if (!row || row->state != FileState::kPublished) {
    return fail(Code::kNotFound, "file {} was removed or replaced", operation.file.file);
  }
  TRY(block, claimable(tables, operation, from->policy));
  const auto before = exchange(*row, operation);
  if (before.empty()) {
    return fail(Code::kPrecondition, "file {} has no extent of {} bytes at {} of block {}",
                operation.file.file, operation.length, operation.from_offset, operation.from);
  }
  tables.put(operation.file, *row);
  claim(tables, operation, std::move(block), operation.file, *row);
  release_extents(tables, entry, operation.file.file, before, ReferredBlocks(row->extents));
  note_packed(tables, operation.file, *row, operation.from);
  return Done{};
}

}  // namespace dogfs::metadata
