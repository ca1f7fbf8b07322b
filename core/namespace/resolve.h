#pragma once
// Walking a path down from the root, inside one log entry or read. What it finds is true for that
// entry only: the next one may have moved a directory on the way.

#include <optional>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/namespace/schema.h"
#include "core/namespace/tables.h"
#include "core/placement/policy.h"

namespace dogfs::metadata {

struct Resolved {
  // From the root to the directory that holds the last name; empty for the path "/".
  std::vector<InodeId> directories;
  std::string_view name;  // the last one, a view into the path
  // What has that name. For "/" the root itself.
  std::optional<DentryRow> entry;
  // What new files in that directory get; for "/" and directories see policy_below().
  placement::Policy policy;

  bool root() const { return directories.empty(); }
  InodeId parent() const { return directories.back(); }
};

// kInvalid and kTooLarge for a bad path; kNotFound when a directory on the way is missing,
// kPrecondition when a file stands there, kDenied when the asker, if there is one, may not enter
// one or did not remove what lies in the trash. A missing last name is no error.
Result<Resolved> resolve(const Tables& tables, std::string_view path, const Asker* asker = nullptr);

// What new files in the directory `entry` get, given what those in its parent get.
placement::Policy policy_below(const Tables& tables, const DentryRow& entry,
                               const placement::Policy& inherited);

}  // namespace dogfs::metadata
