#include "core/wal/segment.h"

#include <algorithm>

#include "core/base/coding.h"
#include "core/base/limits.h"
#include "core/wal/numbered_name.h"

namespace dogfs::wal {
namespace {

constexpr std::string_view kSegmentMagic = "DOGFSWAL";
constexpr uint32_t kFrameMagic = 0x4d52'4657;  // "WFRM"
constexpr size_t kSegmentCrcOffset = 48;
constexpr size_t kFrameCrcOffset = 4;
constexpr std::string_view kNamePrefix = "wal-";

uint32_t frame_crc(std::string_view header, const SegmentIdentity& identity, uint64_t offset) {
  return Crc32c()
      .add(identity.cluster.value)
      .add(identity.store.value)
      .add(identity.sequence)
      .add(offset)
      .add(as_bytes(header.substr(kFrameCrcOffset + 4)))
      .value();
}

// The header at an offset if it is good, whatever its payload is.
std::optional<FrameHeader> header_at(std::string_view bytes, uint64_t offset,
                                     const SegmentIdentity& identity) {
  if (bytes.size() - offset < kFrameHeaderBytes) return std::nullopt;
  const auto encoded = bytes.substr(offset, kFrameHeaderBytes);
  Decoder in(encoded);
  if (in.u32() != kFrameMagic) return std::nullopt;
  if (in.u32() != frame_crc(encoded, identity, offset)) return std::nullopt;
  FrameHeader header;
  header.payload_bytes = in.u32();
  header.records = in.u32();
  header.first = in.id<Lsn>();
  header.durable = in.id<Lsn>();
  header.payload_crc = in.u32();
  return header;
}

std::optional<Frame> frame_at(std::string_view bytes, uint64_t offset,
                              const SegmentIdentity& identity) {
  const auto header = header_at(bytes, offset, identity);
  if (!header) return std::nullopt;
  const auto payload = bytes.substr(offset + kFrameHeaderBytes).substr(0, header->payload_bytes);
  if (payload.size() != header->payload_bytes) return std::nullopt;
  if (crc32c(as_bytes(payload)) != header->payload_crc) return std::nullopt;
  Frame frame{offset, *header, {}};
  Decoder in(payload);
  while (in.ok() && in.remaining() > 0) {
    const auto group = in.id<GroupId>();
    frame.records.push_back({group, in.text()});
  }
  if (!in.ok() || frame.records.size() != header->records) return std::nullopt;
  return frame;
}

// The highest durable LSN named by any good header from `offset` on. Sought byte by byte, since
// the length that leads to the next frame may be what is damaged.
Lsn find_claim(std::string_view bytes, uint64_t offset, const SegmentIdentity& identity) {
  const std::string magic = Encoder().u32(kFrameMagic).bytes();
  Lsn claimed;
  for (size_t at = bytes.find(magic, offset); at != std::string_view::npos;
       at = bytes.find(magic, at + 1))
    if (const auto header = header_at(bytes, at, identity))
      claimed = std::max(claimed, header->durable);
  return claimed;
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  Encoder out;
  out.raw(kSegmentMagic)
      .u32(header.version)
      .u32(0)
      .id(header.identity.cluster)
      .id(header.identity.store)
      .u64(header.identity.sequence)
      .id(header.after);
  out.u32(crc32c(as_bytes(out.bytes())));
  std::string bytes = std::move(out).take();
  bytes.resize(kSegmentHeaderBytes);
  return bytes;
}

Result<SegmentHeader> decode_segment_header(ByteView bytes, const SegmentIdentity& expected) {
  Decoder in(bytes);
  const bool magic = in.raw(kSegmentMagic.size()) == kSegmentMagic;
  const uint32_t version = in.u32();
  in.u32();
  SegmentHeader header;
  header.version = version;
  header.identity.cluster = in.id<ClusterId>();
  header.identity.store = in.id<StoreId>();
  header.identity.sequence = in.u64();
  header.after = in.id<Lsn>();
  const uint32_t crc = in.u32();
  if (bytes.size() < kSegmentHeaderBytes || !magic ||
      crc != crc32c(bytes.first(kSegmentCrcOffset)) ||
      header.identity.sequence != expected.sequence)
    return fail(Code::kCorrupt, "no segment header");
  if (version == 0 || version > kSegmentVersion)
    return fail(Code::kUnsupported, "log format {}, this build reads {}", version, kSegmentVersion);
  if (header.identity.cluster != expected.cluster || header.identity.store != expected.store)
    return fail(Code::kPrecondition,
                "the log belongs to store {:x} of cluster {:x}, not {:x} of "
                "{:x}: was a data directory moved?",
                header.identity.store, header.identity.cluster, expected.store, expected.cluster);
  return header;
}

std::string segment_name(uint64_t sequence) { return numbered_name(kNamePrefix, sequence); }

std::optional<uint64_t> parse_segment_name(std::string_view name) {
  return number_in_name(kNamePrefix, name);
}

std::string encode_frame_header(const FrameHeader& header, const SegmentIdentity& identity,
                                uint64_t offset) {
  Encoder fields;
  fields.u32(header.payload_bytes)
      .u32(header.records)
      .id(header.first)
      .id(header.durable)
      .u32(header.payload_crc)
      .u32(0);
  const std::string unsigned_header = std::string(kFrameCrcOffset + 4, '\0') + fields.bytes();
  return Encoder()
      .u32(kFrameMagic)
      .u32(frame_crc(unsigned_header, identity, offset))
      .raw(fields.bytes())
      .bytes();
}

void append_record(std::string& payload, GroupId group, std::string_view bytes) {
  payload += Encoder().id(group).u32(static_cast<uint32_t>(bytes.size())).bytes();
  payload += bytes;
}

SegmentScan scan_segment(ByteView view, const SegmentIdentity& identity, Lsn after) {
  const std::string_view bytes = as_text(view);
  SegmentScan scan;
  scan.end = kSegmentHeaderBytes;
  scan.last = after;
  while (scan.end < bytes.size()) {
    auto frame = frame_at(bytes, scan.end, identity);
    // A batch is written when all before it is durable, so each names its predecessor's end.
    if (!frame || frame->header.durable != scan.last || frame->header.first <= scan.last) {
      scan.clean = false;
      scan.claimed = find_claim(bytes, scan.end, identity);
      return scan;
    }
    scan.end = frame->end();
    if (frame->header.records > 0) scan.last = frame->header.last();
    scan.frames.push_back(std::move(*frame));
  }
  return scan;
}

bool holds_frames(ByteView bytes, const SegmentIdentity& identity) {
  const std::string_view text = as_text(bytes);
  const std::string magic = Encoder().u32(kFrameMagic).bytes();
  for (size_t at = text.find(magic); at != std::string_view::npos; at = text.find(magic, at + 1))
    if (header_at(text, at, identity)) return true;
  return false;
}

}  // namespace dogfs::wal
