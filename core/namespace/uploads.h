#pragma once
// Operations on files being written. An upload is an unlinked file held by one client's lease:
// started, given blocks, told which are durable, and published whole under its name or abandoned.
// Each operation checks the lease, then everything else, then writes.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// The upload, if the asking client holds its lease. kUnavailable: it has ended; kPrecondition: it
// is finished, or another's.
Result<FileRow> held_upload(const Tables& tables, const EntryContext& entry, FileHandle file,
                            Epoch epoch);

Response apply(Tables& tables, const EntryContext& entry, const StartUpload& operation);
Response apply(Tables& tables, const EntryContext& entry, const AllocateBlocks& operation);
Response apply(Tables& tables, const EntryContext& entry, const CommitBlocks& operation);
Response apply(Tables& tables, const EntryContext& entry, const Publish& operation);
Response apply(Tables& tables, const EntryContext& entry, const AbandonUpload& operation);
Response apply(Tables& tables, const EntryContext& entry, const RenewLease& operation);
Response apply(Tables& tables, const EntryContext& entry, const ExpireLease& operation);

}  // namespace dogfs::metadata
