#include "nodes/client/append_tail.h"

#include "core/env/env.h"
#include "core/proto/append.pb.h"
#include "core/rpc/client.h"
#include "nodes/client/append_replica.h"
#include "nodes/client/session.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kLengthLimit = 1s;
constexpr Duration kLengthPause = 100ms;
constexpr int kQuestionsMax = 3;

Task<Result<uint64_t>> ask_length(rpc::Client& rpc, metadata::FileHandle file,
                                  metadata::LocatedBlock block) {
  if (block.shards.empty()) co_return fail(Code::kCorrupt, "an open block without replicas");
  const metadata::LocatedShard& primary = block.shards.front();
  const auto address = Address::parse(primary.address);
  if (!address) co_return fail(Code::kUnavailable, "\"{}\" is no address", primary.address);
  proto::AppendLengthRequest request;
  *request.mutable_primary() =
      append_replica(block.block, block.generation, primary.index, primary.node);
  request.set_home(file.home.value);
  request.set_file(file.file.value);
  request.set_epoch(block.epoch.value);
  CO_TRY(reply, co_await rpc.call<proto::AppendLengthReply>(*address, rpc::Method::kAppendLength,
                                                            std::move(request), kLengthLimit));
  co_return reply.message.length();
}

// A primary that only did not answer may do so at the next question; one that says that the block
// is not open there never will say anything else.
Task<Result<uint64_t>> open_length(AppendSealer::Parts parts, metadata::FileHandle file,
                                   metadata::LocatedBlock block) {
  for (int questions = 1;; ++questions) {
    auto length = co_await ask_length(parts.rpc, file, block);
    const bool again = !length && questions < kQuestionsMax &&
                       (length.error().is(Code::kUnavailable) || length.error().is(Code::kUnknown));
    if (!again) co_return length;
    co_await parts.env.sleep(kLengthPause);
  }
}

}  // namespace

Task<Result<std::pair<LogIndex, metadata::FileLocation>>> locate_with_tail(
    AppendSealer::Parts parts, Session& session, metadata::LocateQuery query, Duration limit) {
  const Instant deadline = parts.env.now() + limit;
  AppendSealer sealer(parts);
  for (;;) {
    CO_TRY(located, co_await session.query_for<metadata::FileLocation>(query));
    metadata::FileLocation& location = located.value;
    const bool open = !location.blocks.empty() && location.blocks.back().open_end();
    if (!open) co_return std::pair(located.position, std::move(location));
    metadata::LocatedBlock& tail = location.blocks.back();
    if (tail.state == metadata::LocatedState::kAppending) {
      if (const auto length = co_await open_length(parts, location.file, tail)) {
        tail.length = tail.block_length = *length;
        location.length += *length;
        co_return std::pair(located.position, std::move(location));
      }
    }
    CO_TRY_VOID(co_await sealer.seal(location.file, tail.block, deadline - parts.env.now()));
  }
}

}  // namespace dogfs::nodes
