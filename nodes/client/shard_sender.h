#pragma once
// ShardSender: sends one shard of one block to its chunk server: begins the upload, streams cells
// within a window, finishes it; a small shard goes in one call. Owned by a BlockWriter, which
// spawns run(), pushes cells without waiting and looks at queued_bytes(). One thread.
//
// What fails is asked again as long as the server is not silent for `patience`: every step may be
// repeated. After run() the shard is durable at its server, or given up.

#include <deque>
#include <optional>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/time.h"
#include "core/chunk/shard_file.h"
#include "core/env/event.h"
#include "core/env/network.h"
#include "core/env/task.h"
#include "core/rpc/types.h"

namespace dogfs {
class Nursery;
}
namespace dogfs::proto {
class ShardEnd;
}
namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

class ServerHealth;

class ShardSender {
 public:
  struct Target {
    chunk::ShardIdentity shard;
    chunk::StripeShape shape;
    uint64_t expected_bytes = 0;
    NodeId server;
    Address address;
  };
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    ServerHealth& health;
    uint64_t& copied_bytes;  // counts bytes that are copied on their way
  };
  // `changed` is notified whenever progress, room or state() changed.
  ShardSender(const Parts& parts, Target target, Duration patience, Event& changed);

  // Ends when the shard is durable or given up.
  Task<> run();

  // The next cell, with its checksum (chunk::cell_checksum).
  void push(chunk::CheckedBytes cell, uint32_t checksum);
  // No more cells.
  void end(uint64_t block_length);
  // Stops trying; cells that wait are dropped. run() ends soon.
  void give_up(Error why);
  // The same for a server that holds the others up: less is expected of it for a while.
  void give_up_laggard(Error why);

  enum class State { kSending, kDurable, kGivenUp };
  State state() const { return state_; }
  const Error& failure() const { return failure_; }  // when given up
  uint32_t index() const { return target_.shard.name.shard; }
  uint32_t checksum() const { return checksum_.value(); }
  size_t queued_bytes() const { return queued_bytes_; }  // pushed and not answered
  Instant last_progress() const { return last_progress_; }
  Instant durable_at() const { return durable_at_; }  // kNever until it is
  // How long it may hold the others up: not long when it failed before this block, or held up
  // another one shortly before.
  Duration patience() const;

 private:
  Task<Result<void>> send();
  Task<> send_guarded(Nursery& children, Result<void>& sent);
  Task<> send_to_end(Result<void>& sent);
  Task<Result<void>> begin(bool whole);
  void describe_end(proto::ShardEnd& end) const;
  Task<Result<void>> write_all();
  Task<> stream(Nursery& children);
  Task<> write(uint64_t offset, chunk::CheckedBytes piece);
  Task<Result<void>> finish();
  Task<> abort();
  chunk::CheckedBytes next_piece();
  Task<Result<rpc::Reply>> call(rpc::Method method, Buffer message, chunk::CheckedBytes bulk = {});
  bool worth_retrying(const Error& error, Instant since);

  Env& env_;
  rpc::Client& rpc_;
  ServerHealth& health_;
  uint64_t& copied_bytes_;
  const Target target_;
  const bool doubted_;  // the server failed shortly before
  const Duration patience_;
  Event& changed_;
  Event given_up_;
  State state_ = State::kSending;
  Error failure_{Code::kUnavailable, "not begun"};
  chunk::ShardChecksum checksum_;
  std::deque<chunk::CheckedBytes> cells_;  // not sent yet
  uint64_t upload_ = 0;
  uint64_t sent_ = 0;
  size_t queued_bytes_ = 0;
  size_t in_flight_ = 0;  // bytes of writes not answered
  std::optional<Error> write_failure_;
  std::optional<uint64_t> block_length_;  // once all cells were pushed
  Instant last_progress_;
  Instant durable_at_ = kNever;
};

}  // namespace dogfs::nodes
