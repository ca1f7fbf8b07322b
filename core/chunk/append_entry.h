#pragma once
// The unit in which records reach the replicas of an append block: an entry, some records of any
// writers with their bytes, encoded once by the block's primary and kept by every replica as it is.
// Pure; drawn in README.md. append_log.h keeps entries on a disk.
//
// An entry's checksum covers the block that it belongs to and its place there as well as its bytes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/ids.h"

namespace dogfs::chunk {

// What is appended to: one block of one cluster. All its replicas hold the same entries.
struct AppendBlock {
  ClusterId cluster;
  BlockId block;
  Generation generation;
  bool operator==(const AppendBlock&) const = default;
};

// One record, without its bytes. (writer, request) names it for ever, so that it is kept once.
struct AppendedRecord {
  uint64_t writer = 0;              // random, of one client's life
  uint64_t request = 0;             // counts up from 1
  uint64_t acknowledged_below = 0;  // the writer has the answers to these
  uint32_t length = 0;
  bool operator==(const AppendedRecord&) const = default;
};

enum class AppendEntryKind : uint8_t {
  kRecords = 1,
  kRequests = 2,  // what earlier blocks of the file hold (AppendRequests); the first entry
};

inline constexpr size_t kAppendEntryHeaderBytes = 32;

// What an entry's header says; enough to find and check it.
struct AppendEntryHeader {
  uint32_t checksum = 0;
  AppendEntryKind kind = AppendEntryKind::kRecords;
  Epoch epoch;              // of the primary that made it
  uint64_t offset = 0;      // in the block, of its first byte of data
  uint32_t head_bytes = 0;  // records, or requests
  uint32_t data_bytes = 0;

  uint64_t end() const { return offset + data_bytes; }
  size_t entry_bytes() const { return kAppendEntryHeaderBytes + head_bytes + data_bytes; }
};

struct AppendEntry {
  AppendEntryHeader header;
  std::vector<AppendedRecord> records;  // of kRecords
  std::string_view requests;            // of kRequests; into the entry
  ByteView data;                        // into the entry
};

// `data`: the bytes of the records, in their order; one byte at least, so that no two entries begin
// at one offset.
Buffer encode_records(const AppendBlock& block, Epoch epoch, uint64_t offset,
                      const std::vector<AppendedRecord>& records, const std::vector<Buffer>& data);
Buffer encode_requests(const AppendBlock& block, Epoch epoch, std::string_view requests);

// Nothing when these bytes do not begin with a header of possible sizes; unverified.
std::optional<AppendEntryHeader> peek_entry(ByteView bytes);
// The entry that is all of `bytes`. kCorrupt when it is damaged, of another block, or of records
// without a byte.
Result<AppendEntry> decode_entry(const AppendBlock& block, ByteView bytes);

// Of entries that travel one behind the other (Buffer::join). They share the bytes and are
// unverified; kInvalid when the sizes in their headers do not fit.
Result<std::vector<Buffer>> split_entries(const Buffer& bytes);

}  // namespace dogfs::chunk
