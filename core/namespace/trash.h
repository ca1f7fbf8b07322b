#pragma once
// The trash: the directory /.trash, where names that were removed wait to be taken back (by rename)
// or to go for good. An entry is called "clock-index-name", or "clock-index~user-name" when it was
// removed by somebody who was checked: the trash's clock and the log index at which it was removed,
// in hexadecimal, so that the oldest come first.
//
// It belongs to nobody, like /tmp with its sticky bit: all may list it, and what one removed is
// reached, taken back and removed for good only by that one, or by the cluster's own. The name is
// reserved: nobody makes or moves anything there by hand. What lies there all the same, from before
// there was a trash, is left alone.

#include <string_view>
#include <vector>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/resolve.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// kInvalid for a place that something is to be made at or moved to, in the trash or instead of it.
Result<> check_not_in_trash(const Tables& tables, std::string_view path);
// kDenied when the asker, if there is one, would move, remove or change the trash itself.
Result<> check_not_trash(const Asker* asker, std::string_view path);
// kDenied when the path leads to or through what somebody else removed.
Result<> check_removed_by(const Asker* asker, const std::vector<std::string_view>& names,
                          std::string_view path);

// Whether what was found is to be moved to the trash; else it goes for good, because there is none
// or it lies there. kPrecondition when a file is in its place.
Result<bool> goes_to_trash(const Tables& tables, const Resolved& target);
void move_to_trash(Tables& tables, const EntryContext& entry, const Resolved& target);

// Something lies in the trash.
bool trash_pending(const Tables& tables);

Response apply(Tables& tables, const EntryContext& entry, const SetTrash& operation);
Response apply(Tables& tables, const EntryContext& entry, const AdvanceTrash& operation);

}  // namespace dogfs::metadata
