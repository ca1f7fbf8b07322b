// Blocks that are asked for by their content before they are sent.
#include <algorithm>

#include "core/env/nursery.h"
#include "nodes/client/block_check.h"
#include "nodes/client/file_writer.h"

namespace dogfs::nodes {

bool FileWriter::asks_first() const {
  return upload_.content_mode == metadata::ContentMode::kDedup &&
         upload_.block_bytes <= parts_.options.write_memory;
}

std::shared_ptr<Sha256> FileWriter::new_sum() const {
  return upload_.content_mode == metadata::ContentMode::kNone ? nullptr
                                                              : std::make_shared<Sha256>();
}

// One block is being sent while the next are gathered. Nothing is asked for while any is: were that
// one to be placed anew, those behind it would have to be given back.
Task<Result<void>> FileWriter::store_unknown(Nursery& children) {
  for (;;) {
    CO_TRY_VOID(co_await gather(children));
    CO_TRY_VOID(co_await settle_all(children));
    if (gathered_.empty()) co_return Result<void>();
    CO_TRY_VOID(co_await use_known());
    if (!gathered_.empty()) CO_TRY_VOID(co_await send_gathered(children));
  }
}

// As many blocks as are to be asked for at once, as far as the source and the memory go.
Task<Result<void>> FileWriter::gather(Nursery& children) {
  while (gathered_.size() < asked_at_once_) {
    const bool room = kept_bytes_ + upload_.block_bytes <= parts_.options.write_memory;
    if (!gathered_.empty() && !room) break;
    CO_TRY(more, co_await gather_block(children));
    if (!more) break;
  }
  co_return Result<void>();
}

// False: the source has ended.
Task<Result<bool>> FileWriter::gather_block(Nursery& children) {
  Block block;
  block.sum = new_sum();
  while (block.length < upload_.block_bytes) {
    CO_TRY(batch, co_await read_batch());
    if (batch.empty()) break;
    const uint64_t room = upload_.block_bytes - block.length;
    if (batch.size() > room) {
      carried_ = batch.suffix(room);
      batch = batch.slice(0, room);
    }
    while (!blocks_.empty() && kept_bytes_ + batch.size() > parts_.options.write_memory)
      CO_TRY_VOID(co_await settle_oldest(children));
    kept_bytes_ += batch.size();
    block.length += batch.size();
    co_await add_to_sum(parts_.env, block.sum, {batch});
    block.batches.push_back(std::move(batch));
  }
  CHECK(kept_bytes_ <= parts_.options.write_memory, "{} bytes are kept", kept_bytes_);
  if (block.length == 0) co_return false;
  block.ended = true;
  gathered_.push_back(std::move(block));
  co_return true;
}

// Those that are known, up to the first that is not, are the file's.
Task<Result<void>> FileWriter::use_known() {
  metadata::UseBlocks ask{
      .file = upload_.file, .epoch = upload_.epoch, .file_offset = committed_bytes_, .blocks = {}};
  for (const Block& block : gathered_)
    ask.blocks.push_back({.length = block.length, .digest = block.sum->digest()});
  const size_t asked = ask.blocks.size();
  CO_TRY(answer, co_await parts_.session.execute_for<metadata::BlocksUsed>(std::move(ask)));
  const uint32_t used = answer.value.blocks;
  if (used > asked)
    co_return fail(Code::kCorrupt, "the metadata server gave {} blocks, {} were asked for", used,
                   asked);
  for (uint32_t i = 0; i < used; ++i) {
    const uint64_t length = gathered_.front().length;
    gathered_.pop_front();
    kept_bytes_ -= length;
    committed_bytes_ += length;
    deduplicated_bytes_ += length;
    if (options_.progress) options_.progress(committed_bytes_);
  }
  asked_at_once_ = used == 0 ? 1 : std::min(2 * asked_at_once_, limits::kBlocksPerAllocation);
  co_return Result<void>();
}

// The first of them; it is the only one that is being sent.
Task<Result<void>> FileWriter::send_gathered(Nursery& children) {
  std::vector<uint64_t> lengths{gathered_.front().length};
  CO_TRY(placed, co_await place(committed_bytes_, std::move(lengths)));
  blocks_.push_back(std::move(gathered_.front()));
  gathered_.pop_front();
  blocks_.back().writer = make_writer(std::move(placed.front()));
  children.spawn(BlockWriter::run(blocks_.back().writer));
  auto written = co_await rewrite();
  if (written) co_return written;
  co_return co_await write_again(children, std::move(written).error());
}

}  // namespace dogfs::nodes
