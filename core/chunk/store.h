#pragma once
// Store: the shard files of one data directory (README.md). Owned by a chunk node, used from its
// one thread by many tasks at a time; it outlives every task and writer that uses it.
//
// Promises. A shard that finish() or list() has named is durable, whole and stays as it is until
// remove(). Nothing half-written is ever visible, after any crash. A read gives the bytes that were
// written, or an error. An operation that fails may be tried again; a shard whose sync failed is
// discarded and must be written anew. If finish() fails or is cancelled the shard may still turn up
// after a restart, whole.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/chunk/directory_sync.h"
#include "core/chunk/open_shard.h"
#include "core/chunk/shard_file.h"
#include "core/chunk/shard_writer.h"
#include "core/chunk/store_identity.h"
#include "core/env/disk.h"
#include "core/env/env.h"
#include "core/env/event.h"
#include "core/env/task.h"

namespace dogfs::chunk {

class Store {
 public:
  // Finds out whether a data directory can be made here (one level below what exists; "" is the
  // disk's root), before anybody is told of it, and makes its empty directories. kExists if there
  // is one, kPrecondition if shards are there without an identity, kNoSpace, kIo.
  static Task<Result<void>> prepare(Env& env, std::string directory);
  // Makes it, durably. Errors as prepare().
  static Task<Result<void>> format(Env& env, std::string directory, StoreIdentity identity);

  // Whose data directory it is. kNotFound for one that was never formatted; kCorrupt, kUnsupported,
  // kIo.
  static Task<Result<StoreIdentity>> identify(Env& env, std::string directory);

  // Replaces what a data directory says of itself. After an error it says this or what it did.
  static Task<Result<void>> write_identity(Env& env, std::string directory, StoreIdentity identity);

  // Opens a data directory of this cluster and node: removes what was being written, finds the
  // shards by their names and makes those names durable; reads no payload. kNotFound if it was
  // never formatted, kPrecondition if it belongs to others, kCorrupt, kUnsupported, kIo.
  static Task<Result<std::unique_ptr<Store>>> open(Env& env, std::string directory,
                                                   ClusterId cluster, NodeId node);

  const StoreIdentity& identity() const { return identity_; }

  // Begins to write a shard. `expected_bytes` of it are reserved (0 if not known). kInvalid for an
  // impossible shape or shard, kPrecondition if a higher generation is here, kUnavailable with
  // kShardWritersMax writers, kNoSpace, kIo.
  Task<Result<std::unique_ptr<ShardWriter>>> begin(ShardName name, StripeShape shape,
                                                   uint64_t expected_bytes);

  // `length` bytes at `offset`, every touched cell verified. kNotFound, kCorrupt naming the cell,
  // kInvalid beyond the end, kTooLarge above kShardReadBytesMax, kUnsupported, kIo. With
  // `checksum`, that of the whole shard as the reader knows it, also kCorrupt for a shard with
  // another.
  Task<Result<Buffer>> read(ShardName name, uint64_t offset, size_t length,
                            std::optional<uint32_t> checksum = {});
  // The same, with the checksum of the bytes when they are whole cells.
  Task<Result<CheckedBytes>> read_checked(ShardName name, uint64_t offset, size_t length,
                                          std::optional<uint32_t> checksum);
  // The footer, read when not yet known. kNotFound, kCorrupt, kUnsupported, kIo.
  Task<Result<ShardFacts>> stat(ShardName name);
  // Reads all of it from the disk, verified, and gives what it is; for scrubbing. `pause` is told
  // of the bytes after each read and may take its time. Errors as read().
  using Pause = std::function<Task<>(uint64_t bytes)>;
  Task<Result<ShardFacts>> verify(ShardName name, Pause pause = {});

  struct Listed {
    ShardName name;
    Result<ShardFacts> facts;  // an error: the shard is not readable
  };
  // Up to `count` (at most kListPageMax) shards after `after` in the order of names; an empty page
  // is the end. The first call gives a default ShardName.
  Task<std::vector<Listed>> list(ShardName after, size_t count);

  // Removes exactly this generation, durably; writers of it that have not finished will not
  // (kPrecondition). kNotFound; kIo: it may be here or gone, now and after a restart; try again, it
  // is listed until it is surely gone.
  Task<Result<void>> remove(ShardName name);

  // The first one after that in the order of names, the first of all for a default name.
  std::optional<ShardName> next(const ShardName& after) const;
  bool contains(const ShardName& name) const { return shards_.contains(name); }
  // A higher generation of the shard is here.
  bool superseded(const ShardName& name) const;
  size_t shard_count() const { return shards_.size(); }
  size_t writer_count() const { return writers_.size(); }
  // Of the disk, less what writers have reserved.
  Task<Result<Space>> space();

 private:
  friend class ShardWriter;
  class Turn;
  // What is known of a shard that is here.
  struct Entry {
    uint64_t writing = 0;             // tells apart what was written under this name, one by one
    std::optional<ShardFacts> facts;  // once known
  };

  Store(Env& env, std::string directory, StoreIdentity identity);
  std::string path(std::string_view file) const;
  ShardIdentity identity_of(const ShardName& name) const { return {identity_.cluster, name}; }
  Result<void> check_begin(const ShardName& name, const StripeShape& shape) const;
  Task<Result<void>> recover();
  Task<> sweep();
  Task<Result<std::shared_ptr<OpenShard>>> open_shard(ShardName name);
  Entry* unchanged(const ShardName& name, uint64_t writing);
  Task<Result<void>> check_same_content(ShardFacts facts);
  // Gives the writer's file, which is synced, its name. An error: it may have it or not, and is
  // not acknowledged.
  Task<Result<void>> publish(ShardWriter& writer, ShardFacts facts);
  Task<Result<void>> rename_durably(std::string temporary, ShardName name);
  Task<> discard(std::string file);

  Env& env_;
  const std::string directory_;
  const StoreIdentity identity_;
  DirectorySync directory_sync_;
  std::map<ShardName, Entry> shards_;
  uint64_t last_writing_ = 0;
  OpenShards open_shards_;
  std::set<ShardName> busy_;            // being published or removed: one task at a time
  Event idle_;                          // notified when busy_ shrinks
  std::vector<std::string> abandoned_;  // files of writers that were dropped, to be removed
  uint64_t next_temporary_ = 0;
  uint64_t reserved_bytes_ = 0;
  std::vector<ShardWriter*> writers_;
};

}  // namespace dogfs::chunk
