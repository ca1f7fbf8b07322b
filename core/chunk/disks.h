#pragma once
// Disks: the data directories of one chunk server, one Store each, used as one. Owned by a chunk
// node, used from its one thread by many tasks; it outlives every task and writer that uses it.
//
// Whose they are: every directory names cluster, node and the server's store id, itself, and all
// directories of the server. The server stays who it is while one of them is there. A blank one
// is taken in as a new disk when none of the others is missing; else it may be the mount point of
// one that is, and is left alone until somebody says that it takes its place.
//
// A disk fails when its directory cannot be used at the start, or when, after an error that a sound
// disk does not give, it cannot be written to for a few seconds. From then on its shards are not
// here and its space does not count; the other disks go on. It stays out until the next start.
//
// Promises are those of Store (store.h), for the disks that have not failed.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/store.h"
#include "core/env/event.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::chunk {

struct DataDirectory {
  std::string path;      // on its disk; "" is the disk's root
  Disk* disk = nullptr;  // null: that of the env
  std::string name;      // for messages; empty: the path
};

struct DisksOptions {
  std::vector<DataDirectory> directories;  // 1 to kDisksMax
  bool replace_lost = false;  // a blank directory takes the place of one that is missing
};

class Disks {
 public:
  Disks(Env& env, DisksOptions options);
  ~Disks();
  Disks(const Disks&) = delete;
  Disks& operator=(const Disks&) = delete;

  // --- At the start, in this order ---

  // Whose they are; nothing when all are blank. kPrecondition: they belong to different servers, or
  // one of them is given twice; kCorrupt, kIo: no identity can be read, so nobody can tell;
  // kUnsupported.
  Task<Result<std::optional<StoreIdentity>>> identify();
  // Of blank ones: whether they can become data directories, before anybody is told of them, and
  // their space. Errors as Store::prepare.
  Task<Result<void>> prepare();
  // Makes blank ones those of a new server: the first; open() takes the others in. Errors as
  // Store::format.
  Task<Result<void>> format(StoreIdentity identity);
  // Opens them, and takes new ones in. Reads no payload. The error of the first one when none can
  // be used; else those that cannot have failed.
  Task<Result<void>> open(StoreIdentity identity);

  // --- From then on ---

  // Watches the disks. Ends with kIo when the last of them has failed.
  Task<Result<void>> run();

  // Cluster, node and store of the server.
  const StoreIdentity& identity() const { return identity_; }

  // As Store: on a disk that choose() gives, or where this very shard is already.
  Task<Result<std::unique_ptr<ShardWriter>>> begin(ShardName name, StripeShape shape,
                                                   uint64_t expected_bytes);
  Task<Result<Buffer>> read(ShardName name, uint64_t offset, size_t length,
                            std::optional<uint32_t> checksum = {});
  Task<Result<CheckedBytes>> read_checked(ShardName name, uint64_t offset, size_t length,
                                          std::optional<uint32_t> checksum);
  Task<Result<ShardFacts>> stat(ShardName name);
  Task<Result<ShardFacts>> verify(ShardName name);
  Task<std::vector<Store::Listed>> list(ShardName after, size_t count);
  Task<Result<void>> remove(ShardName name);
  size_t shard_count() const;
  // Called when a read fails for the shard's sake, or it was asked for and is not here; until
  // another is set. Whoever sets it finds out what is true of the shard.
  void when_in_doubt(std::function<void(const ShardName&)> doubt) { doubt_ = std::move(doubt); }
  size_t writer_count() const;

  // --- Disk by disk, by index from 0 to count() - 1, in the order they were given ---

  size_t count() const { return directories_.size(); }
  bool failed(size_t index) const;
  size_t failures() const;  // disks that failed
  // Why it failed; empty when it did not.
  const std::string& failure(size_t index) const;
  const std::string& name(size_t index) const;
  // Where else files may be kept beside the shards: the env whose disk it is, and the path there.
  Env& env(size_t index);
  const std::string& path(size_t index) const;
  // Null when it failed.
  Store* store(size_t index);
  // Which disk shall take a new object of so many bytes: drawn, weighed by free space. kNoSpace
  // when none has room; kIo when all have failed.
  Result<size_t> choose(uint64_t bytes);

  struct Status {
    std::string name;
    std::string failure;  // empty: it works
    Space space;
    uint64_t shards = 0;
  };
  // Looks at the space of each.
  Task<std::vector<Status>> status();

 private:
  struct Directory;
  using Names = std::vector<StoreId>;

  Result<void> check_same_server() const;
  Names known_names() const;
  Task<> take_in_blank();
  Task<> take_in(Directory& directory, Names& all);
  Task<> update_identities(Names all);
  Task<> open_stores();
  Task<> open_store(Directory& directory);
  Result<void> check_any_left() const;
  Task<> watch(Directory& directory);
  Task<Result<void>> probe(Directory& directory, uint32_t attempts);
  void give_up(Directory& directory, const Error& error);
  Task<std::optional<Space>> look_at_space(Directory& directory);
  std::vector<Store*> holders(const ShardName& name) const;
  template <class T, class Act>
  Task<Result<T>> patiently(Act act);
  template <class T, class Act>
  Task<Result<T>> first_success(ShardName name, Act act);

  Env& env_;
  const DisksOptions options_;
  StoreIdentity identity_;
  std::vector<std::unique_ptr<Directory>> directories_;
  Random random_;
  Event all_failed_;
  std::function<void(const ShardName&)> doubt_;
};

}  // namespace dogfs::chunk
