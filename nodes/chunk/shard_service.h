#pragma once
// ShardService: what a chunk server answers to clients and other chunk servers about shards. It
// checks what came in and turns calls into those of the store and the uploads. Owned by the chunk
// node, which registers it with its rpc server; one thread.

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/env/task.h"
#include "core/rpc/message_codec.h"
#include "core/rpc/types.h"

namespace dogfs::chunk {
class Store;
}
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
  ShardService(chunk::Store& store, ShardUploads& uploads) : store_(store), uploads_(uploads) {}

  void register_with(rpc::Server& server);

 private:
  template <class Message>
  using Answered = Task<Result<rpc::Answer<Message>>>;

  Answered<proto::ShardBeginReply> begin(proto::ShardBeginRequest request, Buffer bytes);
  Answered<proto::ShardWriteReply> write(proto::ShardWriteRequest request, Buffer bytes);
  Answered<proto::ShardFinishReply> finish(proto::ShardFinishRequest request);
  Answered<proto::ShardAbortReply> abort(proto::ShardAbortRequest request);
  Answered<proto::ShardReadReply> read(proto::ShardReadRequest request);
  Answered<proto::ShardStatReply> stat(proto::ShardStatRequest request);

  chunk::Store& store_;
  ShardUploads& uploads_;
};

}  // namespace dogfs::nodes
