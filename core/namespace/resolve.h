#pragma once
// Walking a path down from the root, inside one log entry or read. What it finds is true for that
// entry only: the next one may have moved a directory on the way.

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/namespace/queries.h"
#include "core/namespace/schema.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

struct Resolved {
  // From the root to the directory that holds the last name; empty for the path "/".
  std::vector<InodeId> directories;
  std::string_view name;  // the last one, a view into the path
  // What has that name. For "/" the root itself.
  std::optional<DentryRow> entry;
  // What new files in that directory get; for "/" as the cluster was founded.
  LayoutInForce layout;

  bool root() const { return directories.empty(); }
  // Of what the path names, as LayoutLevels count it.
  uint32_t level() const { return static_cast<uint32_t>(directories.size()) + 1; }
  InodeId parent() const { return directories.back(); }
};

// kInvalid and kTooLarge for a bad path; kNotFound when a directory on the way is missing,
// kPrecondition when a file stands there, kDenied when the asker, if there is one, may not enter
// one or did not remove what lies in the trash. A missing last name is no error.
Result<Resolved> resolve(const Tables& tables, std::string_view path, const Asker* asker = nullptr);

}  // namespace dogfs::metadata
