#pragma once
// The bytes of a log segment, pure: headers, frames, and the scan that finds where the good ones
// end. Drawn in README.md. Wal writes them, recover() reads them.
//
// Every checksum covers who and where: cluster, store, segment and offset. Bytes of another store,
// an older segment or a misdirected write never pass.

#include <optional>
#include <string>
#include <vector>

#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/ids.h"

namespace dogfs::wal {

// Numbers the records of a log, from 1; counts up, with gaps where a full disk refused records.
using Lsn = Strong<struct LsnTag>;

inline constexpr uint32_t kSegmentVersion = 2;  // 1: there may be no extent beside the log
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kFrameHeaderBytes = 40;
inline constexpr size_t kRecordHeaderBytes = 8;

// Whose log, and which piece of it.
struct SegmentIdentity {
  ClusterId cluster;
  StoreId store;
  uint64_t sequence = 0;
};

struct SegmentHeader {
  SegmentIdentity identity;
  Lsn after;  // the last record before this segment; durable when the segment was made
  uint32_t version = kSegmentVersion;
};

std::string encode_segment_header(const SegmentHeader& header);
// kCorrupt: not a header. kUnsupported: of a newer version. kPrecondition: of another store.
Result<SegmentHeader> decode_segment_header(ByteView bytes, const SegmentIdentity& expected);

std::string segment_name(uint64_t sequence);
std::optional<uint64_t> parse_segment_name(std::string_view name);

// One batch: written by one write, good as a whole or not at all.
struct FrameHeader {
  uint32_t payload_bytes = 0;
  uint32_t records = 0;  // none: a marker, which only says what is durable
  Lsn first;             // of its records
  Lsn durable;           // all before it, and durable when this was written
  uint32_t payload_crc = 0;

  Lsn last() const { return Lsn(first.value + records - 1); }
};

std::string encode_frame_header(const FrameHeader& header, const SegmentIdentity& identity,
                                uint64_t offset);

struct FrameRecord {
  GroupId group;
  std::string_view payload;  // into the frame
};
void append_record(std::string& payload, GroupId group, std::string_view bytes);

struct Frame {
  uint64_t offset = 0;
  FrameHeader header;
  std::vector<FrameRecord> records;

  uint64_t end() const { return offset + kFrameHeaderBytes + header.payload_bytes; }
};

// What a segment holds. `bytes` must outlive it.
struct SegmentScan {
  std::vector<Frame> frames;  // good ones, each following the one before
  uint64_t end = 0;           // after the last of them
  Lsn last;                   // of the records so far
  bool clean = true;          // nothing follows `end`
  // The highest LSN that anything good beyond `end` says was durable. If it is above `last`, what
  // is missing at `end` had been durable: damage, not a torn tail.
  Lsn claimed;
};
SegmentScan scan_segment(ByteView bytes, const SegmentIdentity& identity, Lsn after);

// Whether any frame of this segment is in these bytes (whose header is bad).
bool holds_frames(ByteView bytes, const SegmentIdentity& identity);

}  // namespace dogfs::wal
