#pragma once
// The trash: the directory /.trash, where names that were removed wait to be taken back (by rename)
// or to go for good. An entry is called "clock-index-name": the trash's clock and the log index at
// which it was removed, in hexadecimal, so that the oldest come first.

#include <string_view>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/resolve.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// Moves what was found into the trash. False when it goes for good instead: there is no trash, or
// it lies in it.
bool move_to_trash(Tables& tables, const EntryContext& entry, const Resolved& target);

// Something lies in the trash.
bool trash_pending(const Tables& tables);

Response apply(Tables& tables, const EntryContext& entry, const SetTrash& operation);
Response apply(Tables& tables, const EntryContext& entry, const AdvanceTrash& operation);

}  // namespace dogfs::metadata
