#pragma once
// The format of a shard file (drawn in README.md): names, checksums, footer. Pure; store.h does the
// waiting. Clients use the checksums, too: they compute what a shard must be while they encode it.
//
// Every checksum covers what the bytes are as well as the bytes: cluster, block, generation, shard
// and offset. Right bytes in the wrong place do not pass.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/checksum.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/ec/stripe.h"

namespace dogfs::chunk {

using ec::StripeShape;

inline constexpr uint32_t kShardFormatVersion = 1;
inline constexpr size_t kShardFooterBytes = 128;

// One shard within a cluster, in the order of listings.
struct ShardName {
  BlockId block;
  uint32_t shard = 0;  // < k + m
  Generation generation;
  auto operator<=>(const ShardName&) const = default;
};

struct ShardIdentity {
  ClusterId cluster;
  ShardName name;
  bool operator==(const ShardIdentity&) const = default;
};

// What is known of a whole shard; all of it stands in its footer.
struct ShardFacts {
  ShardName name;
  StripeShape shape;
  uint64_t block_length = 0;
  uint64_t shard_length = 0;
  uint32_t checksum = 0;  // as recorded in the block's row

  uint64_t cell_count() const { return (shard_length + shape.cell_bytes - 1) / shape.cell_bytes; }
  uint64_t table_bytes() const { return 4 * cell_count(); }
  uint64_t file_bytes() const { return shard_length + table_bytes() + kShardFooterBytes; }
  bool operator==(const ShardFacts&) const = default;
};

// Bytes of shards, and their plain CRC32C when it is known: of those that were checked on their way
// in, or out of a file. It spares whoever comes next a pass over them.
struct CheckedBytes {
  Buffer bytes;
  std::optional<uint32_t> crc = std::nullopt;
};

// Of the bytes of one cell, which begins at `offset` of the shard.
uint32_t cell_checksum(const ShardIdentity& identity, uint64_t offset, ByteView bytes);
// The same, of `length` bytes with this CRC32C.
uint32_t cell_checksum(const ShardIdentity& identity, uint64_t offset, uint32_t crc,
                       uint64_t length);

// Computes the checksums of a shard, cell by cell. The shard's checksum is one over its identity,
// its cells' checksums and its length: it costs no second pass over the bytes, and proves a table
// of cell checksums right.
class ShardChecksum {
 public:
  explicit ShardChecksum(const ShardIdentity& identity);

  // The next cell's bytes; gives the cell's checksum.
  uint32_t add_cell(ByteView bytes);
  // The next cell by its checksum.
  void add_checksum(uint32_t checksum, uint64_t length);

  const ShardIdentity& identity() const { return identity_; }
  uint64_t length() const { return length_; }
  // Of the shard that ends here.
  uint32_t value() const { return Crc32c(running_).add(length_).value(); }

 private:
  ShardIdentity identity_;
  Crc32c running_;
  uint64_t length_ = 0;
};

// What follows the cells: the table of their checksums, then the footer.
std::string encode_tail(ClusterId cluster, const ShardFacts& facts,
                        const std::vector<uint32_t>& checksums);

// What a footer of exactly kShardFooterBytes says: whose the file is, with nothing else to go by.
// kCorrupt when it is damaged, kUnsupported for another format.
struct Footer {
  ClusterId cluster;
  ShardFacts facts;
};
Result<Footer> decode_footer(ByteView footer);
// The same for a file that must be this shard: also kCorrupt when it is another, and errors name
// it.
Result<ShardFacts> decode_footer(ByteView footer, const ShardIdentity& expected);
// The cells' checksums, proved by the shard's checksum; kCorrupt otherwise.
Result<std::vector<uint32_t>> decode_table(ByteView table, ClusterId cluster,
                                           const ShardFacts& facts);

// "00010000000000a3-04-1.shard": block, shard, generation.
std::string file_name(const ShardName& name);
std::optional<ShardName> parse_file_name(std::string_view text);
// A file that is being written: its number tells apart two that will bear the same name.
std::string temporary_name(const ShardName& name, uint64_t number);
// The number, if `text` is such a name.
std::optional<uint64_t> parse_temporary_name(std::string_view text);

// For messages: "shard 4 of block 123 generation 1".
std::string describe(const ShardName& name);

}  // namespace dogfs::chunk
