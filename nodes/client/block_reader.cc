#include "nodes/client/block_reader.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/env/compute.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "core/proto/chunk.pb.h"
#include "core/rpc/client.h"
#include "nodes/client/client.h"
#include "nodes/client/server_health.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kRetryPause = 200ms;

}  // namespace

Result<std::shared_ptr<BlockReader>> BlockReader::create(const Parts& parts,
                                                         metadata::LocatedBlock block,
                                                         uint32_t cell_bytes) {
  const uint32_t k = block.policy.data_shards();
  const uint32_t m = block.policy.parity_shards();
  TRY(layout, ec::StripeLayout::create({k, m, cell_bytes}, block.block_length));
  TRY(codec, ec::Codec::create(k, m));
  for (const auto& shard : block.shards)
    if (shard.index >= k + m)
      return fail(Code::kCorrupt, "block {} has a shard {} of {}", block.block, shard.index, k + m);
  return std::shared_ptr<BlockReader>(
      new BlockReader(parts, std::move(block), layout, std::move(codec)));
}

BlockReader::BlockReader(const Parts& parts, metadata::LocatedBlock block, ec::StripeLayout layout,
                         ec::Codec codec)
    : parts_(parts),
      block_(std::move(block)),
      layout_(layout),
      codec_(std::make_shared<const ec::Codec>(std::move(codec))) {}

Task<Result<BlockBytes>> BlockReader::read(ec::ByteRange range) {
  Progress progress{.fetched = {},
                    .slow = {},
                    .limit = parts_.options.read_hedge,
                    .deadline = parts_.env.now() + parts_.options.read_limit};
  for (;;) {
    const auto available = candidates(progress);
    auto plan = ec::ReadPlan::create(layout_, range, available);
    if (!plan && !plan.error().is(Code::kUnavailable)) co_return fail(std::move(plan).error());
    if (plan) {
      if (co_await fetch_all(progress, plan->reads()))
        co_return co_await assemble(std::move(*plan), progress);
      if (parts_.env.now() < progress.deadline) continue;
    }
    const bool hopeless = block_.shards.size() - lost_.size() < layout_.shape().k;
    if (hopeless || parts_.env.now() + kRetryPause >= progress.deadline) co_return fail(too_few());
    // All that are left were slow or out of reach: ask them again, and wait for longer.
    co_await parts_.env.sleep(kRetryPause);
    progress.slow.clear();
    progress.limit = std::min(2 * progress.limit, parts_.options.read_limit);
  }
}

// Shards to plan with, the best first. Those at doubtful servers only when there are too few
// others.
std::vector<uint32_t> BlockReader::candidates(const Progress& progress) const {
  std::vector<uint32_t> sound;
  std::vector<uint32_t> doubtful;
  for (const auto& shard : block_.shards) {
    if (lost_.contains(shard.index) || progress.slow.contains(shard.index)) continue;
    const bool silent = shard.state == placement::NodeState::kSuspect ||
                        shard.state == placement::NodeState::kDead ||
                        shard.state == placement::NodeState::kGone;
    const bool fetched = progress.fetched.contains(shard.index);
    if (!fetched && (silent || parts_.health.doubtful(shard.node, parts_.env.now())))
      doubtful.push_back(shard.index);
    else
      sound.push_back(shard.index);
  }
  while (sound.size() < layout_.shape().k && !doubtful.empty()) {
    sound.push_back(doubtful.front());
    doubtful.erase(doubtful.begin());
  }
  return sound;
}

// An error when one of them could not be got: the plan does not hold then.
Task<Result<void>> BlockReader::fetch_all(Progress& progress, std::vector<ec::ShardRead> reads) {
  std::vector<ec::ShardRead> wanted;
  for (const auto& read : reads) {
    const auto found = progress.fetched.find(read.shard);
    if (found == progress.fetched.end() || !found->second.first.contains(read.range))
      wanted.push_back(read);
  }
  if (wanted.size() == 1) {
    co_await fetch(progress, wanted.front());
  } else if (!wanted.empty()) {
    co_await nursery(parts_.env, [&](Nursery& children) {
      return fetch_side_by_side(children, progress, wanted);
    });
  }
  for (const auto& read : wanted) {
    const auto found = progress.fetched.find(read.shard);
    if (found == progress.fetched.end() || !found->second.first.contains(read.range))
      co_return fail(Code::kUnavailable, "shard {} could not be read", read.shard);
  }
  co_return Result<void>();
}

Task<> BlockReader::fetch_side_by_side(Nursery& children, Progress& progress,
                                       std::vector<ec::ShardRead> reads) {
  for (const auto& read : reads) children.spawn(fetch(progress, read));
  co_await children.join();
}

Task<> BlockReader::fetch(Progress& progress, ec::ShardRead read) {
  const metadata::LocatedShard* shard = this->shard(read.shard);
  if (read.range.empty()) {
    progress.fetched.insert_or_assign(read.shard, std::pair(read.range, Buffer()));
    co_return;
  }
  const auto address = Address::parse(shard->address);
  if (!address) {
    progress.slow.insert(read.shard);
    co_return;
  }
  proto::ShardReadRequest request;
  request.mutable_name()->set_block(block_.block.value);
  request.mutable_name()->set_shard(read.shard);
  request.mutable_name()->set_generation(block_.generation.value);
  request.set_offset(read.range.offset);
  request.set_length(read.range.length);
  request.set_checksum(shard->checksum);
  const Duration left = progress.deadline - parts_.env.now();
  auto reply = co_await parts_.rpc.call(*address, rpc::Method::kShardRead, rpc::serialize(request),
                                        std::min(progress.limit, left));
  if (!reply) {
    failed(progress, *shard, reply.error());
  } else if (reply->bulk.size() != read.range.length) {
    failed(progress, *shard, {Code::kCorrupt, "it sent another number of bytes"});
  } else {
    parts_.health.answered(shard->node);
    unreadable_.erase(read.shard);
    progress.fetched.insert_or_assign(read.shard, std::pair(read.range, std::move(reply->bulk)));
  }
}

void BlockReader::failed(Progress& progress, const metadata::LocatedShard& shard,
                         const Error& error) {
  parts_.env.log().info("shard {} of block {} at node {}: {}", shard.index, block_.block,
                        shard.node, error);
  if (error.is(Code::kNotFound)) {
    lost_.emplace(shard.index, Loss::kMissing);
  } else if (error.is(Code::kIo)) {
    // Its disk said no. It may read it yet, and until then nobody knows that the bytes are damaged.
    progress.slow.insert(shard.index);
    unreadable_.insert(shard.index);
  } else if (error.is(Code::kUnavailable) || error.is(Code::kUnknown)) {
    progress.slow.insert(shard.index);
    parts_.health.failed(shard.node, parts_.env.now());
  } else {
    lost_.emplace(shard.index, Loss::kDamaged);
  }
}

Task<Result<BlockBytes>> BlockReader::assemble(ec::ReadPlan plan, Progress& progress) {
  if (plan.missing().empty()) co_return slices(plan.range(), progress);
  std::vector<Buffer> fetched;
  size_t bytes = plan.range().length;
  for (const auto& read : plan.reads()) {
    const auto& [range, buffer] = progress.fetched.at(read.shard);
    fetched.push_back(buffer.slice(read.range.offset - range.offset, read.range.length));
    bytes += read.range.length;
  }
  BlockBytes out;
  for (const auto& piece : layout_.pieces(plan.range()))
    if (std::ranges::count(plan.missing(), piece.shard) > 0) out.rebuilt_bytes += piece.length;
  CO_TRY(whole,
         co_await offload(parts_.env, bytes, [plan, fetched = std::move(fetched), codec = codec_] {
           return plan.assemble(*codec, fetched);
         }));
  out.pieces.push_back(std::move(whole));
  co_return out;
}

// Without a copy: the cells as they came.
BlockBytes BlockReader::slices(ec::ByteRange range, const Progress& progress) const {
  if (layout_.shape().k == 1) {
    for (const auto& [index, fetched] : progress.fetched)
      if (fetched.first.contains(range))
        return {{fetched.second.slice(range.offset - fetched.first.offset, range.length)}, 0};
  }
  BlockBytes out;
  for (const auto& piece : layout_.pieces(range)) {
    const auto& [fetched, buffer] = progress.fetched.at(piece.shard);
    out.pieces.push_back(buffer.slice(piece.shard_offset - fetched.offset, piece.length));
  }
  return out;
}

size_t BlockReader::count(Loss loss) const {
  return static_cast<size_t>(
      std::ranges::count_if(lost_, [loss](const auto& each) { return each.second == loss; }));
}

Error BlockReader::too_few() const {
  const uint32_t k = layout_.shape().k;
  size_t reachable = 0;
  for (const auto& shard : block_.shards)
    if (!lost_.contains(shard.index) && !unreadable_.contains(shard.index) &&
        !parts_.health.doubtful(shard.node, parts_.env.now()))
      ++reachable;
  const size_t damaged = count(Loss::kDamaged);
  const bool for_good = block_.shards.size() - lost_.size() < k && damaged > 0;
  return {for_good ? Code::kCorrupt : Code::kUnavailable,
          fmt::format("block {} cannot be read: {} of its {} shards can be, {} are needed; {} are "
                      "damaged, {} missing, {} cannot be read by their disks",
                      block_.block, reachable, layout_.shape().shard_count(), k, damaged,
                      count(Loss::kMissing), unreadable_.size())};
}

const metadata::LocatedShard* BlockReader::shard(uint32_t index) const {
  const auto found = std::ranges::find(block_.shards, index, &metadata::LocatedShard::index);
  return &*found;
}

}  // namespace dogfs::nodes
