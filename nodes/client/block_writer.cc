#include "nodes/client/block_writer.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/env/compute.h"
#include "core/env/nursery.h"

namespace dogfs::nodes {
namespace {

// What may wait for one server before the others are held up.
constexpr size_t kQueueBytes = 4 * limits::kMiB;
constexpr size_t kLargeCellBytes = 16 * limits::kKiB;

}  // namespace

// A large cell's own checksum goes along, so that its frame needs no second pass over it.
BlockWriter::Encoded::Cell BlockWriter::checked(const chunk::ShardIdentity& identity,
                                                uint64_t offset, Buffer cell) {
  if (cell.size() < kLargeCellBytes) {
    const uint32_t checksum = chunk::cell_checksum(identity, offset, cell.view());
    return {{std::move(cell)}, checksum};
  }
  const uint32_t crc = crc32c(cell.view());
  const uint32_t checksum = chunk::cell_checksum(identity, offset, crc, cell.size());
  return {{std::move(cell), crc}, checksum};
}

BlockWriter::BlockWriter(const ShardSender::Parts& parts, Duration lag, BlockFormat format,
                         metadata::PlacedBlock placed)
    : env_(parts.env),
      lag_(lag),
      format_(std::move(format)),
      placed_(std::move(placed)),
      changed_(env_),
      stopped_(env_) {
  const auto layout = ec::StripeLayout::create(format_.shape, placed_.length);
  for (const auto& shard : placed_.shards) {
    // A server whose address cannot be read cannot be reached either.
    ShardSender::Target target{
        .shard = {format_.cluster, {placed_.block, shard.index, placed_.generation}},
        .shape = format_.shape,
        .expected_bytes = layout ? layout->shard_length() : 0,
        .server = shard.node,
        .address = Address::parse(shard.address).value_or(Address{})};
    senders_.push_back(std::make_unique<ShardSender>(parts, std::move(target), lag, changed_));
  }
}

BlockWriter::~BlockWriter() = default;

Task<> BlockWriter::run(std::shared_ptr<BlockWriter> self) {
  co_await nursery(self->env_, [&](Nursery& children) { return self->send_all(children); });
}

Task<> BlockWriter::send_all(Nursery& children) {
  for (const auto& sender : senders_) children.spawn(sender->run());
  co_await stopped_.wait();
  for (const auto& sender : senders_)
    sender->give_up({Code::kUnavailable, "the block was settled without it"});
  co_await children.join();
}

void BlockWriter::stop() { stopped_.set(); }

Task<BlockWriter::Encoded> BlockWriter::encode(Buffer stripes) {
  const auto work = [format = format_, block = placed_.block, generation = placed_.generation,
                     stripes, first = written_ / format_.shape.stripe_bytes()]() {
    Encoded encoded;
    const uint64_t stripe_bytes = format.shape.stripe_bytes();
    for (uint64_t at = 0; at < stripes.size(); at += stripe_bytes) {
      const uint64_t length = std::min<uint64_t>(stripe_bytes, stripes.size() - at);
      auto cells = format.codec->encode_stripe(stripes.slice(at, length));
      const uint64_t offset = (first + encoded.stripes.size()) * format.shape.cell_bytes;
      auto& row = encoded.stripes.emplace_back();
      for (uint32_t shard = 0; shard < cells.size(); ++shard) {
        const chunk::ShardIdentity identity{format.cluster, {block, shard, generation}};
        row.push_back(checked(identity, offset, std::move(cells[shard])));
      }
    }
    return encoded;
  };
  // Reads all bytes twice (code, checksum) and writes the parity.
  const size_t touched = stripes.size() * 2 * format_.policy.width() / format_.policy.data_shards();
  co_return co_await offload(env_, touched, work);
}

void BlockWriter::push(Encoded encoded) {
  for (auto& stripe : encoded.stripes)
    for (const auto& sender : senders_) {
      auto& cell = stripe[sender->index()];
      sender->push(std::move(cell.bytes), cell.checksum);
    }
}

Task<Result<void>> BlockWriter::write(Buffer stripes) {
  CO_TRY_VOID(check_enough());
  const size_t bytes = stripes.size();
  push(co_await encode(std::move(stripes)));
  written_ += bytes;
  co_return co_await wait_for_room();
}

Task<Result<void>> BlockWriter::wait_for_room() {
  if (MUTANT("M101")) co_return Result<void>();
  const Instant since = env_.now();
  const auto full = [](const auto& sender) { return sender->queued_bytes() >= kQueueBytes; };
  for (;;) {
    CO_TRY_VOID(check_enough());
    if (std::ranges::none_of(senders_, full)) co_return Result<void>();
    co_await changed_.wait_for(shortest_patience() / 4);
    give_up_laggards(since);
  }
}

// Of those that are waited for.
Duration BlockWriter::shortest_patience() const {
  Duration shortest = lag_;
  for (const auto& sender : senders_)
    if (sender->state() == ShardSender::State::kSending)
      shortest = std::min(shortest, sender->patience());
  return shortest;
}

// Those that have no room while enough others have some.
void BlockWriter::give_up_laggards(Instant since) {
  std::vector<ShardSender*> laggards;
  size_t others = 0;
  for (const auto& sender : senders_) {
    if (sender->state() == ShardSender::State::kGivenUp) continue;
    const Duration silence = env_.now() - std::max(since, sender->last_progress());
    if (sender->queued_bytes() >= kQueueBytes && silence >= sender->patience())
      laggards.push_back(sender.get());
    else
      ++others;
  }
  if (others < needed()) return;
  for (ShardSender* sender : laggards)
    sender->give_up_laggard({Code::kUnavailable, "it held the others up"});
}

void BlockWriter::end() {
  for (const auto& sender : senders_) sender->end(written_);
}

Task<Result<metadata::CommittedBlock>> BlockWriter::settle() {
  for (;;) {
    CO_TRY_VOID(check_enough());
    if (count(ShardSender::State::kSending) == 0) break;
    const Instant until = waited_for_until();
    if (env_.now() >= until) break;
    co_await changed_.wait_until(std::min(until, env_.now() + lag_));
  }
  for (const auto& sender : senders_)
    sender->give_up_laggard({Code::kUnavailable, "it was not durable when enough others were"});
  co_return committed();
}

// Until when the last of the shards that are not durable are waited for; kNever before enough are.
Instant BlockWriter::waited_for_until() const {
  std::vector<Instant> durable;
  Duration longest{};
  for (const auto& sender : senders_) {
    if (sender->state() == ShardSender::State::kDurable) durable.push_back(sender->durable_at());
    if (sender->state() == ShardSender::State::kSending)
      longest = std::max(longest, sender->patience());
  }
  if (durable.size() < needed()) return kNever;
  std::ranges::sort(durable);
  return durable[needed() - 1] + (MUTANT("M17") ? Duration(0) : longest);
}

size_t BlockWriter::count(ShardSender::State state) const {
  const auto is = [state](const auto& sender) { return sender->state() == state; };
  return static_cast<size_t>(std::ranges::count_if(senders_, is));
}

size_t BlockWriter::needed() const {
  return MUTANT("M17") ? format_.policy.data_shards() : format_.policy.min_shards();
}

Result<void> BlockWriter::check_enough() const {
  const size_t left = senders_.size() - count(ShardSender::State::kGivenUp);
  if (left >= needed()) return {};
  Error why{Code::kUnavailable, "too few servers were live"};
  size_t full = 0;
  for (const auto& sender : senders_) {
    if (sender->state() != ShardSender::State::kGivenUp) continue;
    if (sender->failure().is(Code::kNoSpace)) ++full;
    if (!why.is(Code::kNoSpace)) why = sender->failure();
  }
  const bool for_want_of_space = left + full >= needed();
  return fail(for_want_of_space ? Code::kNoSpace : Code::kUnavailable,
              "{} of {} chunk servers are left for a block, {} needed: {}", left, senders_.size(),
              needed(), why.message);
}

metadata::CommittedBlock BlockWriter::committed() const {
  metadata::CommittedBlock block{.block = placed_.block,
                                 .generation = placed_.generation,
                                 .file_offset = placed_.file_offset,
                                 .length = written_,
                                 .shards = {}};
  for (const auto& sender : senders_)
    if (sender->state() == ShardSender::State::kDurable)
      block.shards.push_back({.index = sender->index(), .checksum = sender->checksum()});
  return block;
}

}  // namespace dogfs::nodes
