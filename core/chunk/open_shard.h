#pragma once
// OpenShard: a shard file opened for reading, its footer and table of checksums verified. Holds no
// payload; every read verifies the cells that it touches. Shared by the reads under way and the
// cache of OpenShards, which keeps the kOpenShardsMax last used.

#include <memory>
#include <vector>

#include "core/chunk/shard_file.h"
#include "core/env/disk.h"
#include "core/env/env.h"

namespace dogfs::chunk {

class OpenShard {
 public:
  // kNotFound without the file; kCorrupt or kUnsupported as decode_footer says; kIo.
  static Task<Result<std::shared_ptr<OpenShard>>> open(Disk& disk, std::string path,
                                                       ShardIdentity identity);
  // The footer alone.
  static Task<Result<ShardFacts>> read_facts(Disk& disk, std::string path, ShardIdentity identity);

  const ShardFacts& facts() const { return facts_; }

  // Exactly `length` bytes, with their checksum when they are whole cells. kInvalid when the shard
  // has not so many, kTooLarge above kShardReadBytesMax, kCorrupt naming the first wrong cell. Keep
  // `self` while it runs: it is the parameter so that the frame owns it.
  static Task<Result<CheckedBytes>> read(std::shared_ptr<OpenShard> self, uint64_t offset,
                                         size_t length);

 private:
  OpenShard(std::unique_ptr<File> file, ClusterId cluster, ShardFacts facts,
            std::vector<uint32_t> checksums)
      : file_(std::move(file)),
        cluster_(cluster),
        facts_(std::move(facts)),
        checksums_(std::move(checksums)) {}
  Result<std::optional<uint32_t>> verify_cells(uint64_t offset, ByteView bytes) const;

  std::unique_ptr<File> file_;
  ClusterId cluster_;
  ShardFacts facts_;
  std::vector<uint32_t> checksums_;
};

class OpenShards {
 public:
  // Null if it is not here.
  std::shared_ptr<OpenShard> find(const ShardName& name);
  void insert(std::shared_ptr<OpenShard> shard);
  void drop(const ShardName& name);

 private:
  std::vector<std::shared_ptr<OpenShard>> shards_;  // the last used at the end
};

}  // namespace dogfs::chunk
