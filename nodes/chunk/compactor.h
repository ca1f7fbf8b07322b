#pragma once
// Compactor: what a chunk server does for a block of a pack of which files have little left. It
// asks the metadata leader which files have what of it, reads those bytes from whichever servers
// have them, appends them to a pack that is open, as small files are, and tells the log, file by
// file, that they lie there now (MovePacked). When the last was moved nobody refers to the block,
// which is garbage like any other. Bytes that several files have are stored once.
//
// Blocks come from the leader, by heartbeats. A compaction that fails, is cut off, or done by two,
// has harmed nothing: what was moved is moved, bytes that no file was given are garbage of the
// other pack, and the leader hands the block out again. Owned by the chunk node, which runs run();
// one thread; one block at a time, at a limited speed, at most kCompactionsMax wait.

#include <deque>
#include <map>
#include <memory>

#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/queries.h"
#include "core/proto/cluster_codec.h"
#include "nodes/client/client.h"
#include "nodes/client/packer.h"
#include "nodes/client/server_health.h"

namespace dogfs::nodes {

class BlockReader;

struct CompactorOptions {
  uint64_t bytes_per_second = 8 * limits::kMiB;  // of bytes moved
};

class Compactor {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    MetadataCalls& metadata;
    CompactorOptions options;
  };
  explicit Compactor(const Parts& parts);

  Task<> run();
  // Dropped when it waits already, or too many do.
  void add(BlockId block);
  // What was done so far.
  proto::CompactionReport compacted() const { return compacted_; }

 private:
  // A compaction of one block.
  struct Work;
  // Bytes of the block, and who has them.
  struct Stretch {
    metadata::PackedRange range;
    std::vector<metadata::FileHandle> files;
  };

  static std::vector<Stretch> stretches_of(const metadata::BlockReferrers& referrers);
  Task<Result<void>> compact(BlockId block);
  Task<Result<void>> move_all(Work& work, std::vector<Stretch> stretches);
  Task<> move(Work& work, Stretch stretch);
  Task<Result<PackedBytes>> place(Work& work, metadata::PackedRange range);
  Task<Result<void>> hand_over(Work& work, Stretch stretch, PackedBytes place);

  const Parts parts_;
  const ClientOptions client_options_;
  ServerHealth health_;
  std::deque<BlockId> blocks_;  // the first is being compacted
  Event changed_;
  proto::CompactionReport compacted_;
};

}  // namespace dogfs::nodes
