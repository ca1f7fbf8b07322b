#include "core/wal/reserve.h"

#include <algorithm>

#include "core/env/env.h"

namespace dogfs::wal {
namespace {
// It is given in so many parts at most.
constexpr uint64_t kParts = 16;
// A disk that was full has space again when so much of the reserve's size would be left beside it:
// else servers that share a disk take from each other what one of them gave.
constexpr uint64_t kSlackParts = 4;
}  // namespace

Task<Result<void>> Reserve::open() {
  if (file_) co_return Result<void>();
  CO_TRY(file, co_await env_.disk().open(path_, OpenMode::kAlways));
  CO_TRY(size, co_await file->size());
  if (size > bytes_) CO_TRY_VOID(co_await file->truncate(bytes_));
  held_ = std::min(size, bytes_);
  file_ = std::move(file);
  co_return Result<void>();
}

Task<Result<void>> Reserve::fill() {
  if (bytes_ == 0) co_return Result<void>();
  Result<void> filled = co_await open();
  if (filled && short_) filled = co_await look_for_space();
  if (filled && !is_whole()) {
    filled = co_await file_->extend(held_, bytes_);
    // What was taken of it would be missed elsewhere, and is not enough here.
    if (!filled) co_await file_->truncate(held_);
  }
  if (filled) held_ = bytes_;
  if (filled || filled.error().is(Code::kNoSpace)) short_ = !filled;
  co_return filled;
}

Task<Result<void>> Reserve::look_for_space() {
  CO_TRY(space, co_await env_.disk().space());
  const uint64_t wanted = bytes_ - held_ + bytes_ / kSlackParts;
  if (space.free_bytes < wanted)
    co_return fail(Code::kNoSpace, "{} bytes are free, {} are wanted", space.free_bytes, wanted);
  co_return Result<void>();
}

Task<bool> Reserve::give(uint64_t bytes) {
  if (bytes_ == 0) co_return false;
  short_ = true;
  if (!co_await open() || held_ == 0) co_return false;
  const uint64_t given = std::min(held_, std::max(bytes, bytes_ / kParts));
  if (!co_await file_->truncate(held_ - given)) co_return false;
  held_ -= given;
  co_await file_->sync();  // file systems give blocks to others only then; it holds nothing to lose
  co_return true;
}

}  // namespace dogfs::wal
