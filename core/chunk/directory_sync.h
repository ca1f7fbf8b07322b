#pragma once
// DirectorySync: makes the names in one directory durable, for many tasks with few syncs: whoever
// asks while a sync runs shares the next one with all others who do. Owned by the store; one
// thread.
//
// A failed sync spoils every change that was made before it ended, also those that a later,
// successful sync seems to cover: what the disk dropped stays dropped.

#include <string>

#include "core/base/error.h"
#include "core/env/event.h"
#include "core/env/task.h"

namespace dogfs::chunk {

class DirectorySync {
 public:
  DirectorySync(Env& env, std::string directory)
      : env_(env), directory_(std::move(directory)), changed_(env) {}

  // Taken before a change to the directory begins.
  struct Mark {
    uint64_t failures = 0;
  };
  Mark mark() const { return {failures_}; }

  // Call when the change has completed. Success: it is durable. An error: it may be lost, now or
  // at the next power loss, whatever later calls say.
  Task<Result<void>> sync(Mark before);

 private:
  class Turn;

  Env& env_;
  const std::string directory_;
  Event changed_;
  uint64_t begun_ = 0;    // number of the last sync that was begun
  uint64_t durable_ = 0;  // number of the last that succeeded
  uint64_t failures_ = 0;
  bool running_ = false;
};

}  // namespace dogfs::chunk
