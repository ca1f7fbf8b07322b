#pragma once
// ReplicatedState: the state machine that a RaftHost keeps equal on all members. Implemented by the
// metadata (MetadataState) and, in tests, by a plain map. Owned by the node beside its RaftHost and
// used from its one thread.

#include <memory>
#include <optional>
#include <string>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"

namespace dogfs::nodes {

class ReplicatedState {
 public:
  virtual ~ReplicatedState() = default;

  // Applies the committed command at `index` and gives the answer for whoever proposed it. An error
  // means that this build cannot read the command: the node must stop, it never skips one.
  virtual Result<Buffer> apply(LogIndex index, const Buffer& command) = 0;
  // A committed entry that holds no command.
  virtual void skip(LogIndex index) = 0;
  // Equal on members that applied the same entries.
  virtual uint64_t digest() const = 0;

  // The state as it is now, unmoved by what is applied later. Used by one thread at a time, not
  // always the same, also beside the state's own thread; and it may outlive the state.
  class Frozen {
   public:
    virtual ~Frozen() = default;
    // The next piece, at most `bytes_max` unless one row is larger; nothing after the last.
    virtual std::optional<std::string> next_piece(size_t bytes_max) = 0;
  };
  virtual std::unique_ptr<Frozen> freeze() = 0;

  // Takes the pieces in order, then is completed and finished. The state changes only in finish(),
  // which is short; complete() may run beside the thread of the state, and outlive it. What
  // finish() replaces is destroyed with this.
  class Restoring {
   public:
    virtual ~Restoring() = default;
    virtual Result<void> add(std::string_view piece) = 0;
    virtual Result<void> complete() = 0;
    virtual Result<void> finish() = 0;
  };
  virtual std::unique_ptr<Restoring> begin_restore() = 0;
};

}  // namespace dogfs::nodes
