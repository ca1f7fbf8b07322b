#pragma once
// Hard quotas of directories. What each directory holds is counted by Tables with every name that
// comes or goes, so a quota is checked inside the entry, against the very state that it changes.

#include <string_view>
#include <vector>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// What an operation adds to a directory and all above it, and what it takes away there.
struct Growth {
  Use more;
  Use less;
};

// kNoSpace naming the directory whose quota does not allow it.
Result<> check_quota(const Tables& tables, InodeId directory, const Growth& growth);
// The same when things move to a directory, in place of `less`: what lies above where they come
// from holds them already.
struct Move {
  InodeId from;
  Use what;
};
Result<> check_quota_of_moves(const Tables& tables, const std::vector<Move>& moves, InodeId to,
                              const Use& less);

Response apply(Tables& tables, const EntryContext& entry, const SetQuota& operation);

}  // namespace dogfs::metadata
