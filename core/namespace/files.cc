#include "core/namespace/files.h"

#include "core/base/check.h"
#include "core/namespace/garbage.h"
#include "core/namespace/layouts.h"
#include "core/namespace/packs.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"
#include "core/namespace/quota.h"
#include "core/namespace/trash.h"

namespace dogfs::metadata {

namespace {

std::string version_text(const FileVersion& version) {
  return fmt::format("{:x}-{}", version.file.value, version.changes);
}

Result<> check_version(const Tables& tables, const std::optional<DentryRow>& entry,
                       const FileVersion& wanted, std::string_view path) {
  if (!entry || entry->kind == EntryKind::kDirectory) {
    return fail(Code::kPrecondition, "there is no file {} of version {}", shown(path),
                version_text(wanted));
  }
  const auto row = tables.file(entry->file());
  CHECK(row.has_value(), "file {} has a name and no row", entry->id);
  const FileVersion found{entry->id, row->changes};
  if (found == wanted) return {};
  return fail(Code::kPrecondition, "{} has version {}, not {}", shown(path), version_text(found),
              version_text(wanted));
}

}  // namespace

Result<Resolved> file_place(const Tables& tables, const EntryContext& entry,
                            const PlaceWanted& wanted) {
  TRY(target, resolve(tables, wanted.path, entry.asker));
  if (target.root() || (target.entry && target.entry->kind == EntryKind::kDirectory)) {
    return fail(Code::kExists, "{} is a directory", shown(wanted.path));
  }
  TRY_VOID(check_not_in_trash(tables, wanted.path));
  TRY_VOID(check_not_in_packs(tables, wanted.path));
  TRY_VOID(check_directory(tables, entry.asker, target.parent(), Access::kWrite, wanted.path));
  if (target.entry && wanted.condition == PublishCondition::kIfAbsent) {
    return fail(Code::kExists, "{} exists", shown(wanted.path));
  }
  if (wanted.condition == PublishCondition::kIfVersion) {
    TRY_VOID(check_version(tables, target.entry, wanted.version, wanted.path));
  }
  return target;
}

Result<> check_growth(const Tables& tables, const Resolved& target, uint64_t length) {
  if (!tables.any_quota()) return {};
  const Growth growth{.more = {.bytes = length, .entries = 1},
                      .less = target.entry ? tables.use_of(*target.entry) : Use()};
  return check_quota(tables, target.parent(), growth);
}

Result<> check_room(const Tables& tables, const Resolved& target, std::string_view path) {
  if (tables.has_inodes(slot_of(target.parent()))) return {};
  return fail(Code::kTooLarge, "the directory of {} can take no more new files; use another",
              shown(path));
}

FileRow published_row(const Tables& tables, const EntryContext& entry, const LayoutInForce& layout,
                      const InodeAttributes& attributes) {
  FileRow row{.state = FileState::kPublished,
              .policy = {},
              .modified = entry.wall,
              .client = {},
              .epoch = {},
              .extents = {},
              .content = {},
              .attributes = made_by(entry.asker, attributes)};
  set_layout(tables, row, layout);
  return row;
}

void link_file(Tables& tables, const EntryContext& entry, const Resolved& target, FileHandle file) {
  tables.put(target.parent(), target.name,
             DentryRow{.kind = EntryKind::kFile, .id = file.file, .home = file.home});
  if (target.entry) drop_file(tables, entry, slot_of(target.parent()), target.entry->file());
}

Response apply(Tables& tables, const EntryContext& entry, const PutInline& operation) {
  const uint32_t most = tables.settings().settings.inline_bytes;
  if (operation.content.size() > most) {
    return fail(Code::kTooLarge, "{} bytes at once, at most {} are allowed; upload them",
                operation.content.size(), most);
  }
  TRY(target, file_place(tables, entry,
                         {.path = operation.path,
                          .condition = operation.condition,
                          .version = operation.version}));
  TRY_VOID(check_attributes(operation.attributes));
  TRY_VOID(check_room(tables, target, operation.path));
  TRY_VOID(check_growth(tables, target, operation.content.size()));
  if (operation.policy) TRY_VOID(placement::check_fits(tables.map(), *operation.policy));
  TRY(layout, chosen_layout(target.layout, {.policy = operation.policy,
                                            .block_bytes = operation.block_bytes,
                                            .cell_bytes = operation.cell_bytes}));
  const FileHandle file{target.parent(), tables.new_inode(slot_of(target.parent()))};
  FileRow row = published_row(tables, entry, layout, operation.attributes);
  row.content = operation.content;
  tables.put(file, row);
  link_file(tables, entry, target, file);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const SetAttributes& operation) {
  TRY(target, resolve(tables, operation.path, entry.asker));
  if (!target.entry) {
    return fail(Code::kNotFound, "there is no file or directory {}", shown(operation.path));
  }
  TRY_VOID(check_not_trash(entry.asker, operation.path));
  TRY_VOID(check_not_in_packs(tables, operation.path));
  if (operation.version) {
    TRY_VOID(check_version(tables, target.entry, *operation.version, operation.path));
  }
  const EntryKind kind = target.entry->kind;
  if (kind == EntryKind::kDirectory) {
    DirectoryRow row = *tables.directory(target.entry->id);
    TRY(changed, changed_attributes(entry.asker, kind, std::move(row.attributes), operation));
    row.attributes = std::move(changed);
    row.modified = operation.modified.value_or(row.modified);
    tables.put(target.entry->id, row);
    return Done{};
  }
  FileRow row = *tables.file(target.entry->file());
  TRY(changed, changed_attributes(entry.asker, kind, std::move(row.attributes), operation));
  row.attributes = std::move(changed);
  row.modified = operation.modified.value_or(row.modified);
  ++row.changes;
  tables.put(target.entry->file(), row);
  return Done{};
}

}  // namespace dogfs::metadata
