#include "core/namespace/layouts.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/namespace/packs.h"
#include "core/namespace/path.h"
#include "core/namespace/resolve.h"

namespace dogfs::metadata {

Result<> check_block_sizes(uint64_t block_bytes, uint64_t cell_bytes) {
  if (block_bytes < limits::kBlockBytesMin || block_bytes > limits::kBlockBytesMax) {
    return fail(Code::kInvalid, "blocks of {} bytes: {} to {} are allowed", block_bytes,
                limits::kBlockBytesMin, limits::kBlockBytesMax);
  }
  if (cell_bytes == 0 || cell_bytes > limits::kCellBytesMax) {
    return fail(Code::kInvalid, "cells of {} bytes: 1 to {} are allowed", cell_bytes,
                limits::kCellBytesMax);
  }
  // Else no chunk server would take a replica of a full block, ever.
  if (block_bytes <= limits::kCellsPerShardMax * cell_bytes) return {};
  return fail(Code::kInvalid, "cells of {} bytes are too small for blocks of {}: need {} or more",
              cell_bytes, block_bytes,
              (block_bytes + limits::kCellsPerShardMax - 1) / limits::kCellsPerShardMax);
}

LayoutInForce founding_layout(const Tables& tables) {
  const ClusterSettings& settings = tables.settings().settings;
  return {.policy = settings.policy,
          .block_bytes = settings.block_bytes,
          .cell_bytes = settings.cell_bytes,
          .content_mode = ContentMode::kNone,
          .from = {}};
}

LayoutInForce layout_below(LayoutInForce above, const Layout& own, uint32_t level) {
  if (own.policy) {
    above.policy = *own.policy;
    above.from.policy = level;
  }
  if (own.block_bytes) {
    above.block_bytes = *own.block_bytes;
    above.from.block_bytes = level;
  }
  if (own.cell_bytes) {
    above.cell_bytes = *own.cell_bytes;
    above.from.cell_bytes = level;
  }
  if (own.content_mode) {
    above.content_mode = *own.content_mode;
    above.from.content_mode = level;
  }
  return above;
}

Result<LayoutInForce> chosen_layout(LayoutInForce in_force, const LayoutAsked& asked) {
  if (asked.policy) in_force.policy = *asked.policy;
  if (asked.block_bytes != 0) in_force.block_bytes = asked.block_bytes;
  if (asked.cell_bytes != 0) in_force.cell_bytes = asked.cell_bytes;
  TRY_VOID(check_block_sizes(in_force.block_bytes, in_force.cell_bytes));
  return in_force;
}

void set_layout(const Tables& tables, FileRow& row, const LayoutInForce& layout) {
  const ClusterSettings& settings = tables.settings().settings;
  row.policy = layout.policy;
  row.block_bytes = layout.block_bytes == settings.block_bytes ? 0 : layout.block_bytes;
  row.cell_bytes = layout.cell_bytes == settings.cell_bytes ? 0 : layout.cell_bytes;
}

uint64_t block_bytes_of(const Tables& tables, const FileRow& row) {
  return row.block_bytes == 0 ? tables.settings().settings.block_bytes : row.block_bytes;
}

uint32_t cell_bytes_of(const Tables& tables, uint32_t in_row) {
  return in_row == 0 ? tables.settings().settings.cell_bytes : in_row;
}

Response apply(Tables& tables, const EntryContext& entry, const SetLayout& operation) {
  if (entry.asker != nullptr) {
    return fail(Code::kDenied, "{} may not set policies", shown(entry.asker->user));
  }
  TRY_VOID(check_not_in_packs(tables, operation.path));
  TRY(target, resolve(tables, operation.path));
  if (!target.entry) {
    return fail(Code::kNotFound, "there is no directory {}", shown(operation.path));
  }
  if (target.entry->kind != EntryKind::kDirectory) {
    return fail(Code::kPrecondition,
                "{} is a file, and keeps what it was made with; copy its bytes to a new one",
                shown(operation.path));
  }
  DirectoryRow row = *tables.directory(target.entry->id);
  Layout own = operation.inherit ? Layout() : row.layout();
  if (operation.layout.policy) own.policy = operation.layout.policy;
  if (operation.layout.block_bytes) own.block_bytes = operation.layout.block_bytes;
  if (operation.layout.cell_bytes) own.cell_bytes = operation.layout.cell_bytes;
  if (operation.layout.content_mode) own.content_mode = operation.layout.content_mode;
  const LayoutInForce in_force = layout_below(target.layout, own, target.level());
  TRY_VOID(check_block_sizes(in_force.block_bytes, in_force.cell_bytes));
  if (operation.layout.policy) TRY_VOID(placement::check_fits(tables.map(), *own.policy));
  row.set_layout(own);
  tables.put(target.entry->id, row);
  return Done{};
}

}  // namespace dogfs::metadata
