#pragma once
// BlockWriter: writes one block once, to the servers that it was placed on: encodes its bytes off
// the event loop and streams all shards side by side. Shared by the FileWriter that feeds it and
// the task of run(), which a FileWriter may leave to end by itself. One thread.
//
// It aims at full width. A server that fails, or holds the others up for `lag`, is given up as long
// as min_shards are left; with fewer, the block has failed and must be placed anew.

#include <memory>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/ec/codec.h"
#include "core/ec/stripe.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/commands.h"
#include "nodes/client/shard_sender.h"

namespace dogfs::nodes {

// What stays the same for all blocks of a file.
struct BlockFormat {
  ClusterId cluster;
  placement::Policy policy;
  ec::StripeShape shape;
  std::shared_ptr<const ec::Codec> codec;
};

class BlockWriter {
 public:
  BlockWriter(const ShardSender::Parts& parts, Duration lag, BlockFormat format,
              metadata::PlacedBlock placed);
  ~BlockWriter();
  BlockWriter(const BlockWriter&) = delete;
  BlockWriter& operator=(const BlockWriter&) = delete;

  // Until stop(): the block was settled, or is given up.
  static Task<> run(std::shared_ptr<BlockWriter> self);

  // The next bytes: whole stripes, but for the last of the block. Returns when the servers that
  // count have room for more. kUnavailable: too few of them are left; kNoSpace: so it is because
  // the disks of the others are full.
  Task<Result<void>> write(Buffer stripes);
  // No more bytes.
  void end();
  // After end(): waits until the shards are durable, all of them or enough. Errors as write().
  Task<Result<metadata::CommittedBlock>> settle();
  void stop();

  const metadata::PlacedBlock& placed() const { return placed_; }

 private:
  // Some stripes as cells, each with its checksum: [stripe][shard].
  struct Encoded {
    struct Cell {
      chunk::CheckedBytes bytes;
      uint32_t checksum = 0;
    };
    std::vector<std::vector<Cell>> stripes;
  };

  Task<> send_all(Nursery& children);
  static Encoded::Cell checked(const chunk::ShardIdentity& identity, uint64_t offset, Buffer cell);
  Task<Encoded> encode(Buffer stripes);
  void push(Encoded encoded);
  Task<Result<void>> wait_for_room();
  Duration shortest_patience() const;
  void give_up_laggards(Instant since);
  Instant waited_for_until() const;
  Result<void> check_enough() const;
  size_t count(ShardSender::State state) const;
  size_t needed() const;
  metadata::CommittedBlock committed() const;

  Env& env_;
  const Duration lag_;
  const BlockFormat format_;
  const metadata::PlacedBlock placed_;
  Event changed_;
  Event stopped_;
  std::vector<std::unique_ptr<ShardSender>> senders_;  // of the shards that were placed
  uint64_t written_ = 0;                               // bytes of the block
};

}  // namespace dogfs::nodes
