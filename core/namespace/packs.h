#pragma once
// Packs: what small files share instead of shards of their own. A pack is a file /.packs/POLICY.N
// that the bytes of small files are appended to, one record each, and that never has more than one
// extent: its open append block. A file refers to its bytes by an extent of that block (PutPacked),
// from the moment that they are acknowledged; when the block is sealed it leaves the pack, and is
// of the files that refer to it, like any shared block. When files have little of it left, their
// bytes are appended to a pack once more and become theirs there, one by one (MovePacked), and the
// block is garbage with the last of them.
//
// The directory is the cluster's own: any client makes it, and packs in it, when it is missing;
// nobody changes anything there by hand, and a listing of the root does not show it.

#include <string_view>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/pack_path.h"
#include "core/namespace/queries.h"
#include "core/namespace/resolve.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// The directory, or a path below it.
bool in_packs(const Tables& tables, std::string_view path);
// kInvalid for such a path: nothing of it is changed by hand. (What stands in the place of the
// directory, from before there were packs, may be moved away or removed.)
Result<> check_not_in_packs(const Tables& tables, std::string_view path);
// Of a name in that directory; kInvalid unless it is one of a pack.
Result<placement::Policy> policy_of_pack(std::string_view path);

// Replicas of an open block of a pack of that policy: as many losses as a put of the policy is sure
// to survive, a quorum of them does, too. kPrecondition for a policy that would need too many.
Result<uint32_t> pack_replicas(const placement::Policy& policy);

// Notes how much the file has of the block, if that is of a pack and the file refers to it; to be
// said whenever a file's extents changed.
void note_packed(Tables& tables, FileHandle file, const FileRow& row, BlockId block);

Response apply(Tables& tables, const EntryContext& entry, const PutPacked& operation);
// kDenied, too, for who names an asker: nobody moves what others have.
Response apply(Tables& tables, const EntryContext& entry, const MovePacked& operation);

}  // namespace dogfs::metadata
