#include "core/namespace/contents.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/namespace/cluster_version.h"
#include "core/namespace/files.h"
#include "core/namespace/garbage.h"
#include "core/namespace/packs.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"
#include "core/namespace/quota.h"

namespace dogfs::metadata {
namespace {

// A file found by its path.
struct Found {
  Resolved place;
  FileHandle file;
  FileRow row;
};

Result<Found> find_file(const Tables& tables, const EntryContext& entry, std::string_view path,
                        Access access) {
  TRY_VOID(check_not_in_packs(tables, path));
  TRY(place, resolve(tables, path, entry.asker));
  if (!place.entry) return fail(Code::kNotFound, "there is no file {}", shown(path));
  if (place.entry->kind == EntryKind::kDirectory) {
    return fail(Code::kPrecondition, "{} is a directory, not a file", shown(path));
  }
  auto row = tables.file(place.entry->file());
  CHECK(row.has_value(), "file {} has a name and no row", place.entry->id);
  TRY_VOID(check_access(entry.asker, row->attributes, EntryKind::kFile, access, path));
  return Found{std::move(place), place.entry->file(), *std::move(row)};
}

// Writes a file that has another length than before.
void put_resized(Tables& tables, const EntryContext& entry, Found& found) {
  ++found.row.changes;
  found.row.modified = entry.wall;
  tables.resize(found.place.parent(), found.file, found.row);
}

// What is appended to has no length that could be cut, joined or copied.
Result<> check_sealed(const FileRow& row, std::string_view path) {
  if (!row.unsealed()) return {};
  return fail(Code::kUnavailable, "{} is being appended to: seal it first", shown(path));
}

Result<> check_shared_at_once(size_t blocks) {
  if (blocks <= limits::kSharedPerEntry) return {};
  return fail(Code::kTooLarge, "{} blocks at once, at most {} are allowed; get and put the bytes",
              blocks, limits::kSharedPerEntry);
}

std::vector<Extent> cut(const std::vector<Extent>& extents, uint64_t length) {
  std::vector<Extent> out;
  for (const Extent& extent : extents) {
    if (extent.file_offset >= length) break;
    out.push_back(extent);
    out.back().length = std::min(extent.length, length - extent.file_offset);
  }
  return out;
}

// --- Concatenation ---

Result<std::vector<Found>> find_sources(const Tables& tables, const EntryContext& entry,
                                        const Concatenate& operation, const Found& target) {
  if (operation.sources.empty() || operation.sources.size() > limits::kJoinedFilesMax) {
    return fail(Code::kInvalid, "{} files to join, 1 to {} are allowed", operation.sources.size(),
                limits::kJoinedFilesMax);
  }
  std::vector<Found> out;
  std::set<FileHandle> seen{target.file};
  for (const std::string& path : operation.sources) {
    TRY(source, find_file(tables, entry, path, Access::kRead));
    TRY_VOID(check_directory(tables, entry.asker, source.place.parent(), Access::kWrite, path));
    if (!seen.insert(source.file).second) {
      return fail(Code::kInvalid, "{} is joined with itself", shown(path));
    }
    TRY_VOID(check_sealed(source.row, path));
    out.push_back(std::move(source));
  }
  return out;
}

// The target's row as it will be, but for who refers to what.
Result<FileRow> joined(const Tables& tables, const Found& target,
                       const std::vector<Found>& sources) {
  FileRow row = target.row;
  size_t moved = 0;
  bool mixed = false;
  for (const Found& source : sources) {
    const FileRow& added = source.row;
    const bool head_of_blocks = row.content.empty() || !row.extents.empty();
    mixed = mixed || (!added.content.empty() && !row.extents.empty()) ||
            (added.content.empty() && !added.extents.empty() && !head_of_blocks);
    row.content += added.content;
    moved += added.extents.size();
    for (Extent extent : added.extents) {
      extent.file_offset = row.length();
      row.extents.push_back(extent);
    }
  }
  TRY_VOID(check_shared_at_once(moved));
  if (mixed) {
    return fail(Code::kPrecondition,
                "small files and large ones cannot be joined; get and put the bytes");
  }
  const uint32_t inline_bytes = tables.settings().settings.inline_bytes;
  if (row.content.size() > inline_bytes) {
    return fail(Code::kTooLarge, "{} bytes of small files, at most {} fit one", row.content.size(),
                inline_bytes);
  }
  if (row.extents.size() <= limits::kFileBlocksMax) return row;
  return fail(Code::kTooLarge, "{} blocks in one file, at most {} are allowed", row.extents.size(),
              limits::kFileBlocksMax);
}

// What the source referred to, the target does.
void hand_over(Tables& tables, const FileRow& source, InodeId from, FileHandle to) {
  std::set<BlockId> blocks;
  for (const Extent& extent : source.extents) blocks.insert(extent.block);
  for (const BlockId id : blocks) {
    if (!tables.referrer(id, from)) continue;  // not shared: the one referrer has no row
    tables.erase_referrer(id, from);
    tables.put(id, to.file, {.home = to.home});
  }
}

}  // namespace

Response apply(Tables& tables, const EntryContext& entry, const Copy& operation) {
  TRY(source, find_file(tables, entry, operation.from, Access::kRead));
  TRY(target,
      file_place(
          tables, entry,
          {.path = operation.to, .condition = operation.condition, .version = operation.version}));
  if (target.entry && target.entry->file() == source.file) {
    return fail(Code::kInvalid, "{} cannot be copied to itself", shown(operation.from));
  }
  TRY_VOID(check_sealed(source.row, operation.from));
  TRY_VOID(check_room(tables, target, operation.to));
  TRY_VOID(check_shared_at_once(source.row.extents.size()));
  TRY_VOID(check_growth(tables, target, source.row.length()));
  const FileHandle file{target.parent(), tables.new_inode(slot_of(target.parent()))};
  FileRow row = source.row;
  row.changes = 0;
  row.cuts = 0;
  row.appends = 0;
  row.last_append = BlockId(0);
  row.modified = entry.wall;
  if (entry.asker != nullptr) {
    row.attributes.owner.clear();
    row.attributes.group.clear();
  }
  row.attributes = made_by(entry.asker, std::move(row.attributes));
  for (const Extent& extent : row.extents) share_block(tables, extent.block, source.file, file);
  for (const Extent& extent : row.extents) note_packed(tables, file, row, extent.block);
  tables.put(file, row);
  link_file(tables, entry, target, file);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const Truncate& operation) {
  TRY(found, find_file(tables, entry, operation.path, Access::kWrite));
  TRY_VOID(check_sealed(found.row, operation.path));
  const uint64_t length = found.row.length();
  if (operation.length > length) {
    return fail(Code::kInvalid, "{} has {} bytes, it cannot be cut to {}", shown(operation.path),
                length, operation.length);
  }
  auto kept = cut(found.row.extents, operation.length);
  if (found.row.extents.size() - kept.size() > limits::kRemoveStepMax) {
    return fail(Code::kTooLarge, "{} blocks to give back at once, {} are allowed; cut less",
                found.row.extents.size() - kept.size(), limits::kRemoveStepMax);
  }
  if (operation.length == length) return Done{};
  if (tables.settings().settings.cluster_version >= kCutsVersion) ++found.row.cuts;
  const auto old = std::exchange(found.row.extents, kept);
  found.row.content.resize(std::min<size_t>(found.row.content.size(), operation.length));
  put_resized(tables, entry, found);
  release_extents(tables, entry, found.file.file,
                  {old.begin() + static_cast<ptrdiff_t>(kept.size()), old.end()},
                  ReferredBlocks(kept));
  for (size_t i = std::max<size_t>(1, kept.size()) - 1; i < old.size(); ++i) {
    note_packed(tables, found.file, found.row, old[i].block);
  }
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const Concatenate& operation) {
  TRY(target, find_file(tables, entry, operation.path, Access::kWrite));
  TRY_VOID(check_sealed(target.row, operation.path));
  if (operation.at && *operation.at != target.row.length()) {
    return fail(Code::kPrecondition, "{} is {} bytes long, not {}", shown(operation.path),
                target.row.length(), *operation.at);
  }
  TRY(sources, find_sources(tables, entry, operation, target));
  TRY(row, joined(tables, target, sources));
  std::vector<Move> moves;
  for (const Found& source : sources) {
    moves.push_back({source.place.parent(), {.bytes = source.row.length(), .entries = 0}});
  }
  TRY_VOID(check_quota_of_moves(tables, moves, target.place.parent(), {}));
  for (const Found& source : sources) {
    hand_over(tables, source.row, source.file.file, target.file);
    tables.erase_dentry(source.place.parent(), source.place.name);
    tables.erase_file(source.file);
  }
  const size_t first = target.row.extents.size();
  target.row = std::move(row);
  for (size_t i = first; i < target.row.extents.size(); ++i) {
    note_packed(tables, target.file, target.row, target.row.extents[i].block);
  }
  put_resized(tables, entry, target);
  return Done{};
}

}  // namespace dogfs::metadata
