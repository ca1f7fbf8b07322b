#pragma once
// Sessions: what makes a request of a client apply once, however often and after whatever failover
// it is sent (Raft thesis, section 6.3). A session remembers the answers to requests from the
// client's low-water mark up; what is below it or has no session is never executed.

#include <functional>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

Response apply(Tables& tables, const EntryContext& entry, const RegisterClient& operation);
Response apply(Tables& tables, const EntryContext& entry, const ExpireSession& operation);

// Answers a command that came in a session: from memory when it was applied before, otherwise by
// `execute`, whose answer is remembered. kUnknown without a session or below the low-water mark,
// kInvalid for numbers that cannot be, kUnavailable when too many answers are remembered; these
// three have executed and remembered nothing.
Response apply_once(Tables& tables, const Command& command,
                    const std::function<Response()>& execute);

}  // namespace dogfs::metadata
