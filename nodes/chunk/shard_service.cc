#include "nodes/chunk/shard_service.h"

#include <optional>

#include "core/chunk/append_disks.h"
#include "core/chunk/disks.h"
#include "core/proto/chunk.pb.h"
#include "core/rpc/server.h"
#include "nodes/chunk/shard_uploads.h"

namespace dogfs::nodes {
namespace {

chunk::ShardName name_of(const proto::ShardName& name) {
  return {BlockId(name.block()), name.shard(), Generation(name.generation())};
}

chunk::ShardEnd end_of(const proto::ShardEnd& end) { return {end.block_length(), end.checksum()}; }

}  // namespace

void ShardService::register_with(rpc::Server& server) {
  using rpc::Call;
  using rpc::Method;
  server.handle<proto::ShardBeginRequest>(
      Method::kShardBegin, [this](proto::ShardBeginRequest request, Call call) {
        return begin(std::move(request), {std::move(call.bulk), call.bulk_crc});
      });
  server.handle<proto::ShardWriteRequest>(
      Method::kShardWrite, [this](proto::ShardWriteRequest request, Call call) {
        return write(std::move(request), {std::move(call.bulk), call.bulk_crc});
      });
  server.handle<proto::ShardFinishRequest>(
      Method::kShardFinish,
      [this](proto::ShardFinishRequest request, Call) { return finish(std::move(request)); });
  server.handle<proto::ShardAbortRequest>(
      Method::kShardAbort,
      [this](proto::ShardAbortRequest request, Call) { return abort(std::move(request)); });
  server.handle<proto::ShardReadRequest>(
      Method::kShardRead,
      [this](proto::ShardReadRequest request, Call) { return read(std::move(request)); });
  server.handle<proto::ShardStatRequest>(
      Method::kShardStat,
      [this](proto::ShardStatRequest request, Call) { return stat(std::move(request)); });
}

// What is wrong with a name or a shape is the store's to say.
ShardService::Answered<proto::ShardBeginReply> ShardService::begin(proto::ShardBeginRequest request,
                                                                   chunk::CheckedBytes bytes) {
  const chunk::StripeShape shape{request.k(), request.m(), request.cell_bytes()};
  const chunk::ShardName name = name_of(request.name());
  if (const NodeId here = disks_.identity().node;
      request.node() != 0 && request.node() != here.value)
    co_return fail(Code::kPrecondition, "{} is meant for node {}, this is node {}",
                   chunk::describe(name), request.node(), here);
  rpc::Answer<proto::ShardBeginReply> answer;
  if (request.has_whole()) {
    CO_TRY_VOID(
        co_await uploads_.store_whole(name, shape, std::move(bytes), end_of(request.whole())));
    co_return answer;
  }
  CO_TRY(upload, co_await uploads_.begin(name, shape, request.expected_bytes()));
  answer.message.set_upload(upload);
  co_return answer;
}

ShardService::Answered<proto::ShardWriteReply> ShardService::write(proto::ShardWriteRequest request,
                                                                   chunk::CheckedBytes bytes) {
  CO_TRY_VOID(co_await uploads_.write(request.upload(), request.offset(), std::move(bytes)));
  co_return rpc::Answer<proto::ShardWriteReply>{};
}

ShardService::Answered<proto::ShardFinishReply> ShardService::finish(
    proto::ShardFinishRequest request) {
  CO_TRY(facts, co_await uploads_.finish(request.upload(), end_of(request.end())));
  rpc::Answer<proto::ShardFinishReply> answer;
  answer.message.set_length(facts.shard_length);
  answer.message.set_checksum(facts.checksum);
  co_return answer;
}

ShardService::Answered<proto::ShardAbortReply> ShardService::abort(
    proto::ShardAbortRequest request) {
  uploads_.abort(request.upload());
  co_return rpc::Answer<proto::ShardAbortReply>{};
}

ShardService::Answered<proto::ShardReadReply> ShardService::read(proto::ShardReadRequest request) {
  if (request.length() > limits::kShardReadBytesMax)
    co_return fail(Code::kTooLarge, "a read of {} bytes; the most is {}", request.length(),
                   limits::kShardReadBytesMax);
  std::optional<uint32_t> checksum;
  if (request.has_checksum()) checksum = request.checksum();
  rpc::Answer<proto::ShardReadReply> answer;
  const chunk::ShardName name = name_of(request.name());
  if (logs_.contains(name)) {
    CO_TRY(bytes, co_await read_log(name, request.offset(), request.length()));
    answer.bulk = std::move(bytes);
    co_return answer;
  }
  CO_TRY(read, co_await disks_.read_checked(name, request.offset(), request.length(), checksum));
  answer.bulk = std::move(read.bytes);
  answer.bulk_crc = read.crc;
  co_return answer;
}

// The bytes of a block that is not converted yet are the same on all replicas.
Task<Result<Buffer>> ShardService::read_log(chunk::ShardName name, uint64_t offset, size_t length) {
  CO_TRY(log, co_await logs_.find(name));
  co_return co_await log->read(offset, length);
}

ShardService::Answered<proto::ShardStatReply> ShardService::stat(proto::ShardStatRequest request) {
  CO_TRY(facts, co_await disks_.stat(name_of(request.name())));
  rpc::Answer<proto::ShardStatReply> answer;
  answer.message.set_length(facts.shard_length);
  answer.message.set_checksum(facts.checksum);
  answer.message.set_block_length(facts.block_length);
  co_return answer;
}

}  // namespace dogfs::nodes
