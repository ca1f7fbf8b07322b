#pragma once
// Import of an exported namespace: the rows of another cluster's frozen state, taken over as they
// are into one that holds nothing yet.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// Whether rows of this kind are exported: not sessions and what counts ids, which end with a
// cluster's life, nor metadata servers.
bool is_exported(const key::Parsed& key, std::string_view value);

// kUnavailable while an import runs, but for what belongs to it, to sessions and to servers: rows
// may lack what they refer to, so nothing may work on them.
Result<> check_not_importing(const Tables& tables, const Operation& operation);

Response apply(Tables& tables, const EntryContext& entry, const BeginImport& operation);
Response apply(Tables& tables, const EntryContext& entry, const ImportRows& operation);
Response apply(Tables& tables, const EntryContext& entry, const FinishImport& operation);
Response apply(Tables& tables, const EntryContext& entry, const RaiseIncarnation& operation);

}  // namespace dogfs::metadata
