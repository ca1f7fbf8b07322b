#include "core/chunk/shard_writer.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/chunk/store.h"

namespace dogfs::chunk {

ShardWriter::ShardWriter(Store& store, ShardName name, StripeShape shape, uint64_t expected_bytes)
    : store_(store),
      name_(name),
      shape_(shape),
      temporary_(temporary_name(name, store.next_temporary_++)),
      checksum_(store.identity_of(name)),
      reserved_bytes_(expected_bytes) {
  store_.writers_.push_back(this);
  store_.reserved_bytes_ += reserved_bytes_;
}

ShardWriter::~ShardWriter() {
  std::erase(store_.writers_, this);
  store_.reserved_bytes_ -= reserved_bytes_;
  if (has_file_) store_.abandoned_.push_back(temporary_);
}

Task<Result<void>> ShardWriter::create() {
  CO_TRY(file, co_await store_.env_.disk().open(store_.path(temporary_), OpenMode::kCreate));
  file_ = std::move(file);
  usable_ = true;
  co_return Result<void>();
}

Result<void> ShardWriter::check_usable() {
  if (!std::exchange(usable_, false))
    return fail(Code::kClosed, "the writer of {} has failed or ended", describe(name_));
  return {};
}

Result<void> ShardWriter::check_cell(size_t bytes) const {
  if (bytes < 1 || bytes > shape_.cell_bytes)
    return fail(Code::kInvalid, "{}: a cell of {} bytes; need 1 to {}", describe(name_), bytes,
                shape_.cell_bytes);
  if (written_bytes() % shape_.cell_bytes != 0)
    return fail(Code::kInvalid, "{}: a cell after the last, short one", describe(name_));
  if (cell_checksums_.size() >= limits::kCellsPerShardMax ||
      written_bytes() + bytes > limits::kBlockBytesMax)
    return fail(Code::kTooLarge, "{}: {} bytes in {} cells and more", describe(name_),
                written_bytes(), cell_checksums_.size());
  return {};
}

void ShardWriter::consume_reservation(uint64_t bytes) {
  const uint64_t used = std::min(bytes, reserved_bytes_);
  reserved_bytes_ -= used;
  store_.reserved_bytes_ -= used;
}

Task<Result<void>> ShardWriter::append(Buffer cell, std::optional<uint32_t> crc) {
  CO_TRY_VOID(check_usable());
  CO_TRY_VOID(check_cell(cell.size()));
  const uint64_t offset = written_bytes();
  CO_TRY_VOID(co_await file_->write(offset, cell));
  const uint32_t checksum = crc ? cell_checksum(checksum_.identity(), offset, *crc, cell.size())
                                : cell_checksum(checksum_.identity(), offset, cell.view());
  checksum_.add_checksum(checksum, cell.size());
  cell_checksums_.push_back(checksum);
  consume_reservation(cell.size());
  usable_ = true;
  co_return Result<void>();
}

Result<ShardFacts> ShardWriter::check_end(const ShardEnd& end) const {
  TRY(layout, ec::StripeLayout::create(shape_, end.block_length));
  if (layout.shard_length() != written_bytes())
    return fail(Code::kInvalid, "{}: {} bytes were written, a block of {} needs {}",
                describe(name_), written_bytes(), end.block_length, layout.shard_length());
  if (end.checksum && *end.checksum != checksum_.value())
    return fail(Code::kCorrupt, "{}: checksum {:08x} of what arrived, sent was {:08x}",
                describe(name_), checksum_.value(), *end.checksum);
  return ShardFacts{name_, shape_, end.block_length, written_bytes(), checksum_.value()};
}

Task<Result<ShardFacts>> ShardWriter::finish_file(ShardEnd end) {
  CO_TRY(facts, check_end(end));
  const auto tail = Buffer::take(encode_tail(store_.identity_.cluster, facts, cell_checksums_));
  // A file whose sync failed is thrown away: a second sync would prove nothing about it.
  if (MUTANT("M17"))
    CO_TRY_VOID(co_await file_->write(written_bytes(), tail));
  else
    CO_TRY_VOID(co_await file_->write_durably(written_bytes(), tail));
  file_.reset();
  CO_TRY_VOID(co_await store_.publish(*this, facts));
  co_return facts;
}

Task<Result<ShardFacts>> ShardWriter::finish(ShardEnd end) {
  CO_TRY_VOID(check_usable());
  auto facts = co_await finish_file(end);
  if (!facts)
    co_await abort();
  else
    has_file_ = false;
  co_return facts;
}

Task<> ShardWriter::abort() {
  usable_ = false;
  file_.reset();
  if (has_file_) co_await store_.discard(temporary_);
  has_file_ = false;
}

}  // namespace dogfs::chunk
