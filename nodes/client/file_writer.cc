#include "nodes/client/file_writer.h"

#include <algorithm>

#include "core/env/deadline.h"
#include "core/env/nursery.h"
#include "core/rpc/client.h"
#include "nodes/client/block_check.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kBatchBytes = 2 * limits::kMiB;
constexpr size_t kBlocksAtOnce = 2;
// A block is placed anew at most so often; the pauses outlast the time after which the leader
// stops placing blocks on a silent server.
constexpr int kAttemptsMax = 4;
constexpr Duration kFirstPause = 300ms;
constexpr Duration kRenewEvery = 10s;
constexpr Duration kAbandonLimit = 2s;

// The answer to a put that failed before anything was published: surely nothing is to be seen of
// it, whatever became of the step that failed.
Error refusal(const Error& error) {
  const bool lost = error.is(Code::kUnknown) || error.is(Code::kNotFound);
  return {lost ? Code::kUnavailable : error.code, "nothing was stored: " + error.message};
}

}  // namespace

FileWriter::FileWriter(const Parts& parts, ByteSource& source, PutOptions options)
    : parts_(parts), source_(source), options_(std::move(options)) {}

FileWriter::~FileWriter() = default;

Buffer FileWriter::join(const std::vector<Buffer>& pieces, size_t bytes) const {
  if (pieces.size() > 1) parts_.copied_bytes += bytes;
  return Buffer::join(pieces);
}

std::shared_ptr<BlockWriter> FileWriter::make_writer(metadata::PlacedBlock placed) const {
  const ShardSender::Parts parts{parts_.env, parts_.rpc, parts_.health, parts_.copied_bytes};
  return std::make_shared<BlockWriter>(parts, parts_.options.shard_lag, format_, std::move(placed));
}

Task<Result<PutResult>> FileWriter::put(std::string path) {
  auto small = co_await read_small();
  if (!small) co_return fail(refusal(small.error()));
  if (*small) co_return co_await put_small(std::move(path), **std::move(small));
  co_return co_await upload(std::move(path));
}

// All of the source, when it ends within the limit. Otherwise what was read of it is carried over.
Task<Result<std::optional<Buffer>>> FileWriter::read_small() {
  CO_TRY(inline_bytes, co_await parts_.session.inline_bytes());
  inline_bytes_ = inline_bytes;
  const size_t limit =
      may_pack() ? std::max<size_t>(limits::kPackedBytesMax, inline_bytes) : inline_bytes;
  if (options_.size.value_or(0) > limit) co_return std::nullopt;
  std::vector<Buffer> pieces;
  size_t bytes = 0;
  while (bytes <= limit) {
    CO_TRY(piece, co_await read_piece(limit + 1 - bytes));
    if (piece.empty()) co_return bytes == 0 ? Buffer() : join(pieces, bytes);
    bytes += piece.size();
    pieces.push_back(std::move(piece));
  }
  carried_ = join(pieces, bytes);
  co_return std::nullopt;
}

// Whoever says how a file is to be laid out gets it so.
bool FileWriter::may_pack() const {
  return options_.pack && parts_.options.pack && options_.block_bytes == 0 &&
         options_.cell_bytes == 0;
}

// What cannot be packed is uploaded.
Task<Result<PutResult>> FileWriter::put_small(std::string path, Buffer content) {
  if (content.size() <= inline_bytes_)
    co_return co_await put_inline(std::move(path), std::move(content));
  // What is appended in vain stays; an upload is refused before, or leaves nothing.
  Result<PackedBytes> packed = fail(Code::kUnavailable, "in vain");
  if (!co_await is_in_vain(path))
    packed = co_await parts_.packer.store(parts_.session, path, options_.policy, content);
  if (packed) {
    auto put = co_await put_packed(path, content, *packed);
    const bool refused_here =
        !put && (put.error().is(Code::kUnavailable) || put.error().is(Code::kNotFound));
    if (!put && put.error().is(Code::kNoSpace)) parts_.packer.avoid(path);
    if (!refused_here) co_return put;
    parts_.packer.forget(path);
  }
  carried_ = std::move(content);
  co_return co_await upload(std::move(path));
}

// As far as can be seen: another file is there than the condition wants.
Task<bool> FileWriter::is_in_vain(std::string path) {
  if (options_.overwrite && !options_.version) co_return false;
  const auto found =
      co_await parts_.session.query_for<metadata::Attributes>(metadata::StatQuery{path});
  const bool gone = !found && found.error().is(Code::kNotFound);
  if (!found) co_return options_.version.has_value() && gone;
  co_return !options_.overwrite || found->value.version() != *options_.version;
}

Task<Result<PutResult>> FileWriter::put_packed(std::string path, Buffer content,
                                               PackedBytes packed) {
  CO_TRY(stored, co_await parts_.session.execute(metadata::PutPacked{
                     .path = std::move(path),
                     .policy = options_.policy,
                     .pack = packed.pack,
                     .block = packed.block,
                     .block_offset = packed.block_offset,
                     .length = content.size(),
                     .condition = condition(),
                     .version = options_.version.value_or(metadata::FileVersion()),
                     .attributes = options_.attributes}));
  if (options_.progress) options_.progress(content.size());
  co_return PutResult{.bytes = content.size(), .position = stored.position};
}

Task<Result<PutResult>> FileWriter::put_inline(std::string path, Buffer content) {
  const uint64_t bytes = content.size();
  auto stored = co_await parts_.session.execute(
      metadata::PutInline{.path = path,
                          .policy = options_.policy,
                          .content = std::string(content.text()),
                          .condition = condition(),
                          .version = options_.version.value_or(metadata::FileVersion()),
                          .attributes = options_.attributes,
                          .block_bytes = options_.block_bytes,
                          .cell_bytes = options_.cell_bytes});
  // A cluster that is being upgraded does not know inline files yet.
  if (!stored && stored.error().is(Code::kUnsupported)) {
    carried_ = std::move(content);
    co_return co_await upload(std::move(path));
  }
  if (!stored) co_return fail(std::move(stored).error());
  if (options_.progress) options_.progress(bytes);
  co_return PutResult{.bytes = bytes, .position = stored->position};
}

Task<Result<PutResult>> FileWriter::upload(std::string path) {
  CO_TRY_VOID(co_await start(path));
  Result<void> stored;
  co_await nursery(parts_.env, [&](Nursery& children) { return store(children, stored); });
  if (!stored) {
    co_await abandon();
    co_return fail(refusal(stored.error()));
  }
  auto published = co_await publish(std::move(path));
  if (!published && !published.error().is(Code::kUnknown)) co_await abandon();
  co_return published;
}

Task<Result<void>> FileWriter::start(std::string path) {
  auto started = co_await parts_.session.execute_for<metadata::UploadStarted>(
      metadata::StartUpload{.path = std::move(path),
                            .policy = options_.policy,
                            .overwrite = options_.overwrite,
                            .block_bytes = options_.block_bytes,
                            .cell_bytes = options_.cell_bytes});
  if (!started && started.error().is(Code::kUnknown))
    co_return fail(Code::kUnavailable, "nothing was stored: {}", started.error().message);
  if (!started) co_return fail(std::move(started).error());
  upload_ = std::move(started->value);
  const placement::Policy& policy = upload_.policy;
  CO_TRY(codec, ec::Codec::create(policy.data_shards(), policy.parity_shards()));
  format_ = {.cluster = parts_.rpc.identity().cluster,
             .policy = policy,
             .shape = {policy.data_shards(), policy.parity_shards(), upload_.cell_bytes},
             .codec = std::make_shared<const ec::Codec>(std::move(codec))};
  CO_TRY_VOID(ec::StripeLayout::create(format_.shape, upload_.block_bytes));
  const size_t stripe = format_.shape.stripe_bytes();
  batch_bytes_ = std::max<size_t>(1, kBatchBytes / stripe) * stripe;
  co_return Result<void>();
}

Task<> FileWriter::store(Nursery& children, Result<void>& stored) {
  children.spawn(renew_lease());
  stored = co_await store_all(children);
  for (Block& block : blocks_) block.writer->stop();
}

Task<Result<void>> FileWriter::store_all(Nursery& children) {
  if (asks_first()) co_return co_await store_unknown(children);
  for (;;) {
    CO_TRY(batch, co_await read_batch());
    if (batch.empty()) break;
    CO_TRY_VOID(co_await add(children, std::move(batch)));
  }
  if (!blocks_.empty() && !blocks_.back().ended) end_block(blocks_.back());
  co_return co_await settle_all(children);
}

Task<Result<void>> FileWriter::settle_all(Nursery& children) {
  while (!blocks_.empty()) CO_TRY_VOID(co_await settle_oldest(children));
  co_return Result<void>();
}

// A lease that is lost shows at the next commit.
Task<> FileWriter::renew_lease() {
  for (;;) {
    co_await parts_.env.sleep(kRenewEvery);
    co_await parts_.session.execute(metadata::RenewLease{upload_.file, upload_.epoch});
  }
}

Task<Result<Buffer>> FileWriter::read_piece(size_t max) {
  CO_TRY(piece, co_await source_.read(max));
  if (piece.size() > max)
    co_return fail(Code::kInvalid, "the source gave {} bytes, {} were asked for", piece.size(),
                   max);
  co_return piece;
}

// Whole stripes, unless the source ends; empty at its end.
Task<Result<Buffer>> FileWriter::read_batch() {
  std::vector<Buffer> pieces;
  size_t bytes = 0;
  if (carried_) {
    bytes = carried_->size();
    pieces.push_back(*std::exchange(carried_, std::nullopt));
  }
  while (bytes < batch_bytes_) {
    CO_TRY(piece, co_await read_piece(batch_bytes_ - bytes));
    if (piece.empty()) break;
    bytes += piece.size();
    pieces.push_back(std::move(piece));
  }
  co_return bytes == 0 ? Buffer() : join(pieces, bytes);
}

Task<Result<void>> FileWriter::add(Nursery& children, Buffer batch) {
  if (blocks_.empty() || blocks_.back().ended) {
    while (blocks_.size() >= kBlocksAtOnce) CO_TRY_VOID(co_await settle_oldest(children));
    CO_TRY_VOID(co_await open_block(children));
  }
  while (blocks_.size() > 1 && kept_bytes_ + batch.size() > parts_.options.write_memory)
    CO_TRY_VOID(co_await settle_oldest(children));
  Block& block = blocks_.back();
  const uint64_t capacity = block.writer->placed().length;
  const uint64_t room = capacity - block.length;
  if (batch.size() > room) {
    carried_ = batch.suffix(room);
    batch = batch.slice(0, room);
  }
  keep(block, batch);
  block.length += batch.size();
  if (block.sum) co_await add_to_sum(parts_.env, block.sum, {batch});
  auto written = co_await block.writer->write(std::move(batch));
  if (!written) CO_TRY_VOID(co_await write_again(children, std::move(written).error()));
  if (block.length == capacity) end_block(block);
  co_return Result<void>();
}

void FileWriter::keep(Block& block, Buffer batch) {
  if (!block.kept) return;
  kept_bytes_ += batch.size();
  block.batches.push_back(std::move(batch));
  if (kept_bytes_ > parts_.options.write_memory) {
    kept_bytes_ -= block.length + block.batches.back().size();
    block.batches.clear();
    block.kept = false;
  }
  CHECK(kept_bytes_ <= parts_.options.write_memory, "{} bytes are kept", kept_bytes_);
}

void FileWriter::end_block(Block& block) {
  block.ended = true;
  block.writer->end();
}

Task<Result<void>> FileWriter::open_block(Nursery& children) {
  if (placed_.empty()) CO_TRY_VOID(co_await allocate());
  Block block;
  block.writer = make_writer(std::move(placed_.front()));
  block.sum = new_sum();
  placed_.pop_front();
  children.spawn(BlockWriter::run(block.writer));
  blocks_.push_back(std::move(block));
  co_return Result<void>();
}

Task<Result<void>> FileWriter::allocate() {
  const auto lengths = lengths_to_allocate();
  CO_TRY(placed, co_await place(end_of_blocks(), lengths));
  placed_.assign(placed.begin(), placed.end());
  co_return Result<void>();
}

Task<Result<std::vector<metadata::PlacedBlock>>> FileWriter::place(uint64_t file_offset,
                                                                   std::vector<uint64_t> lengths) {
  const size_t count = lengths.size();
  CO_TRY(allocated, co_await parts_.session.execute_for<metadata::BlocksAllocated>(
                        metadata::AllocateBlocks{.file = upload_.file,
                                                 .epoch = upload_.epoch,
                                                 .file_offset = file_offset,
                                                 .lengths = std::move(lengths)}));
  auto& blocks = allocated.value.blocks;
  const bool sound = blocks.size() == count && std::ranges::all_of(blocks, [&](const auto& block) {
                       return block.length > 0 && block.length <= upload_.block_bytes &&
                              std::ranges::all_of(block.shards, [&](const auto& shard) {
                                return shard.index < format_.policy.width();
                              });
                     });
  if (!sound)
    co_return fail(Code::kCorrupt,
                   "the metadata server placed {} blocks for {}, or impossible ones", blocks.size(),
                   count);
  co_return std::move(blocks);
}

uint64_t FileWriter::end_of_blocks() const {
  if (blocks_.empty()) return committed_bytes_;
  const auto& last = blocks_.back().writer->placed();
  return last.file_offset + last.length;
}

// Twice as many each time, so that a small file does not allocate in vain nor a large one ask
// often; what is left of it, when the size is known.
std::vector<uint64_t> FileWriter::lengths_to_allocate() {
  const uint64_t begin = end_of_blocks();
  const uint64_t block_bytes = upload_.block_bytes;
  allocated_at_once_ = std::clamp<size_t>(2 * allocated_at_once_, 1, limits::kBlocksPerAllocation);
  if (options_.size.value_or(0) <= begin)
    return std::vector<uint64_t>(allocated_at_once_, block_bytes);
  std::vector<uint64_t> lengths;
  for (uint64_t left = *options_.size - begin;
       left > 0 && lengths.size() < limits::kBlocksPerAllocation; left -= lengths.back())
    lengths.push_back(std::min(left, block_bytes));
  return lengths;
}

// Commits the oldest block, or writes it again: then it is still the oldest.
Task<Result<void>> FileWriter::settle_oldest(Nursery& children) {
  auto settled = co_await blocks_.front().writer->settle();
  if (!settled) co_return co_await write_again(children, std::move(settled).error());
  const uint64_t length = settled->length;
  const bool full_width = settled->shards.size() == format_.policy.width();
  if (blocks_.front().sum) settled->digest = blocks_.front().sum->digest();
  metadata::CommitBlocks commit{.file = upload_.file, .epoch = upload_.epoch, .blocks = {}};
  commit.blocks.push_back(std::move(*settled));
  CO_TRY_VOID(co_await parts_.session.execute(std::move(commit)));
  Block& block = blocks_.front();
  block.writer->stop();
  if (block.kept) kept_bytes_ -= block.length;
  blocks_.pop_front();
  attempts_ = 0;
  committed_bytes_ += length;
  if (!full_width) ++below_full_width_;
  if (options_.progress) options_.progress(committed_bytes_);
  co_return Result<void>();
}

Task<Result<void>> FileWriter::write_again(Nursery& children, Error why) {
  for (;;) {
    const bool kept = std::ranges::all_of(blocks_, &Block::kept);
    if (!kept || ++attempts_ > kAttemptsMax) co_return fail(std::move(why));
    parts_.env.log().info("a block is placed anew: {}", why);
    for (Block& block : blocks_) block.writer->stop();
    co_await parts_.env.sleep(kFirstPause * (1 << (attempts_ - 1)));
    CO_TRY_VOID(co_await place_again(children));
    auto rewritten = co_await rewrite();
    if (rewritten) co_return rewritten;
    why = std::move(rewritten).error();
  }
}

// The blocks that were allocated from the oldest on are given back for new ones.
Task<Result<void>> FileWriter::place_again(Nursery& children) {
  std::vector<uint64_t> lengths;
  for (const Block& block : blocks_) lengths.push_back(block.writer->placed().length);
  placed_.clear();
  const uint64_t begin = blocks_.front().writer->placed().file_offset;
  CO_TRY(placed, co_await place(begin, std::move(lengths)));
  for (size_t i = 0; i < blocks_.size(); ++i) {
    blocks_[i].writer = make_writer(std::move(placed[i]));
    children.spawn(BlockWriter::run(blocks_[i].writer));
  }
  co_return Result<void>();
}

Task<Result<void>> FileWriter::rewrite() {
  for (Block& block : blocks_) {
    for (const Buffer& batch : block.batches) CO_TRY_VOID(co_await block.writer->write(batch));
    if (block.ended) block.writer->end();
  }
  co_return Result<void>();
}

metadata::PublishCondition FileWriter::condition() const {
  using metadata::PublishCondition;
  if (options_.version) return PublishCondition::kIfVersion;
  return options_.overwrite ? PublishCondition::kOverwrite : PublishCondition::kIfAbsent;
}

Task<Result<PutResult>> FileWriter::publish(std::string path) {
  CO_TRY(published, co_await parts_.session.execute(metadata::Publish{
                        .file = upload_.file,
                        .epoch = upload_.epoch,
                        .path = std::move(path),
                        .length = committed_bytes_,
                        .condition = condition(),
                        .version = options_.version.value_or(metadata::FileVersion()),
                        .attributes = options_.attributes}));
  co_return PutResult{.bytes = committed_bytes_,
                      .blocks_below_full_width = below_full_width_,
                      .deduplicated_bytes = deduplicated_bytes_,
                      .position = published.position};
}

// Best effort: the lease of what is not abandoned expires.
Task<> FileWriter::abandon() {
  co_await within(parts_.env, kAbandonLimit,
                  parts_.session.execute(metadata::AbandonUpload{upload_.file, upload_.epoch}));
}

}  // namespace dogfs::nodes
