#pragma once
// BlockReader: reads ranges of one block: the data shards side by side as long as they answer, and
// any k of the others when one does not. An error of one server never ends a read while k shards
// can be read. Shared by the reads of one get; remembers which shards are of no use. One thread.
//
// Every byte was checked against its cell's checksum by the chunk server that sent it, and that
// one by way of the shard's checksum in the block's row; and against the frame's on arrival.

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/ec/codec.h"
#include "core/ec/read_plan.h"
#include "core/env/task.h"
#include "core/namespace/queries.h"

namespace dogfs {
class Env;
class Nursery;
}  // namespace dogfs
namespace dogfs::rpc {
class Client;
}

namespace dogfs::nodes {

class ServerHealth;
struct ClientOptions;

struct BlockBytes {
  std::vector<Buffer> pieces;  // in order
  uint64_t rebuilt_bytes = 0;
};

class BlockReader {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    ServerHealth& health;
    const ClientOptions& options;
  };
  // kCorrupt, kInvalid: a location that cannot be.
  static Result<std::shared_ptr<BlockReader>> create(const Parts& parts,
                                                     metadata::LocatedBlock block,
                                                     uint32_t cell_bytes);

  // The bytes of a range within the block. kUnavailable, naming how many shards could be read;
  // kCorrupt when too many are damaged. Within ClientOptions::read_limit.
  Task<Result<BlockBytes>> read(ec::ByteRange range);

  const metadata::LocatedBlock& block() const { return block_; }
  // A server said that it has not got its shard: the location may be out of date.
  bool misplaced() const { return count(Loss::kMissing) > 0; }

 private:
  enum class Loss { kMissing, kDamaged };
  // What one read has got so far.
  struct Progress {
    std::map<uint32_t, std::pair<ec::ByteRange, Buffer>> fetched;  // by shard
    std::set<uint32_t> slow;
    Duration limit;  // for each fetch of this round
    Instant deadline;
  };

  BlockReader(const Parts& parts, metadata::LocatedBlock block, ec::StripeLayout layout,
              ec::Codec codec);
  std::vector<uint32_t> candidates(const Progress& progress) const;
  Task<Result<void>> fetch_all(Progress& progress, std::vector<ec::ShardRead> reads);
  Task<> fetch_side_by_side(Nursery& children, Progress& progress,
                            std::vector<ec::ShardRead> reads);
  Task<> fetch(Progress& progress, ec::ShardRead read);
  void failed(Progress& progress, const metadata::LocatedShard& shard, const Error& error);
  Task<Result<BlockBytes>> assemble(ec::ReadPlan plan, Progress& progress);
  BlockBytes slices(ec::ByteRange range, const Progress& progress) const;
  size_t count(Loss loss) const;
  Error too_few() const;
  const metadata::LocatedShard* shard(uint32_t index) const;

  const Parts parts_;
  const metadata::LocatedBlock block_;
  const ec::StripeLayout layout_;
  const std::shared_ptr<const ec::Codec> codec_;
  std::map<uint32_t, Loss> lost_;  // shards of no use for this get
  std::set<uint32_t> unreadable_;  // their disks could not read them when they were asked last
};

}  // namespace dogfs::nodes
