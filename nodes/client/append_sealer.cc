#include "nodes/client/append_sealer.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "core/base/mutation.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "core/proto/append.pb.h"
#include "core/rpc/client.h"
#include "nodes/client/append_replica.h"
#include "nodes/client/metadata_calls.h"
#include "nodes/client/open_commands.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kReplicaLimit = 3s;
constexpr Duration kStragglerLimit = 200ms;  // for the others, once a quorum has answered
constexpr Duration kCatchUpLimit = 20s;
constexpr Duration kPause = 200ms;

}  // namespace

struct AppendSealer::Round {
  Round(Env& env, metadata::SealBegun b) : begun(std::move(b)), changed(env) {}

  size_t quorum() const { return metadata::append_seal_quorum(begun.block.shards.size()); }
  const metadata::PlacedShard& longest() const {
    const auto found =
        std::ranges::max_element(begun.block.shards, {}, [&](const metadata::PlacedShard& shard) {
          const auto held = lengths.find(shard.index);
          return std::tuple(held != lengths.end(), held == lengths.end() ? 0 : held->second,
                            !damaged.contains(shard.index));
        });
    return *found;
  }
  // Nobody is left who could know of more.
  bool all_said() const {
    return lengths.size() + cut.size() + without.size() == begun.block.shards.size();
  }
  // Sound logs count first; others when there are too few of them.
  void choose() {
    if (lengths.size() < quorum()) lengths.insert(damaged.begin(), damaged.end());
    if (lengths.size() < quorum() && all_said()) lengths.insert(cut.begin(), cut.end());
    damaged.insert(cut.begin(), cut.end());
  }
  proto::AppendReplica name(const metadata::PlacedShard& shard) const {
    return append_replica(begun.block.block, begun.block.generation, shard.index, shard.node);
  }

  const metadata::SealBegun begun;
  std::map<uint32_t, uint64_t> lengths;  // of those that answered, by index
  std::map<uint32_t, uint64_t> damaged;  // likewise, of logs that may not be read to their end
  // Likewise, of logs that were judged damaged in an earlier life of their server: if it was their
  // end, opening them has cut it off.
  std::map<uint32_t, uint64_t> cut;
  std::set<uint32_t> without;  // whose servers have lost the log
  size_t answers = 0;          // errors included
  uint64_t length = 0;         // that was chosen
  Event changed;
};

Task<Result<void>> AppendSealer::seal(metadata::FileHandle file, BlockId block, Duration limit) {
  const Instant deadline = parts_.env.now() + limit;
  for (;;) {
    const Duration left = deadline - parts_.env.now();
    auto sealed = co_await try_once(file, block, left);
    if (sealed && *sealed) co_return Result<void>();
    if (!sealed && sealed.error().is(Code::kNotFound)) co_return Result<void>();
    if (parts_.env.now() + kPause >= deadline)
      co_return fail(Code::kUnavailable, "append block {} is not sealed: {}", block,
                     sealed ? "too few of its replicas answer" : sealed.error().message);
    co_await parts_.env.sleep(kPause);
  }
}

// False: too few replicas had something to say.
Task<Result<bool>> AppendSealer::try_once(metadata::FileHandle file, BlockId block,
                                          Duration limit) {
  CO_TRY(reply, co_await execute_openly(parts_.calls,
                                        metadata::BeginSeal{.file = file, .block = block}, limit));
  if (std::holds_alternative<metadata::Done>(reply)) co_return true;
  auto* begun = std::get_if<metadata::SealBegun>(&reply);
  if (begun == nullptr || begun->block.shards.empty())
    co_return fail(Code::kCorrupt, "the metadata server answered another question");
  auto round = std::make_shared<Round>(parts_.env, std::move(*begun));
  co_await nursery(parts_.env, [&](Nursery& children) { return ask_all(children, round); });
  round->choose();
  if (round->lengths.size() < round->quorum()) co_return false;
  round->length = round->lengths.at(round->longest().index);
  if (MUTANT("M37"))
    for (const auto& [index, length] : round->lengths)
      round->length = std::min(round->length, length);
  co_await nursery(parts_.env, [&](Nursery& children) { return catch_up_all(children, round); });
  metadata::FixAppend fix{.file = file,
                          .block = block,
                          .epoch = round->begun.epoch,
                          .length = round->length,
                          .holders = {}};
  for (const auto& [index, length] : round->lengths)
    if (length >= round->length) fix.holders.push_back(index);
  if (fix.holders.size() < round->quorum()) co_return false;
  CO_TRY_VOID(co_await execute_openly(parts_.calls, std::move(fix), limit));
  co_return true;
}

Task<> AppendSealer::ask_all(Nursery& children, std::shared_ptr<Round> round) {
  const size_t all = round->begun.block.shards.size();
  for (const auto& replica : round->begun.block.shards) children.spawn(ask(round, replica));
  while (round->lengths.size() < round->quorum() && round->answers < all)
    co_await round->changed.wait();
  const Instant until = parts_.env.now() + kStragglerLimit;
  while (round->answers < all && co_await round->changed.wait_until(until)) {
  }
}

Task<> AppendSealer::ask(std::shared_ptr<Round> round, metadata::PlacedShard replica) {
  Result<rpc::Answer<proto::AppendSealReply>> answer = fail(Code::kUnavailable, "no address");
  if (const auto address = Address::parse(replica.address)) {
    proto::AppendSealRequest request;
    *request.mutable_replica() = round->name(replica);
    request.set_epoch(round->begun.epoch.value);
    request.set_ordinal(round->begun.ordinal);
    request.set_file_offset(round->begun.block.file_offset);
    answer = co_await parts_.rpc.call<proto::AppendSealReply>(*address, rpc::Method::kAppendSeal,
                                                              std::move(request), kReplicaLimit);
  }
  if (answer && !answer->message.begun()) {
    round->without.insert(replica.index);
    answer = fail(Code::kCorrupt, "it has lost the log");
  }
  if (answer) {
    const bool lost =
        std::ranges::find(round->begun.lost, replica.index) != round->begun.lost.end();
    auto& others = lost ? round->cut : round->lengths;
    auto& lengths = answer->message.damaged() ? round->damaged : others;
    lengths[replica.index] = answer->message.length();
  } else {
    parts_.env.log().info("append block {}, sealing: replica {} at node {}: {}",
                          round->begun.block.block, replica.index, replica.node, answer.error());
  }
  ++round->answers;
  round->changed.notify();
}

Task<> AppendSealer::catch_up_all(Nursery& children, std::shared_ptr<Round> round) {
  for (const auto& replica : round->begun.block.shards) {
    const auto held = round->lengths.find(replica.index);
    if (held != round->lengths.end() && held->second < round->length)
      children.spawn(catch_up(round, replica));
  }
  co_await children.join();
}

Task<> AppendSealer::catch_up(std::shared_ptr<Round> round, metadata::PlacedShard replica) {
  const metadata::PlacedShard& source = round->longest();
  const auto address = Address::parse(replica.address);
  if (!address) co_return;
  proto::AppendCatchUpRequest request;
  *request.mutable_replica() = round->name(replica);
  *request.mutable_source() = round->name(source);
  request.set_source_address(source.address);
  request.set_length(round->length);
  auto answer = co_await parts_.rpc.call<proto::AppendCatchUpReply>(
      *address, rpc::Method::kAppendCatchUp, std::move(request), kCatchUpLimit);
  if (answer) round->lengths[replica.index] = answer->message.length();
}

}  // namespace dogfs::nodes
