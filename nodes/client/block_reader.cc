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
  Progress progress(parts_.env, range, parts_.env.now() + parts_.options.read_limit);
  Result<ec::ReadPlan> gathered = fail(Code::kUnavailable, "not read");
  // What is still asked for when enough has come is cancelled with the nursery.
  co_await nursery(parts_.env,
                   [&](Nursery& children) { return gather(children, progress, gathered); });
  if (!gathered) co_return fail(std::move(gathered).error());
  co_return co_await assemble(*std::move(gathered), progress);
}

// Until there is enough of the shards, or none left to ask.
Task<> BlockReader::gather(Nursery& children, Progress& progress, Result<ec::ReadPlan>& gathered) {
  for (;;) {
    if (auto plan = complete(progress)) {
      gathered = *std::move(plan);
      co_return;
    }
    mark_late(progress);
    const auto asked = ask(children, progress);
    if (!asked) {
      gathered = fail(asked.error());
      co_return;
    }
    if (*asked || !progress.under_way.empty()) {
      co_await progress.changed.wait_until(std::min(next_late(progress), progress.deadline));
      if (parts_.env.now() < progress.deadline) continue;
    }
    const bool hopeless = block_.shards.size() - lost_.size() < layout_.shape().k;
    if (hopeless || parts_.env.now() + kRetryPause >= progress.deadline) {
      gathered = fail(too_few());
      co_return;
    }
    // All that are left could not be read just now: ask them again.
    co_await parts_.env.sleep(kRetryPause);
    progress.failed.clear();
  }
}

// Asks for what the best plan wants and nobody was asked for. False: there is no plan.
Result<bool> BlockReader::ask(Nursery& children, Progress& progress) {
  const auto plan = ec::ReadPlan::create(layout_, progress.range, candidates(progress));
  if (!plan && plan.error().is(Code::kUnavailable)) return false;
  if (!plan) return fail(plan.error());
  for (const ec::ShardRead& read : plan->reads()) {
    const auto found = progress.fetched.find(read.shard);
    if (found != progress.fetched.end() && found->second.first.contains(read.range)) continue;
    const auto [begin, end] = progress.under_way.equal_range(read.shard);
    const bool asked = std::any_of(
        begin, end, [&](const auto& each) { return each.second.range.contains(read.range); });
    if (!asked)
      children.spawn(
          fetch(progress, progress.under_way.insert({read.shard, {read.range, parts_.env.now()}})));
  }
  return true;
}

// Shards to plan with, the best first. Those at doubtful servers, and those whose answer is late,
// only when there are too few others.
std::vector<uint32_t> BlockReader::candidates(const Progress& progress) const {
  std::vector<uint32_t> sound;
  std::vector<uint32_t> doubtful;
  for (const auto& shard : block_.shards) {
    if (lost_.contains(shard.index) || progress.failed.contains(shard.index)) continue;
    const bool silent = shard.state == placement::NodeState::kSuspect ||
                        shard.state == placement::NodeState::kDead ||
                        shard.state == placement::NodeState::kGone;
    const auto [begin, end] = progress.under_way.equal_range(shard.index);
    const bool late = std::any_of(begin, end, [](const auto& each) { return each.second.late; });
    const bool known = begin != end || progress.fetched.contains(shard.index);
    const bool doubted = silent || parts_.health.doubtful_for_reads(shard.node, parts_.env.now());
    (late || (doubted && !known) ? doubtful : sound).push_back(shard.index);
  }
  while (sound.size() < layout_.shape().k && !doubtful.empty()) {
    sound.push_back(doubtful.front());
    doubtful.erase(doubtful.begin());
  }
  return sound;
}

// The plan for what has been fetched, if that is enough.
std::optional<ec::ReadPlan> BlockReader::complete(const Progress& progress) const {
  std::vector<uint32_t> usable;
  for (const auto& [shard, bytes] : progress.fetched) usable.push_back(shard);
  for (;;) {
    auto plan = ec::ReadPlan::create(layout_, progress.range, usable);
    if (!plan) return std::nullopt;
    const auto short_of = [&](const ec::ShardRead& read) {
      return !progress.fetched.at(read.shard).first.contains(read.range);
    };
    const auto found = std::ranges::find_if(plan->reads(), short_of);
    if (found == plan->reads().end()) return *std::move(plan);
    std::erase(usable, found->shard);
  }
}

void BlockReader::mark_late(Progress& progress) {
  const Instant now = parts_.env.now();
  const Duration usual = parts_.health.hedge_after(parts_.options.read_hedge);
  for (auto& [index, asked] : progress.under_way) {
    if (asked.late || now - asked.begun < usual) continue;
    asked.late = true;
    parts_.health.was_slow(shard(index)->node, now);
    parts_.env.log().info("shard {} of block {} at node {} is late", index, block_.block,
                          shard(index)->node);
  }
}

// When the next of those under way will be late.
Instant BlockReader::next_late(const Progress& progress) const {
  const Duration usual = parts_.health.hedge_after(parts_.options.read_hedge);
  Instant next = kNever;
  for (const auto& [index, asked] : progress.under_way)
    if (!asked.late) next = std::min(next, asked.begun + usual);
  return next;
}

Task<> BlockReader::fetch(Progress& progress, Progress::Asked::iterator asked) {
  const uint32_t index = asked->first;
  const ec::ByteRange range = asked->second.range;
  const Instant begun = asked->second.begun;
  const metadata::LocatedShard& shard = *this->shard(index);
  Result<Buffer> bytes = Buffer();
  if (!range.empty())
    bytes = co_await call(index, range, std::max(progress.deadline - begun, Duration(0)));
  progress.under_way.erase(asked);
  if (bytes) {
    parts_.health.answered(shard.node);
    parts_.health.took(parts_.env.now() - begun);
    unreadable_.erase(index);
    progress.failed.erase(index);
    auto& [known, held] = progress.fetched[index];
    if (held.empty() || range.contains(known)) {
      known = range;
      held = *std::move(bytes);
    }
  } else {
    failed(progress, shard, bytes.error());
  }
  progress.changed.notify();
}

Task<Result<Buffer>> BlockReader::call(uint32_t index, ec::ByteRange range, Duration limit) {
  const metadata::LocatedShard& shard = *this->shard(index);
  const auto address = Address::parse(shard.address);
  if (!address) co_return fail(Code::kUnavailable, "it has no address");
  proto::ShardReadRequest request;
  request.mutable_name()->set_block(block_.block.value);
  request.mutable_name()->set_shard(shard.index);
  request.mutable_name()->set_generation(block_.generation.value);
  request.set_offset(range.offset);
  request.set_length(range.length);
  if (!block_.log) request.set_checksum(shard.checksum);
  CO_TRY(reply, co_await parts_.rpc.call(*address, rpc::Method::kShardRead, rpc::serialize(request),
                                         limit));
  if (reply.bulk.size() != range.length)
    co_return fail(Code::kCorrupt, "it sent another number of bytes");
  co_return std::move(reply.bulk);
}

void BlockReader::failed(Progress& progress, const metadata::LocatedShard& shard,
                         const Error& error) {
  parts_.env.log().info("shard {} of block {} at node {}: {}", shard.index, block_.block,
                        shard.node, error);
  if (error.is(Code::kNotFound)) {
    lost_.emplace(shard.index, Loss::kMissing);
  } else if (block_.log && error.is(Code::kInvalid)) {
    progress.failed.insert(shard.index);  // it has not got so much of an open block yet
  } else if (error.is(Code::kIo)) {
    // Its disk said no. It may read it yet, and until then nobody knows that the bytes are damaged.
    progress.failed.insert(shard.index);
    unreadable_.insert(shard.index);
  } else if (error.is(Code::kUnavailable) || error.is(Code::kUnknown)) {
    progress.failed.insert(shard.index);
    parts_.health.failed(shard.node, parts_.env.now());
  } else {
    lost_.emplace(shard.index, Loss::kDamaged);
  }
}

Task<Result<BlockBytes>> BlockReader::assemble(ec::ReadPlan plan, Progress& progress) {
  if (plan.missing().empty()) co_return slices(plan.range(), progress);
  std::vector<Buffer> fetched;
  size_t bytes = 0;
  for (const auto& read : plan.reads()) {
    const auto& [range, buffer] = progress.fetched.at(read.shard);
    fetched.push_back(buffer.slice(read.range.offset - range.offset, read.range.length));
    bytes += read.range.length;
  }
  BlockBytes out;
  for (const auto& piece : layout_.pieces(plan.range()))
    if (std::ranges::count(plan.missing(), piece.shard) > 0) out.rebuilt_bytes += piece.length;
  CO_TRY(pieces,
         co_await offload(parts_.env, bytes, [plan, fetched = std::move(fetched), codec = codec_] {
           return plan.assemble(*codec, fetched);
         }));
  out.pieces = std::move(pieces);
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
