#pragma once
// What an operation may know of the log entry that it is applied from.

#include "core/base/ids.h"
#include "core/base/time.h"

namespace dogfs::metadata {

struct EntryContext {
  LogIndex index;
  WallTime wall;    // for display
  ClientId client;  // whose session the command came in; 0 for a leader operation
};

}  // namespace dogfs::metadata
