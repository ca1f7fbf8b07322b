#pragma once
// Commands that anybody may send, without a session (metadata::open_operation): each checks what it
// was sent for and does nothing twice, so it is sent until it is answered.

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"

namespace dogfs::nodes {

class MetadataCalls;

// Errors: those of the state machine; kUnavailable: no answer within `limit`, it may have been
// applied or not.
Task<Result<metadata::Reply>> execute_openly(MetadataCalls& calls, metadata::Operation operation,
                                             Duration limit);

}  // namespace dogfs::nodes
