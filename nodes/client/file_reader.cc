#include "nodes/client/file_reader.h"

#include <algorithm>

#include "core/env/nursery.h"
#include "nodes/client/append_tail.h"
#include "nodes/client/open_commands.h"

namespace dogfs::nodes {
namespace {

constexpr uint64_t kPieceBytes = 2 * limits::kMiB;
static_assert(kPieceBytes <= limits::kShardReadBytesMax, "a replica is read in such pieces");
constexpr int kRelocationsMax = 2;
constexpr Duration kDisownLimit = 5s;

// Where the piece that begins at `offset` of the block ends: at a boundary of stripes.
uint64_t piece_end(uint64_t offset, uint64_t stripe_bytes) {
  const uint64_t piece = std::max<uint64_t>(1, kPieceBytes / stripe_bytes) * stripe_bytes;
  return (offset / piece + 1) * piece;
}

// The state of a server says nothing about where its shards are.
bool same_places(const metadata::LocatedBlock& a, const metadata::LocatedBlock& b) {
  const auto same = [](const metadata::LocatedShard& x, const metadata::LocatedShard& y) {
    return x.index == y.index && x.node == y.node && x.address == y.address;
  };
  return a.generation == b.generation && std::ranges::equal(a.shards, b.shards, same);
}

// So that nobody is given for their own bytes what was read as others. Whether that is heard or
// not, the read has failed.
Task<> disown(MetadataCalls& calls, metadata::LocatedBlock block) {
  (void)co_await execute_openly(
      calls, metadata::DisownBlock{.block = block.block, .digest = *block.digest}, kDisownLimit);
}

Error changed_meanwhile(std::string_view how) {
  return {Code::kUnavailable, fmt::format("the file was {} while it was read; read it again", how)};
}

}  // namespace

FileReader::FileReader(const Parts& parts, ByteSink& sink, GetOptions options)
    : parts_(parts), sink_(sink), options_(std::move(options)), check_(parts.env) {}

FileReader::~FileReader() = default;

Task<Result<GetResult>> FileReader::get(std::string path) {
  CO_TRY_VOID(co_await locate(
      {.path = std::move(path), .file = {}, .offset = options_.offset, .length = options_.length}));
  contents_ = location_.contents;
  CO_TRY_VOID(co_await find_tail());
  next_offset_ = std::min(options_.offset, location_.length);
  end_ = next_offset_ + std::min(options_.length, location_.length - next_offset_);
  if (next_offset_ < location_.content.size()) CO_TRY_VOID(co_await deliver_content());
  if (next_offset_ == end_) co_return result_;
  Result<void> copied;
  co_await nursery(parts_.env, [&](Nursery& children) { return copy(children, copied); });
  if (!copied) co_return fail(std::move(copied).error());
  co_return result_;
}

// The bytes that live in the inode: all of the file, or its head.
Task<Result<void>> FileReader::deliver_content() {
  const Buffer content = Buffer::take(std::move(location_.content));
  result_.bytes = std::min<uint64_t>(end_, content.size()) - next_offset_;
  if (result_.bytes > 0)
    CO_TRY_VOID(co_await sink_.write(content.slice(next_offset_, result_.bytes)));
  next_offset_ += result_.bytes;
  if (options_.progress) options_.progress(result_.bytes);
  co_return Result<void>();
}

// What is appended to the file belongs to it as far as it goes now. Of a file of many blocks the
// first answer says nothing of the last one.
Task<Result<void>> FileReader::find_tail() {
  if (location_.more) {
    CO_TRY(end, co_await locate_with_tail(
                    {parts_.env, parts_.rpc, parts_.calls}, parts_.session,
                    {.path = {}, .file = location_.file, .offset = location_.length, .length = 1},
                    parts_.options.operation_limit));
    if (end.second.blocks.empty()) co_return Result<void>();
    tail_ = std::move(end.second.blocks.back());
  } else if (!location_.blocks.empty() && location_.blocks.back().log) {
    tail_ = location_.blocks.back();
  }
  if (tail_) location_.length = tail_->file_offset + tail_->length;
  co_return Result<void>();
}

Task<Result<void>> FileReader::locate(metadata::LocateQuery query) {
  CO_TRY(located, co_await locate_with_tail({parts_.env, parts_.rpc, parts_.calls}, parts_.session,
                                            std::move(query), parts_.options.operation_limit));
  if (!result_.position) result_.position = located.first;  // of the first: what is read
  location_ = std::move(located.second);
  next_block_ = 0;
  co_return Result<void>();
}

// What lies behind the blocks that are known. The file may have been cut and have grown again, and
// a get gives the bytes of one moment.
Task<Result<void>> FileReader::locate_rest() {
  auto located = co_await locate(
      {.path = {}, .file = location_.file, .offset = next_offset_, .length = end_ - next_offset_});
  if (!located && located.error().is(Code::kNotFound))
    co_return fail(changed_meanwhile("removed or replaced"));
  if (located && contents_ != 0 && location_.contents != contents_)
    co_return fail(changed_meanwhile("changed"));
  co_return located;
}

Task<> FileReader::copy(Nursery& children, Result<void>& copied) {
  copied = co_await copy_all(children);
}

Task<Result<void>> FileReader::copy_all(Nursery& children) {
  for (;;) {
    CO_TRY_VOID(co_await fetch_ahead(children));
    if (pieces_.empty()) co_return Result<void>();
    const auto piece = pieces_.front();
    co_await piece->done.wait();
    CO_TRY_VOID(co_await deliver(*piece));
    pieces_.pop_front();
    bytes_ahead_ -= piece->range.length;
  }
}

Task<Result<void>> FileReader::fetch_ahead(Nursery& children) {
  while (next_offset_ < end_ && (pieces_.size() < 2 || bytes_ahead_ < parts_.options.read_ahead)) {
    CO_TRY(found, next_piece());
    if (found) {
      children.spawn(fetch(pieces_.back()));
      continue;
    }
    if (!location_.more)
      co_return fail(Code::kCorrupt, "the file has no block at offset {}", next_offset_);
    CO_TRY_VOID(co_await locate_rest());
  }
  co_return Result<void>();
}

// Appends the piece at next_offset_ to pieces_; false when its block is not in location_.
Result<bool> FileReader::next_piece() {
  const auto& blocks = location_.blocks;
  while (next_block_ < blocks.size() &&
         blocks[next_block_].file_offset + blocks[next_block_].length <= next_offset_) {
    ++next_block_;
    reader_.reset();
  }
  if (next_block_ == blocks.size()) {
    reader_.reset();
    return false;
  }
  const metadata::LocatedBlock& block = blocks[next_block_];
  if (block.file_offset > next_offset_)
    return fail(Code::kCorrupt, "the file has a gap at offset {}", next_offset_);
  if (!reader_) {
    TRY(made, BlockReader::create({parts_.env, parts_.rpc, parts_.health, parts_.options}, block,
                                  block.cell_bytes));
    reader_ = std::move(made);
  }
  const uint64_t begin = block.block_offset + (next_offset_ - block.file_offset);
  const uint64_t in_file = std::min(end_, block.file_offset + block.length);
  const uint64_t stripe = uint64_t{block.policy.data_shards()} * block.cell_bytes;
  const uint64_t end = std::min(piece_end(begin, stripe), begin + (in_file - next_offset_));
  pieces_.push_back(
      std::make_shared<Piece>(parts_.env, reader_, ec::ByteRange{begin, end - begin}));
  next_offset_ += end - begin;
  bytes_ahead_ += end - begin;
  return true;
}

Task<> FileReader::fetch(std::shared_ptr<Piece> piece) {
  for (int relocations = 0;; ++relocations) {
    auto bytes = co_await piece->reader->read(piece->range);
    const bool again = !bytes && piece->reader->misplaced() && relocations < kRelocationsMax;
    const Relocated place = again ? co_await relocate(*piece) : Relocated::kWhereItWas;
    if (place == Relocated::kMoved) continue;
    if (place == Relocated::kFileChanged) bytes = fail(changed_meanwhile("changed"));
    piece->bytes = std::move(bytes);
    break;
  }
  piece->done.set();
}

// Asks again where the bytes are.
Task<FileReader::Relocated> FileReader::relocate(Piece& piece) {
  const metadata::LocatedBlock known = piece.reader->block();
  const auto located = co_await parts_.session.query_for<metadata::FileLocation>(
      metadata::LocateQuery{.path = {},
                            .file = location_.file,
                            .offset = piece.file_offset(),
                            .length = piece.range.length});
  if (!located)
    co_return located.error().is(Code::kNotFound) ? Relocated::kFileChanged
                                                  : Relocated::kWhereItWas;
  const metadata::LocatedBlock* block = place_of(piece, located->value);
  if (block == nullptr) co_return Relocated::kFileChanged;
  const bool same_block = block->block == known.block;
  if (same_block && same_places(*block, known)) co_return Relocated::kWhereItWas;
  auto reader = BlockReader::create({parts_.env, parts_.rpc, parts_.health, parts_.options}, *block,
                                    block->cell_bytes);
  if (!reader) co_return Relocated::kWhereItWas;
  if (!same_block)
    piece.range.offset = block->block_offset + (piece.file_offset() - block->file_offset);
  piece.reader = *std::move(reader);
  co_return Relocated::kMoved;
}

// The bytes of a block never change, so the same one will do, whatever became of the file. Those of
// a pack go to another one with little else: that has them, when the file's are still the same.
const metadata::LocatedBlock* FileReader::place_of(const Piece& piece,
                                                   const metadata::FileLocation& location) const {
  const auto& blocks = location.blocks;
  const auto same =
      std::ranges::find(blocks, piece.reader->block().block, &metadata::LocatedBlock::block);
  if (same != blocks.end()) return &*same;
  if (contents_ == 0 || location.contents != contents_) return nullptr;
  const uint64_t begin = piece.file_offset();
  const auto holds = [&](const metadata::LocatedBlock& block) {
    return block.file_offset <= begin &&
           block.file_offset + block.length >= begin + piece.range.length;
  };
  const auto moved = std::ranges::find_if(blocks, holds);
  return moved == blocks.end() ? nullptr : &*moved;
}

Task<Result<void>> FileReader::deliver(Piece& piece) {
  if (!*piece.bytes) co_return fail(std::move(*piece.bytes).error());
  const metadata::LocatedBlock& block = piece.reader->block();
  auto sound = co_await check_.add({.block = block.block,
                                    .block_length = block.block_length,
                                    .digest = block.digest,
                                    .offset = piece.range.offset,
                                    .pieces = (*piece.bytes)->pieces});
  // A client that is wrong about it costs others nothing but what they might have shared.
  const bool wrong = block.digest.has_value() && parts_.env.buggify("a sound block is disowned");
  if (!sound || wrong) co_await disown(parts_.calls, block);
  if (!sound) co_return sound;
  for (Buffer& bytes : (*piece.bytes)->pieces) {
    result_.bytes += bytes.size();
    CO_TRY_VOID(co_await sink_.write(std::move(bytes)));
  }
  result_.rebuilt_bytes += (*piece.bytes)->rebuilt_bytes;
  piece.bytes.reset();
  if (options_.progress) options_.progress(result_.bytes);
  co_return Result<void>();
}

}  // namespace dogfs::nodes
