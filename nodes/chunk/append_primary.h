#pragma once
// AppendPrimary: this server as the primary of one open append block. It gives each record its
// place, puts what waits together into entries, has every replica (itself included) make them
// durable, and answers when a quorum has. Owned by AppendService, which spawns run(); one thread.
//
// A life of a primary is allowed by one log entry (ActivateAppend), before it gives anything to a
// replica: one that was started anew is refused and never resumes. It takes records when every
// replica has begun its log, which another entry says. It ends, `closed`, at the first doubt: a
// replica that fails or lags, a refusal, no more room, or a while without records. Then the block
// is to be sealed; what was not yet given to any replica is surely not stored.
//
// Bounded: kAppendQueueBytesMax of records wait and as much is kept for replicas that lag.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/chunk/append_disks.h"
#include "core/chunk/append_requests.h"
#include "core/env/event.h"
#include "core/namespace/commands.h"
#include "core/rpc/server.h"
#include "nodes/chunk/append_limits.h"

namespace dogfs {
class Nursery;
}
namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

class MetadataCalls;

class AppendPrimary {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    MetadataCalls& metadata;
    chunk::AppendDisks& logs;
    ClusterId cluster;
    NodeId node;  // itself
    AppendLimits limits;
  };
  struct Place {
    metadata::FileHandle file;
    BlockId block;
    Generation generation;
    Epoch epoch;
    bool operator==(const Place&) const = default;
  };
  struct Record {
    chunk::AppendedRecord head;
    uint64_t first_tried = 0;
    Buffer data;
  };

  AppendPrimary(const Parts& parts, Place place);
  ~AppendPrimary();
  AppendPrimary(const AppendPrimary&) = delete;
  AppendPrimary& operator=(const AppendPrimary&) = delete;

  // From the activation until it is closed.
  static Task<> run(std::shared_ptr<AppendPrimary> self);

  // Answers through `respond`, now or later.
  void append(Record record, rpc::Responder respond);
  // What a quorum has. kPrecondition: it is closed.
  static Task<Result<uint64_t>> committed_length(std::shared_ptr<AppendPrimary> self);

  const Place& place() const { return place_; }
  bool closed() const { return closed_; }

 private:
  struct Waiter;
  struct Entry;
  struct Replica;

  Task<> live(Nursery& children);
  Task<Result<void>> activate();
  Task<Result<metadata::AppendActivated>> ask_for_activation(bool begun);
  Task<> begin();
  Task<> resume();
  Task<chunk::AppendRequests> requests_before(std::optional<metadata::AppendLog> previous);
  Task<> feed(std::shared_ptr<Replica> replica);
  Task<Result<void>> store(Replica& replica, std::vector<Buffer> entries);
  chunk::AppendOrigin origin() const;
  Task<Result<void>> store_here(std::vector<Buffer> entries, bool beginning);
  Task<Result<void>> store_there(Replica& replica, std::vector<Buffer> entries);
  bool wants_entry() const;
  void make_entry();
  void push_entry(Buffer bytes, uint64_t end, std::vector<Waiter> waiters);
  void answer_known(std::vector<Waiter> waiters);
  void refuse_waiting();
  void advance();
  bool is_full(size_t record_bytes) const;
  void close(const std::string& why);
  Task<> watch();

  const Parts parts_;
  const Place place_;
  const uint64_t activation_;
  metadata::AppendActivated active_;  // once activated
  bool activated_ = false;
  bool draining_ = false;  // no more entries; closed when all are committed
  bool closed_ = false;
  chunk::AppendRequests requests_;
  std::vector<std::shared_ptr<Replica>> replicas_;
  std::deque<Waiter> waiting_;  // records that are in no entry yet
  size_t waiting_bytes_ = 0;
  std::deque<Entry> entries_;  // not yet on every replica
  size_t entry_bytes_ = 0;
  uint64_t first_entry_ = 0;  // number of entries_.front()
  uint64_t committed_ = 0;    // entries that a quorum has
  uint64_t length_ = 0;       // of the block, with what is under way
  uint64_t committed_length_ = 0;
  Instant last_record_;
  Event changed_;
};

}  // namespace dogfs::nodes
