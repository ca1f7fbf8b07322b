#pragma once
// AppendSealer: ends the life of an open append block, on whatever doubt: nobody appends to it any
// more, and its length is fixed so that every acknowledged record is within. Clients and chunk
// servers do it alike, several at once if need be: log entries decide. A plain object; one thread.
//
// The epoch is raised in the log; each replica makes it durable and says how much it holds; the
// longest of a quorum wins, since one of any quorum has every acknowledged record; what others of
// them lack is copied; one entry fixes the length. (BookKeeper's recovery of a ledger is of this
// kind.) A replica without a log has lost it, since records came only when all had begun one. One
// that is damaged counts when there are too few others; one that was judged damaged, and opened
// again since, only when no replica is left that has not spoken.

#include <map>
#include <memory>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"

namespace dogfs {
class Nursery;
}
namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

class MetadataCalls;

class AppendSealer {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    MetadataCalls& calls;
  };
  explicit AppendSealer(const Parts& parts) : parts_(parts) {}

  // Done: the block is sealed, or it is gone with its file. kUnavailable: not within `limit`,
  // naming what its replicas said.
  Task<Result<void>> seal(metadata::FileHandle file, BlockId block, Duration limit);

 private:
  // One round of questions.
  struct Round;
  Task<Result<bool>> try_once(metadata::FileHandle file, BlockId block, Duration limit);
  Task<> ask_all(Nursery& children, std::shared_ptr<Round> round);
  Task<> ask(std::shared_ptr<Round> round, metadata::PlacedShard replica);
  Task<> catch_up_all(Nursery& children, std::shared_ptr<Round> round);
  Task<> catch_up(std::shared_ptr<Round> round, metadata::PlacedShard replica);

  const Parts parts_;
};

}  // namespace dogfs::nodes
