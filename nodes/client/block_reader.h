#pragma once
// BlockReader: reads ranges of one block: the data shards side by side as long as they answer, and
// any k of the others when one does not, or not as soon as usual: then whoever answers first
// counts. An error of one server never ends a read while k shards can be read. Shared by the reads
// of one get; remembers which shards are of no use. One thread.
//
// Every byte was checked against its cell's checksum by the chunk server that sent it, and that
// one by way of the shard's checksum in the block's row; and against the frame's on arrival.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/ec/codec.h"
#include "core/ec/read_plan.h"
#include "core/env/event.h"
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
  // What one read has asked for and got so far.
  struct Progress {
    struct UnderWay {
      ec::ByteRange range;
      Instant begun;
      bool late = false;  // others are asked, too; its answer is still welcome
    };
    Progress(Env& env, ec::ByteRange wanted, Instant limit)
        : range(wanted), deadline(limit), changed(env) {}
    const ec::ByteRange range;
    const Instant deadline;
    using Asked = std::multimap<uint32_t, UnderWay>;
    Asked under_way;                                               // by shard
    std::map<uint32_t, std::pair<ec::ByteRange, Buffer>> fetched;  // by shard
    std::set<uint32_t> failed;  // could not be read just now; asked again after a pause
    Event changed;
  };

  BlockReader(const Parts& parts, metadata::LocatedBlock block, ec::StripeLayout layout,
              ec::Codec codec);
  Task<> gather(Nursery& children, Progress& progress, Result<ec::ReadPlan>& gathered);
  Result<bool> ask(Nursery& children, Progress& progress);
  std::vector<uint32_t> candidates(const Progress& progress) const;
  std::optional<ec::ReadPlan> complete(const Progress& progress) const;
  void mark_late(Progress& progress);
  Instant next_late(const Progress& progress) const;
  Task<> fetch(Progress& progress, Progress::Asked::iterator asked);
  Task<Result<Buffer>> call(uint32_t index, ec::ByteRange range, Duration limit);
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
