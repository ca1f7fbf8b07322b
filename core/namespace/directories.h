#pragma once
// Operations on names: make a directory, rename, remove. Each checks everything and then writes, so
// that a refused one has written nothing.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// The root directory of a new cluster.
void make_root(Tables& tables, const EntryContext& entry);

Response apply(Tables& tables, const EntryContext& entry, const MakeDirectory& operation);
Response apply(Tables& tables, const EntryContext& entry, const Rename& operation);
Response apply(Tables& tables, const EntryContext& entry, const Remove& operation);

}  // namespace dogfs::metadata
