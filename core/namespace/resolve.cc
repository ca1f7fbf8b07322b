#include "core/namespace/resolve.h"

#include "core/namespace/layouts.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"
#include "core/namespace/trash.h"

namespace dogfs::metadata {
namespace {

// The part of `path` up to and with `name`, which is a view into it.
std::string_view up_to(std::string_view path, std::string_view name) {
  return path.substr(0, static_cast<size_t>(name.data() + name.size() - path.data()));
}

}  // namespace

Result<Resolved> resolve(const Tables& tables, std::string_view path, const Asker* asker) {
  TRY(names, parse_path(path));
  TRY_VOID(check_removed_by(asker, names, path));
  Resolved out;
  out.layout = founding_layout(tables);
  DentryRow here{.kind = EntryKind::kDirectory, .id = kRootDirectory, .home = {}};
  for (size_t i = 0; i < names.size(); ++i) {
    TRY_VOID(check_directory(tables, asker, here.id, Access::kEnter, path));
    out.layout = layout_below(out.layout, tables.layout(here.id), out.level());
    out.directories.push_back(here.id);
    out.name = names[i];
    const auto entry = tables.dentry(here.id, names[i]);
    if (i + 1 == names.size()) {
      out.entry = entry;
      return out;
    }
    if (!entry) {
      return fail(Code::kNotFound, "there is no directory {}", shown(up_to(path, names[i])));
    }
    if (entry->kind != EntryKind::kDirectory) {
      return fail(Code::kPrecondition, "{} is a file, not a directory",
                  shown(up_to(path, names[i])));
    }
    here = *entry;
  }
  out.entry = here;
  return out;
}

}  // namespace dogfs::metadata
