#pragma once
// The file of one replica of an append block (drawn in README.md): its header, and the headers of
// the batches of entries behind it. Pure. append_log.h writes it, append_recovery.h reads it.
//
// A batch is written by one write and made durable by one sync, and the next one is written only
// then. So a batch, or what is left of one, proves that all before it was durable here. When none
// follows for a moment, one without entries is written as a witness; it is not synced, so the next
// one takes its place.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/chunk/append_entry.h"
#include "core/chunk/shard_file.h"

namespace dogfs::chunk {

inline constexpr uint32_t kAppendFormatVersion = 1;
inline constexpr size_t kAppendHeaderBytes = 4096;  // with room for the seal, a sector of its own
inline constexpr uint64_t kAppendSealOffset = 2048;
inline constexpr size_t kAppendSealBytes = 512;
inline constexpr size_t kAppendBatchHeaderBytes = 16;

// What the file is, fixed when it is made.
struct AppendOrigin {
  ShardIdentity identity;
  Epoch epoch;               // of the primary that may append
  uint64_t activation = 0;   // of that primary's life; 0 and epoch 0: made only to be sealed
  uint64_t ordinal = 0;      // among the append blocks of the file
  uint64_t file_offset = 0;  // where the block begins in the file

  AppendBlock block() const {
    return {identity.cluster, identity.name.block, identity.name.generation};
  }
  bool operator==(const AppendOrigin&) const = default;
};

std::string encode_append_header(const AppendOrigin& origin);
// Whether these bytes, the first of a file, have the magic of an append log; unverified.
bool is_append_header(ByteView bytes);
// kCorrupt, kUnsupported; kCorrupt, too, when it is the file of something else than `expected`.
Result<AppendOrigin> decode_append_header(ByteView bytes);
Result<AppendOrigin> decode_append_header(ByteView bytes, const ShardIdentity& expected);

// Refuses lower epochs from here on, for ever.
std::string encode_append_seal(const AppendOrigin& origin, Epoch epoch);
// 0: not sealed. What is neither a seal nor nothing is one that was being written: sealed, by
// nobody knows whom, so at the highest epoch.
Epoch decode_append_seal(const AppendOrigin& origin, ByteView bytes);

// Of a batch at `offset` of the file, with `bytes` of entries.
std::string encode_batch_header(const AppendOrigin& origin, uint64_t offset, uint32_t bytes);
// How many bytes of entries follow; nothing if this is no header for that place.
std::optional<uint32_t> decode_batch_header(const AppendOrigin& origin, uint64_t offset,
                                            ByteView header);

// "00010000000000a3-04-1.append"
std::string append_file_name(const ShardName& name);
std::optional<ShardName> parse_append_file_name(std::string_view text);

}  // namespace dogfs::chunk
