#pragma once
// ShardWriter: writes one shard, cell by cell, into a temporary file that finish() makes durable
// and gives its name. Made by Store::begin, owned by the task that receives the shard; one call at
// a time. Dropped unfinished, or after any error, nothing of it is ever visible, and the store
// removes its file.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/shard_file.h"
#include "core/env/disk.h"
#include "core/env/task.h"

namespace dogfs::chunk {

class Store;

// What the writer of a shard knows at its end.
struct ShardEnd {
  uint64_t block_length = 0;
  std::optional<uint32_t> checksum;  // what the sender computed (ShardChecksum)
};

class ShardWriter {
 public:
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  const ShardName& name() const { return name_; }
  uint64_t written_bytes() const { return checksum_.length(); }

  // The next cell: of cell_bytes, or shorter if it is the last; `crc` is its CRC32C, if that was
  // checked already. kInvalid otherwise; kNoSpace, kIo. After an error the writer only gives
  // errors.
  Task<Result<void>> append(Buffer cell, std::optional<uint32_t> crc = std::nullopt);

  // Makes the shard durable, then acknowledges it. kInvalid if the bytes written are not a shard of
  // such a block; kCorrupt if they are not what the sender sent; kPrecondition if a higher
  // generation has come or it was removed meanwhile; kExists if this generation is here with other
  // bytes (with the same bytes it is replaced: finishing twice is harmless); kNoSpace; kIo.
  Task<Result<ShardFacts>> finish(ShardEnd end);

  // Removes the file now.
  Task<> abort();

 private:
  friend class Store;
  ShardWriter(Store& store, ShardName name, StripeShape shape, uint64_t expected_bytes);
  Task<Result<void>> create();
  Result<void> check_usable();
  Result<void> check_cell(size_t bytes) const;
  Result<ShardFacts> check_end(const ShardEnd& end) const;
  Task<Result<ShardFacts>> finish_file(ShardEnd end);
  void consume_reservation(uint64_t bytes);

  Store& store_;
  const ShardName name_;
  const StripeShape shape_;
  const std::string temporary_;
  std::unique_ptr<File> file_;
  ShardChecksum checksum_;
  std::vector<uint32_t> cell_checksums_;
  uint64_t reserved_bytes_ = 0;
  bool usable_ = false;   // false while a call is under way, so that a cancelled one leaves it so
  bool wanted_ = true;    // false: the shard was removed while it was written
  bool has_file_ = true;  // there may be a temporary file
};

}  // namespace dogfs::chunk
