#include "core/namespace/directories.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/namespace/garbage.h"
#include "core/namespace/packs.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"
#include "core/namespace/quota.h"
#include "core/namespace/resolve.h"
#include "core/namespace/trash.h"

namespace dogfs::metadata {
namespace {

Response accept_existing(const Tables& tables, const MakeDirectory& operation,
                         const DentryRow& found) {
  if (found.kind == EntryKind::kFile) {
    return fail(Code::kExists, "{} exists and is a file", shown(operation.path));
  }
  if (!operation.parents) return fail(Code::kExists, "{} exists", shown(operation.path));
  const auto policy = tables.directory(found.id)->policy;
  if (operation.policy && policy != operation.policy) {
    return fail(Code::kExists, "{} exists with {}", shown(operation.path),
                policy ? "policy " + policy->text() : "the policy of the directory above");
  }
  return Done{};
}

// The directory of packs, nobody's, whoever asks first.
Response make_packs(Tables& tables, const EntryContext& entry) {
  if (tables.packs()) return Done{};
  const std::string_view name = kPacksDirectory.substr(1);
  if (tables.dentry(kRootDirectory, name)) {
    return fail(Code::kExists, "{} exists, and is not the cluster's", kPacksDirectory);
  }
  const InodeId id = tables.new_inode(tables.new_directory_slot(slot_of(kRootDirectory)));
  tables.put(id, DirectoryRow{.parent = kRootDirectory,
                              .policy = {},
                              .modified = entry.wall,
                              .attributes = {},
                              .packs = true});
  tables.put(kRootDirectory, name, {.kind = EntryKind::kDirectory, .id = id, .home = {}});
  return Done{};
}

// The deepest directory on the way that exists, and how many names lead to it.
struct Reached {
  InodeId directory = kRootDirectory;
  size_t names = 0;
  std::optional<DentryRow> last;  // of the whole path, when all of it exists
};

Result<Reached> reach(const Tables& tables, const Asker* asker, std::string_view path,
                      const std::vector<std::string_view>& names) {
  Reached out;
  out.last = DentryRow{.kind = EntryKind::kDirectory, .id = kRootDirectory, .home = {}};
  for (const auto name : names) {
    if (out.last->kind == EntryKind::kFile) {
      return fail(Code::kPrecondition, "{} passes through a file", shown(path));
    }
    out.directory = out.last->id;
    TRY_VOID(check_directory(tables, asker, out.directory, Access::kEnter, path));
    out.last = tables.dentry(out.directory, name);
    if (!out.last) return out;
    ++out.names;
  }
  return out;
}

bool empty(const Tables& tables, InodeId directory) { return !tables.next_entry(directory, ""); }

// What a rename may put out of the way, by POSIX.
Result<> check_target(const Tables& tables, const Rename& operation, const DentryRow& from,
                      const DentryRow& target) {
  if (target.kind == EntryKind::kDirectory && from.kind == EntryKind::kFile) {
    return fail(Code::kExists, "{} is a directory in the way of a file", shown(operation.to));
  }
  if (target.kind == EntryKind::kFile && from.kind == EntryKind::kDirectory) {
    return fail(Code::kExists, "{} is a file in the way of a directory", shown(operation.to));
  }
  if (target.kind == EntryKind::kDirectory && !empty(tables, target.id)) {
    return fail(Code::kPrecondition, "the directory {} is not empty", shown(operation.to));
  }
  return {};
}

// The target's ancestors are walked here, inside the log entry: two renames that cross are applied
// one after the other, and the second sees what the first did.
Result<> check_no_loop(const Rename& operation, const DentryRow& from, const Resolved& to) {
  if (from.kind != EntryKind::kDirectory || MUTANT("M39")) return {};
  if (std::ranges::find(to.directories, from.id) == to.directories.end()) return {};
  return fail(Code::kInvalid, "cannot move {} into itself, to {}", shown(operation.from),
              shown(operation.to));
}

void take_away(Tables& tables, const EntryContext& entry, InodeId parent, std::string_view name,
               const DentryRow& target) {
  tables.erase_dentry(parent, name);
  if (target.kind == EntryKind::kDirectory) {
    tables.erase_directory(target.id);
  } else {
    drop_file(tables, entry, slot_of(parent), target.file());
  }
}

}  // namespace

InodeId make_directory_below(Tables& tables, const EntryContext& entry, InodeId parent,
                             std::string_view name, std::optional<placement::Policy> policy) {
  const Slot slot = tables.new_directory_slot(slot_of(parent));
  const InodeId id = tables.new_inode(slot);
  tables.put(id, DirectoryRow{.parent = parent,
                              .policy = policy,
                              .modified = entry.wall,
                              .attributes = made_by(entry.asker, {})});
  tables.put(parent, name, {.kind = EntryKind::kDirectory, .id = id, .home = {}});
  return id;
}

void make_root(Tables& tables, const EntryContext& entry) {
  tables.put(kRootDirectory,
             DirectoryRow{.parent = {}, .policy = {}, .modified = entry.wall, .attributes = {}});
}

Response apply(Tables& tables, const EntryContext& entry, const MakeDirectory& operation) {
  TRY(names, parse_path(operation.path));
  if (operation.path == kPacksDirectory && in_packs(tables, operation.path)) {
    return make_packs(tables, entry);
  }
  TRY(reached, reach(tables, entry.asker, operation.path, names));
  if (reached.last) return accept_existing(tables, operation, *reached.last);
  TRY_VOID(check_not_in_trash(tables, operation.path));
  TRY_VOID(check_not_in_packs(tables, operation.path));
  if (!operation.parents && reached.names + 1 < names.size()) {
    return fail(Code::kNotFound, "there is no directory above {}", shown(operation.path));
  }
  TRY_VOID(check_directory(tables, entry.asker, reached.directory, Access::kWrite, operation.path));
  const Growth made{.more = {.bytes = 0, .entries = names.size() - reached.names}, .less = {}};
  TRY_VOID(check_quota(tables, reached.directory, made));
  if (operation.policy) TRY_VOID(placement::check_fits(tables.map(), *operation.policy));
  InodeId parent = reached.directory;
  for (size_t i = reached.names; i < names.size(); ++i) {
    const bool last = i + 1 == names.size();
    parent = make_directory_below(tables, entry, parent, names[i],
                                  last ? operation.policy : std::nullopt);
  }
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const Rename& operation) {
  TRY(from, resolve(tables, operation.from, entry.asker));
  TRY(to, resolve(tables, operation.to, entry.asker));
  if (from.root()) return fail(Code::kInvalid, "the root directory cannot be moved");
  if (!from.entry) {
    return fail(Code::kNotFound, "there is no file or directory {}", shown(operation.from));
  }
  if (to.root()) return fail(Code::kExists, "the root directory is in the way");
  if (from.parent() == to.parent() && from.name == to.name) return Done{};
  TRY_VOID(check_not_trash(entry.asker, operation.from));
  TRY_VOID(check_not_in_trash(tables, operation.to));
  if (tables.packs()) TRY_VOID(check_not_in_packs(tables, operation.from));
  TRY_VOID(check_not_in_packs(tables, operation.to));
  TRY_VOID(check_directory(tables, entry.asker, from.parent(), Access::kWrite, operation.from));
  TRY_VOID(check_directory(tables, entry.asker, to.parent(), Access::kWrite, operation.to));
  TRY_VOID(check_no_loop(operation, *from.entry, to));
  if (to.entry) TRY_VOID(check_target(tables, operation, *from.entry, *to.entry));
  if (tables.any_quota()) {
    const Use replaced = to.entry ? tables.use_of(*to.entry) : Use();
    TRY_VOID(check_quota_of_moves(tables, {{from.parent(), tables.use_of(*from.entry)}},
                                  to.parent(), replaced));
  }
  if (to.entry) {
    take_away(tables, entry, to.parent(), to.name, *to.entry);
  }
  tables.erase_dentry(from.parent(), from.name);
  tables.put(to.parent(), to.name, *from.entry);
  if (from.entry->kind == EntryKind::kDirectory && from.parent() != to.parent()) {
    DirectoryRow row = *tables.directory(from.entry->id);
    row.parent = to.parent();
    tables.put(from.entry->id, row);
  }
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const Remove& operation) {
  TRY(target, resolve(tables, operation.path, entry.asker));
  if (target.root()) return fail(Code::kInvalid, "the root directory cannot be removed");
  if (!target.entry) {
    return fail(Code::kNotFound, "there is no file or directory {}", shown(operation.path));
  }
  TRY_VOID(check_not_trash(entry.asker, operation.path));
  if (tables.packs()) TRY_VOID(check_not_in_packs(tables, operation.path));
  TRY_VOID(check_directory(tables, entry.asker, target.parent(), Access::kWrite, operation.path));
  const bool tree = target.entry->kind == EntryKind::kDirectory && !empty(tables, target.entry->id);
  if (tree && !operation.recursive) {
    return fail(Code::kPrecondition, "the directory {} is not empty", shown(operation.path));
  }
  if (!operation.forever) {
    TRY(kept, goes_to_trash(tables, target));
    if (kept) {
      move_to_trash(tables, entry, target);
      return Done{};
    }
  }
  if (!tree) {
    take_away(tables, entry, target.parent(), target.name, *target.entry);
    return Done{};
  }
  tables.erase_dentry(target.parent(), target.name);
  drop_tree(tables, entry, slot_of(target.parent()), target.entry->id);
  return Done{};
}

}  // namespace dogfs::metadata
