#pragma once
// Operations on the bytes of published files that move none: copy, truncate, concatenate. Blocks
// are shared or change hands. Each checks everything and then writes.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

Response apply(Tables& tables, const EntryContext& entry, const Copy& operation);
Response apply(Tables& tables, const EntryContext& entry, const Truncate& operation);
Response apply(Tables& tables, const EntryContext& entry, const Concatenate& operation);

}  // namespace dogfs::metadata
