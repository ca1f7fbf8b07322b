#pragma once
// AppendWorker: what a chunk server does with append blocks after their life: it seals those that
// are in doubt, and converts sealed ones to their file's policy. Tasks come from its own primaries
// and from the metadata leader, by heartbeats; each is harmless when done twice or by two. Owned by
// the chunk node, which runs run(); one thread. One task at a time, at most kAppendTasksMax wait.

#include <deque>
#include <memory>

#include "core/base/error.h"
#include "core/chunk/append_disks.h"
#include "core/env/event.h"
#include "core/env/task.h"
#include "core/namespace/queries.h"
#include "nodes/client/append_sealer.h"
#include "nodes/client/server_health.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::nodes {

class BlockWriter;

class AppendWorker {
 public:
  struct Parts {
    Env& env;
    rpc::Client& rpc;
    MetadataCalls& metadata;
    chunk::AppendDisks& logs;
    ClusterId cluster;
    Duration shard_lag;  // as of ClientOptions
  };
  explicit AppendWorker(const Parts& parts);

  Task<> run();
  // Dropped when it waits already, or too many do.
  void add(metadata::AppendTask task);

 private:
  Task<Result<void>> perform(metadata::AppendTask task);
  Task<Result<void>> convert(BlockId block, Generation generation);
  Task<> write(Nursery& children, metadata::ConversionBegun begun,
               Result<metadata::CommittedBlock>& written);
  Task<Result<void>> copy(metadata::AppendLog log, std::shared_ptr<BlockWriter> writer,
                          size_t batch_bytes);
  Task<Result<Buffer>> read(metadata::AppendLog log, uint64_t offset, size_t length);

  const Parts parts_;
  AppendSealer sealer_;
  ServerHealth health_;
  uint64_t copied_bytes_ = 0;
  std::deque<metadata::AppendTask> tasks_;
  Event changed_;
};

}  // namespace dogfs::nodes
