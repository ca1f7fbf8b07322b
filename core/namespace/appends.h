#pragma once
// Append blocks: opened, activated by their primary, sealed, their length fixed, and converted to
// the file's policy (commands.h draws their life). Only OpenAppend comes in a session; the others
// are fenced by epoch, activation, generation and attempt, and do nothing twice.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

Response apply(Tables& tables, const EntryContext& entry, const OpenAppend& operation);
Response apply(Tables& tables, const EntryContext& entry, const ActivateAppend& operation);
Response apply(Tables& tables, const EntryContext& entry, const BeginSeal& operation);
Response apply(Tables& tables, const EntryContext& entry, const FixAppend& operation);
Response apply(Tables& tables, const EntryContext& entry, const BeginConversion& operation);
Response apply(Tables& tables, const EntryContext& entry, const CommitConversion& operation);

}  // namespace dogfs::metadata
