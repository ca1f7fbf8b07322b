#pragma once
// What an operation may know of the log entry that it is applied from. A plain value. Anything else
// that differs between replicas (clocks, addresses, load) must come in the command or in the state.

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/namespace/commands.h"

namespace dogfs::metadata {

struct EntryContext {
  LogIndex index;
  WallTime wall;                 // for display
  ClientId client;               // whose session the command came in; 0 for a leader operation
  const Asker* asker = nullptr;  // null: permissions are not checked
};

}  // namespace dogfs::metadata
