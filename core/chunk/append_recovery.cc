#include "core/chunk/append_recovery.h"

#include <algorithm>

#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::chunk {
namespace {

constexpr size_t kWindowBytes = 2 * limits::kAppendBatchBytesMax;
static_assert(kWindowBytes >= limits::kAppendBatchBytesMax + kAppendBatchHeaderBytes);

class Scanner {
 public:
  Scanner(File& file, const ShardIdentity& identity, AppendVisitor visit, AppendPause pause)
      : file_(file), identity_(identity), visit_(std::move(visit)), pause_(std::move(pause)) {}

  Task<Result<AppendScan>> scan() {
    CO_TRY(size, co_await file_.size());
    size_ = size;
    CO_TRY_VOID(co_await read_header());
    scan_.end = kAppendHeaderBytes;
    while (scan_.end < size_) {
      CO_TRY(good, co_await take_batch());
      if (!good) break;
    }
    scan_.clean |= scan_.end == size_;
    if (!scan_.clean) CO_TRY_VOID(co_await judge_rest());
    co_return std::move(scan_);
  }

 private:
  Task<Result<void>> read_header();
  Task<Result<Buffer>> bytes_at(uint64_t position, size_t length);
  Task<Result<bool>> take_batch();
  bool take_entries(uint64_t position, ByteView entries);
  Task<Result<void>> judge_rest();

  File& file_;
  const ShardIdentity identity_;
  const AppendVisitor visit_;
  const AppendPause pause_;
  AppendScan scan_;
  uint64_t size_ = 0;
  Buffer window_;  // of the file, from window_at_
  uint64_t window_at_ = 0;
};

Task<Result<void>> Scanner::read_header() {
  CO_TRY(header, co_await file_.read(0, kAppendHeaderBytes));
  CO_TRY(origin, decode_append_header(header.view(), identity_));
  scan_.origin = origin;
  scan_.header = header;
  if (header.size() < kAppendHeaderBytes)
    co_return fail(Code::kCorrupt, "the log of {} ends in its header", describe(identity_.name));
  scan_.sealed =
      decode_append_seal(origin, header.view().subspan(kAppendSealOffset, kAppendSealBytes));
  co_return Result<void>();
}

// As many of them as there are.
Task<Result<Buffer>> Scanner::bytes_at(uint64_t position, size_t length) {
  length = std::min<uint64_t>(length, size_ - std::min(position, size_));
  const bool here = position >= window_at_ && position + length <= window_at_ + window_.size();
  if (!here) {
    CO_TRY(read, co_await file_.read(position, kWindowBytes));
    window_ = std::move(read);
    window_at_ = position;
    if (pause_) co_await pause_(window_.size());
  }
  const size_t from = position - window_at_;
  co_return window_.slice(from, std::min(length, window_.size() - from));
}

// False at the last one.
Task<Result<bool>> Scanner::take_batch() {
  const uint64_t begin = scan_.end;
  CO_TRY(header, co_await bytes_at(begin, kAppendBatchHeaderBytes));
  const auto payload = decode_batch_header(scan_.origin, begin, header.view());
  if (!payload) co_return false;
  if (*payload == 0) {
    scan_.witnessed = true;
    scan_.clean = size_ == begin + kAppendBatchHeaderBytes;
    scan_.unproven = Buffer();
    co_return false;
  }
  const size_t batch_bytes = kAppendBatchHeaderBytes + *payload;
  CO_TRY(batch, co_await bytes_at(begin, batch_bytes));
  const Buffer entries = batch.suffix(std::min(batch.size(), kAppendBatchHeaderBytes));
  if (batch.size() != batch_bytes || !take_entries(begin + kAppendBatchHeaderBytes, entries.view()))
    co_return false;
  scan_.end = begin + batch_bytes;
  scan_.witnessed = false;
  scan_.unproven = std::move(batch);
  co_return true;
}

// All of them or none.
bool Scanner::take_entries(uint64_t position, ByteView entries) {
  std::vector<AppendPlace> places;
  std::vector<AppendEntry> decoded;
  uint64_t length = scan_.length;
  while (!entries.empty()) {
    const auto header = peek_entry(entries);
    if (!header || header->entry_bytes() > entries.size() || header->offset != length) return false;
    auto entry = decode_entry(scan_.origin.block(), entries.first(header->entry_bytes()));
    if (!entry) return false;
    length = header->end();
    places.push_back({position, *header});
    decoded.push_back(*std::move(entry));
    position += header->entry_bytes();
    entries = entries.subspan(header->entry_bytes());
  }
  if (visit_)
    for (const AppendEntry& entry : decoded) visit_(entry);
  scan_.places.insert(scan_.places.end(), places.begin(), places.end());
  scan_.length = length;
  return true;
}

// What follows the good batches. The header of another one among it was written when all before it
// was durable.
Task<Result<void>> Scanner::judge_rest() {
  const std::string magic = encode_batch_header(scan_.origin, 0, 0).substr(0, 4);
  for (uint64_t at = scan_.end + 1; at + kAppendBatchHeaderBytes <= size_;) {
    CO_TRY(bytes, co_await bytes_at(at, limits::kAppendBatchBytesMax));
    size_t found = bytes.text().find(magic);
    for (; found != std::string_view::npos; found = bytes.text().find(magic, found + 1)) {
      if (found + kAppendBatchHeaderBytes > bytes.size()) break;
      const auto header = bytes.view().subspan(found, kAppendBatchHeaderBytes);
      if (decode_batch_header(scan_.origin, at + found, header))
        co_return fail(Code::kCorrupt, "the log of {} is damaged at {}: what was promised is lost",
                       describe(identity_.name), scan_.end);
    }
    if (bytes.size() < kAppendBatchHeaderBytes) break;
    at += bytes.size() - kAppendBatchHeaderBytes + 1;
  }
  co_return Result<void>();
}

}  // namespace

Task<Result<AppendScan>> scan_append_file(File& file, ShardIdentity identity, AppendVisitor visit,
                                          AppendPause pause) {
  Scanner scanner(file, identity, std::move(visit), std::move(pause));
  co_return co_await scanner.scan();
}

}  // namespace dogfs::chunk
