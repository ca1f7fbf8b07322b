#include "nodes/chunk/append_worker.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/ec/stripe.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "core/proto/chunk.pb.h"
#include "core/rpc/client.h"
#include "nodes/client/block_writer.h"
#include "nodes/client/open_commands.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kSealLimit = 20s;
constexpr Duration kCommandLimit = 5s;
constexpr Duration kReadLimit = 5s;
constexpr size_t kConversionBatchBytes = 1 * limits::kMiB;

}  // namespace

AppendWorker::AppendWorker(const Parts& parts)
    : parts_(parts), sealer_({parts.env, parts.rpc, parts.metadata}), changed_(parts.env) {}

void AppendWorker::add(metadata::AppendTask task) {
  const bool known = std::ranges::find(tasks_, task) != tasks_.end();
  if (known || tasks_.size() >= limits::kAppendTasksMax) return;
  tasks_.push_back(task);
  changed_.notify();
}

// What fails is handed out again by the leader.
Task<> AppendWorker::run() {
  for (;;) {
    while (tasks_.empty()) co_await changed_.wait();
    const metadata::AppendTask task = tasks_.front();
    if (auto done = co_await perform(task); !done)
      parts_.env.log().info("append block {}: {}", task.block, done.error());
    tasks_.pop_front();
  }
}

Task<Result<void>> AppendWorker::perform(metadata::AppendTask task) {
  if (task.kind == metadata::AppendTaskKind::kSeal)
    CO_TRY_VOID(co_await sealer_.seal(task.file, task.block, kSealLimit));
  co_return co_await convert(task.block, task.generation);
}

Task<Result<void>> AppendWorker::convert(BlockId block, Generation generation) {
  auto reply =
      co_await execute_openly(parts_.metadata,
                              metadata::BeginConversion{.block = block,
                                                        .generation = generation,
                                                        .attempt = parts_.env.random().next() | 1,
                                                        .avoid = {}},
                              kCommandLimit);
  // It is gone, or another has converted it.
  const bool settled =
      !reply && (reply.error().is(Code::kNotFound) || reply.error().is(Code::kPrecondition));
  if (settled) co_return Result<void>();
  if (!reply) co_return fail(std::move(reply).error());
  const auto* begun = std::get_if<metadata::ConversionBegun>(&*reply);
  if (begun == nullptr) co_return fail(Code::kCorrupt, "an answer to another question");
  Result<metadata::CommittedBlock> written = fail(Code::kUnavailable, "not written");
  co_await nursery(parts_.env, [&](Nursery& children) { return write(children, *begun, written); });
  if (!written) co_return fail(std::move(written).error());
  CO_TRY_VOID(
      co_await execute_openly(parts_.metadata,
                              metadata::CommitConversion{.block = block,
                                                         .generation = begun->next.generation,
                                                         .shards = std::move(written->shards)},
                              kCommandLimit));
  co_return Result<void>();
}

Task<> AppendWorker::write(Nursery& children, metadata::ConversionBegun begun,
                           Result<metadata::CommittedBlock>& written) {
  const placement::Policy& policy = begun.policy;
  auto codec = ec::Codec::create(policy.data_shards(), policy.parity_shards());
  if (!codec) {
    written = fail(std::move(codec).error());
    co_return;
  }
  const BlockFormat format{
      .cluster = parts_.cluster,
      .policy = policy,
      .shape = {policy.data_shards(), policy.parity_shards(), begun.cell_bytes},
      .codec = std::make_shared<const ec::Codec>(std::move(*codec))};
  const auto writer = std::make_shared<BlockWriter>(
      ShardSender::Parts{parts_.env, parts_.rpc, health_, copied_bytes_}, parts_.shard_lag, format,
      begun.next);
  children.spawn(BlockWriter::run(writer));
  const size_t stripe = format.shape.stripe_bytes();
  const size_t batch = std::max<size_t>(1, kConversionBatchBytes / stripe) * stripe;
  if (auto copied = co_await copy(begun.log, writer, batch); !copied)
    written = fail(std::move(copied).error());
  else
    written = co_await writer->settle();
  writer->stop();
}

Task<Result<void>> AppendWorker::copy(metadata::AppendLog log, std::shared_ptr<BlockWriter> writer,
                                      size_t batch_bytes) {
  for (uint64_t at = 0; at < log.length;) {
    const size_t length = std::min<uint64_t>(batch_bytes, log.length - at);
    CO_TRY(bytes, co_await read(log, at, length));
    CO_TRY_VOID(co_await writer->write(std::move(bytes)));
    at += length;
  }
  writer->end();
  co_return Result<void>();
}

// From the log that is here, or else from whichever holder answers.
Task<Result<Buffer>> AppendWorker::read(metadata::AppendLog log, uint64_t offset, size_t length) {
  Error last{Code::kUnavailable, "no holder of the log has an address"};
  for (const auto& holder : log.holders) {
    const chunk::ShardName name{log.block, holder.index, log.generation};
    if (!parts_.logs.contains(name)) continue;
    auto here = co_await parts_.logs.find(name);
    if (!here) continue;
    auto bytes = co_await (*here)->read(offset, length);
    if (bytes) co_return bytes;
  }
  for (const auto& holder : log.holders) {
    const auto address = Address::parse(holder.address);
    if (!address) continue;
    proto::ShardReadRequest request;
    request.mutable_name()->set_block(log.block.value);
    request.mutable_name()->set_shard(holder.index);
    request.mutable_name()->set_generation(log.generation.value);
    request.set_offset(offset);
    request.set_length(length);
    auto reply = co_await parts_.rpc.call(*address, rpc::Method::kShardRead,
                                          rpc::serialize(request), kReadLimit);
    if (reply && reply->bulk.size() == length) co_return std::move(reply->bulk);
    if (!reply) last = std::move(reply).error();
  }
  co_return fail(std::move(last));
}

}  // namespace dogfs::nodes
