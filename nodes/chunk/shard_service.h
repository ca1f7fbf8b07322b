#pragma once
// ShardService: what a chunk server answers to clients and other chunk servers about shards. It
// checks what came in and turns calls into those of the store and the uploads. Owned by the chunk
// node, which registers it with its rpc server; one thread.

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/chunk/shard_file.h"
#include "core/env/task.h"
#include "core/rpc/message_codec.h"
#include "core/rpc/types.h"

namespace dogfs::chunk {
class AppendDisks;
struct CheckedBytes;
class Disks;
}  // namespace dogfs::chunk
namespace dogfs::rpc {
class Server;
}
namespace dogfs::proto {
class ShardAbortReply;
class ShardAbortRequest;
class ShardBeginReply;
class ShardBeginRequest;
class ShardFinishReply;
class ShardFinishRequest;
class ShardReadReply;
class ShardReadRequest;
class ShardStatReply;
class ShardStatRequest;
class ShardWriteReply;
class ShardWriteRequest;
}  // namespace dogfs::proto

namespace dogfs::nodes {

class ShardUploads;

class ShardService {
 public:
  ShardService(chunk::Disks& disks, chunk::AppendDisks& logs, ShardUploads& uploads)
      : disks_(disks), logs_(logs), uploads_(uploads) {}

  void register_with(rpc::Server& server);

 private:
  template <class Message>
  using Answered = Task<Result<rpc::Answer<Message>>>;

  Answered<proto::ShardBeginReply> begin(proto::ShardBeginRequest request,
                                         chunk::CheckedBytes bytes);
  Answered<proto::ShardWriteReply> write(proto::ShardWriteRequest request,
                                         chunk::CheckedBytes bytes);
  Answered<proto::ShardFinishReply> finish(proto::ShardFinishRequest request);
  Answered<proto::ShardAbortReply> abort(proto::ShardAbortRequest request);
  Answered<proto::ShardReadReply> read(proto::ShardReadRequest request);
  Task<Result<Buffer>> read_log(chunk::ShardName name, uint64_t offset, size_t length);
  Answered<proto::ShardStatReply> stat(proto::ShardStatRequest request);

  chunk::Disks& disks_;
  chunk::AppendDisks& logs_;
  ShardUploads& uploads_;
};

}  // namespace dogfs::nodes
