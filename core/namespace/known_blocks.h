#pragma once
// Blocks that are known by the SHA-256 of their content, so that what is stored is not sent again.
// The volume of a file is the directory nearest above that says anything of content_mode, if it
// says dedup; it knows at most one block under a digest, at full width when it came to know it. A
// known block is a shared one, and is forgotten in the entry that makes it garbage. Functions over
// Tables; they check nothing that their callers did.

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// 0: files of that directory share nothing.
InodeId volume_of(const Tables& tables, InodeId directory);

// Makes the volume of the file, if it has one, know its block, when that has a digest and its full
// width, and the volume knows no other that could be shared as well. The file is the only one that
// refers to the block, or it is shared already.
void know_block(Tables& tables, FileHandle file, BlockId id);

// The block becomes garbage; the caller writes its row.
void forget_block(Tables& tables, BlockRow& block);

Response apply(Tables& tables, const EntryContext& entry, const UseBlocks& operation);
Response apply(Tables& tables, const EntryContext& entry, const DisownBlock& operation);

}  // namespace dogfs::metadata
