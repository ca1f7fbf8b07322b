#include "core/chunk/append_entry.h"

#include <cstring>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::chunk {
namespace {

constexpr size_t kChecksumBytes = 4;

uint32_t checksum_of(const AppendBlock& block, ByteView behind_checksum) {
  return Crc32c()
      .add(block.cluster.value)
      .add(block.block.value)
      .add(block.generation.value)
      .add(behind_checksum)
      .value();
}

Buffer encode(const AppendBlock& block, const AppendEntryHeader& header, std::string_view head,
              const std::vector<Buffer>& data) {
  MutableBuffer entry(header.entry_bytes());
  Encoder out;
  out.u32(0).u8(static_cast<uint8_t>(header.kind)).u8(0).u16(0);
  out.id(header.epoch).u64(header.offset).u32(header.head_bytes).u32(header.data_bytes);
  CHECK(out.size() == kAppendEntryHeaderBytes);
  std::memcpy(entry.data(), out.bytes().data(), out.size());
  size_t at = out.size();
  std::memcpy(entry.data() + at, head.data(), head.size());
  at += head.size();
  for (const Buffer& bytes : data) {
    if (!bytes.empty()) std::memcpy(entry.data() + at, bytes.data(), bytes.size());
    at += bytes.size();
  }
  CHECK(at == entry.size(), "an entry of {} bytes, {} were announced", at, entry.size());
  const std::string checksum =
      Encoder().u32(checksum_of(block, ByteView(entry.span()).subspan(kChecksumBytes))).bytes();
  std::memcpy(entry.data(), checksum.data(), checksum.size());
  return std::move(entry).freeze();
}

Result<std::vector<AppendedRecord>> decode_records(const AppendEntryHeader& header,
                                                   std::string_view head) {
  std::vector<AppendedRecord> records;
  Decoder in(head);
  uint64_t bytes = 0;
  while (in.ok() && in.remaining() > 0) {
    records.push_back({.writer = in.u64(),
                       .request = in.u64(),
                       .acknowledged_below = in.u64(),
                       .length = in.u32()});
    bytes += records.back().length;
  }
  if (!in.ok() || bytes != header.data_bytes)
    return fail(Code::kCorrupt, "an entry at {} whose records do not fit it", header.offset);
  return records;
}

}  // namespace

Buffer encode_records(const AppendBlock& block, Epoch epoch, uint64_t offset,
                      const std::vector<AppendedRecord>& records, const std::vector<Buffer>& data) {
  Encoder head;
  uint32_t bytes = 0;
  for (const AppendedRecord& record : records) {
    head.u64(record.writer).u64(record.request).u64(record.acknowledged_below).u32(record.length);
    bytes += record.length;
  }
  const AppendEntryHeader header{.kind = AppendEntryKind::kRecords,
                                 .epoch = epoch,
                                 .offset = offset,
                                 .head_bytes = static_cast<uint32_t>(head.size()),
                                 .data_bytes = bytes};
  return encode(block, header, head.bytes(), data);
}

Buffer encode_requests(const AppendBlock& block, Epoch epoch, std::string_view requests) {
  const AppendEntryHeader header{.kind = AppendEntryKind::kRequests,
                                 .epoch = epoch,
                                 .head_bytes = static_cast<uint32_t>(requests.size())};
  return encode(block, header, requests, {});
}

std::optional<AppendEntryHeader> peek_entry(ByteView bytes) {
  if (bytes.size() < kAppendEntryHeaderBytes) return std::nullopt;
  Decoder in(bytes.first(kAppendEntryHeaderBytes));
  AppendEntryHeader header;
  header.checksum = in.u32();
  const uint8_t kind = in.u8();
  const bool zeros = in.u8() == 0 && in.u16() == 0;
  header.epoch = in.id<Epoch>();
  header.offset = in.u64();
  header.head_bytes = in.u32();
  header.data_bytes = in.u32();
  const bool known = kind == static_cast<uint8_t>(AppendEntryKind::kRecords) ||
                     kind == static_cast<uint8_t>(AppendEntryKind::kRequests);
  header.kind = static_cast<AppendEntryKind>(kind);
  const bool possible = header.head_bytes <= limits::kAppendHeadBytesMax &&
                        header.data_bytes <= limits::kAppendRecordBytesMax &&
                        header.offset <= limits::kBlockBytesMax;
  if (!known || !zeros || !possible) return std::nullopt;
  return header;
}

Result<AppendEntry> decode_entry(const AppendBlock& block, ByteView bytes) {
  const auto header = peek_entry(bytes);
  if (!header || header->entry_bytes() != bytes.size() ||
      header->checksum != checksum_of(block, bytes.subspan(kChecksumBytes)))
    return fail(Code::kCorrupt, "a damaged entry of block {}", block.block);
  AppendEntry entry{.header = *header, .records = {}, .requests = {}, .data = {}};
  const ByteView head = bytes.subspan(kAppendEntryHeaderBytes, header->head_bytes);
  entry.data = bytes.subspan(kAppendEntryHeaderBytes + header->head_bytes);
  if (header->kind == AppendEntryKind::kRequests) {
    entry.requests = as_text(head);
    if (!entry.data.empty() || header->offset != 0)
      return fail(Code::kCorrupt, "an entry of requests in the middle of block {}", block.block);
    return entry;
  }
  if (entry.data.empty())
    return fail(Code::kCorrupt, "an entry at {} of block {} without bytes", header->offset,
                block.block);
  TRY(records, decode_records(*header, as_text(head)));
  entry.records = std::move(records);
  return entry;
}

Result<std::vector<Buffer>> split_entries(const Buffer& bytes) {
  std::vector<Buffer> entries;
  for (size_t at = 0; at < bytes.size();) {
    const auto header = peek_entry(bytes.view().subspan(at));
    if (!header || header->entry_bytes() > bytes.size() - at)
      return fail(Code::kInvalid, "no entry at {} of {} bytes", at, bytes.size());
    entries.push_back(bytes.slice(at, header->entry_bytes()));
    at += header->entry_bytes();
  }
  return entries;
}

}  // namespace dogfs::chunk
