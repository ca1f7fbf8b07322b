#pragma once
// Operations on names: make a directory, rename, remove. Each checks everything and then writes, so
// that a refused one has written nothing.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// A new directory, which needs ids left in its parent's slot.
InodeId make_directory_below(Tables& tables, const EntryContext& entry, InodeId parent,
                             std::string_view name,
                             std::optional<placement::Policy> policy = std::nullopt);

// The root directory of a new cluster.
void make_root(Tables& tables, const EntryContext& entry);

Response apply(Tables& tables, const EntryContext& entry, const MakeDirectory& operation);
Response apply(Tables& tables, const EntryContext& entry, const Rename& operation);
Response apply(Tables& tables, const EntryContext& entry, const Remove& operation);

}  // namespace dogfs::metadata
