#pragma once
// How far a file goes that is being appended to: its last block is open, and its primary alone
// knows what a quorum has of it. If that cannot be asked, the block is sealed: then the metadata
// know.

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/env/task.h"
#include "core/namespace/queries.h"
#include "nodes/client/append_sealer.h"

namespace dogfs::nodes {

class Session;

// Where a range of a file is, with an open block at its end as if it were sealed with the bytes
// that a quorum had when it was asked: the length of the location and of the block say so. So all
// that was acknowledged before the call is there. Errors of the query; kUnavailable: an open block
// whose length cannot be found out within `limit`.
Task<Result<std::pair<LogIndex, metadata::FileLocation>>> locate_with_tail(
    AppendSealer::Parts parts, Session& session, metadata::LocateQuery query, Duration limit);

}  // namespace dogfs::nodes
