#include "nodes/chunk/compactor.h"

#include <algorithm>

#include "core/base/mutation.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "nodes/client/block_reader.h"
#include "nodes/client/open_commands.h"
#include "nodes/client/session.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kMoveLimit = 5s;
constexpr Duration kQuestionLimit = 10s;

bool is_over(const Error& error) {
  return error.is(Code::kNotFound) || error.is(Code::kPrecondition);
}

}  // namespace

// A session of its own, so that what an earlier block left behind plays no part.
struct Compactor::Work {
  Work(const Parts& parts, const ClientOptions& options, BlockId of)
      : block(of),
        session(parts.env, parts.metadata, kQuestionLimit, std::nullopt),
        packer({parts.env, parts.rpc, parts.metadata, options}, session) {}

  const BlockId block;
  Session session;
  Packer packer;
  std::shared_ptr<BlockReader> reader;
  std::map<metadata::PackedRange, PackedBytes> moved;  // where the bytes lie now
  Result<void> failed;                                 // the first failure
  uint64_t bytes = 0;
  uint64_t files = 0;
};

Compactor::Compactor(const Parts& parts) : parts_(parts), client_options_(), changed_(parts.env) {}

void Compactor::add(BlockId block) {
  const bool known = std::ranges::find(blocks_, block) != blocks_.end();
  if (known || blocks_.size() >= limits::kCompactionsMax) return;
  blocks_.push_back(block);
  changed_.notify();
}

// What fails is handed out again by the leader.
Task<> Compactor::run() {
  for (;;) {
    while (blocks_.empty()) co_await changed_.wait();
    const BlockId block = blocks_.front();
    if (auto done = co_await compact(block); !done)
      parts_.env.log().info("compaction of block {}: {}", block, done.error());
    blocks_.pop_front();
  }
}

// By their place in the block, each once.
std::vector<Compactor::Stretch> Compactor::stretches_of(const metadata::BlockReferrers& referrers) {
  std::map<metadata::PackedRange, Stretch> by_range;
  for (const auto& file : referrers.files) {
    for (const auto& range : file.ranges) {
      Stretch& stretch = by_range[range];
      stretch.range = range;
      stretch.files.push_back(file.file);
    }
  }
  std::vector<Stretch> out;
  for (auto& [range, stretch] : by_range)
    if (stretch.files.size() == 1 || !MUTANT("M103")) out.push_back(std::move(stretch));
  return out;
}

Task<Result<void>> Compactor::compact(BlockId block) {
  Work work(parts_, client_options_, block);
  InodeId after;
  for (bool more = true; more;) {
    auto page = co_await work.session.query_for<metadata::BlockReferrers>(
        metadata::ReferrersQuery{.block = block, .after = after});
    if (!page && is_over(page.error())) co_return Result<void>();
    if (!page) co_return fail(std::move(page).error());
    metadata::BlockReferrers& referrers = page->value;
    if (referrers.block.block != block || (referrers.more && referrers.last <= after))
      co_return fail(Code::kCorrupt, "the metadata server answered another question");
    CO_TRY(reader, BlockReader::create({parts_.env, parts_.rpc, health_, client_options_},
                                       referrers.block, referrers.block.cell_bytes));
    work.reader = std::move(reader);
    CO_TRY_VOID(co_await move_all(work, stretches_of(referrers)));
    after = referrers.last;
    more = referrers.more;
  }
  ++compacted_.blocks;
  parts_.env.log().info("block {} is compacted: {} bytes of {} files lie elsewhere now", block,
                        work.bytes, work.files);
  co_return Result<void>();
}

// Some at a time, and then a rest for as long as they may take.
Task<Result<void>> Compactor::move_all(Work& work, std::vector<Stretch> stretches) {
  for (size_t next = 0; next < stretches.size();) {
    const Instant begun = parts_.env.now();
    const size_t end = std::min(stretches.size(), next + limits::kMovesInFlightMax);
    uint64_t bytes = 0;
    co_await nursery(parts_.env, [&](Nursery& children) {
      for (; next < end; ++next) {
        bytes += stretches[next].range.length;
        children.spawn(move(work, std::move(stretches[next])));
      }
      return children.join();
    });
    if (!work.failed) co_return fail(work.failed.error());
    const auto pause = std::chrono::nanoseconds(
        bytes * 1'000'000'000 / std::max<uint64_t>(1, parts_.options.bytes_per_second));
    co_await parts_.env.sleep_until(begun + pause);
  }
  co_return Result<void>();
}

// Into another block once more, if the one that it was stored in takes no more files meanwhile.
Task<> Compactor::move(Work& work, Stretch stretch) {
  Result<void> moved;
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto where = co_await place(work, stretch.range);
    moved = where ? co_await hand_over(work, stretch, *where)
                  : Result<void>(fail(std::move(where).error()));
    if (moved || !moved.error().is(Code::kUnavailable)) break;
    work.moved.erase(stretch.range);
  }
  if (!moved && work.failed) work.failed = std::move(moved);
}

// Where the bytes lie now: where they were stored for another file, or in an open pack.
Task<Result<PackedBytes>> Compactor::place(Work& work, metadata::PackedRange range) {
  const auto known = work.moved.find(range);
  if (known != work.moved.end()) co_return known->second;
  const auto reader = work.reader;
  CO_TRY(bytes, co_await reader->read({range.offset, range.length}));
  CO_TRY(stored, co_await work.packer.store_in(reader->block().policy, Buffer::join(bytes.pieces)));
  work.bytes += range.length;
  compacted_.bytes += range.length;
  if (work.moved.size() < limits::kMovedRangesMax) work.moved.emplace(range, stored);
  co_return stored;
}

// A file that is gone, or has other bytes by now, needs nothing.
Task<Result<void>> Compactor::hand_over(Work& work, Stretch stretch, PackedBytes place) {
  for (const metadata::FileHandle& file : stretch.files) {
    auto done = co_await execute_openly(parts_.metadata,
                                        metadata::MovePacked{.file = file,
                                                             .from = work.block,
                                                             .from_offset = stretch.range.offset,
                                                             .length = stretch.range.length,
                                                             .pack = place.pack,
                                                             .block = place.block,
                                                             .block_offset = place.block_offset},
                                        kMoveLimit);
    if (done) ++work.files;
    if (!done && !is_over(done.error())) co_return fail(std::move(done).error());
  }
  co_return Result<void>();
}

}  // namespace dogfs::nodes
