#pragma once
// AppendDisks: the append logs of all data directories of a chunk server, one AppendLogs each, used
// as one. Owned by the chunk node beside its Disks, which outlive it; one thread. The logs of a
// disk that has failed are not here.

#include <functional>
#include <memory>
#include <vector>

#include "core/chunk/append_logs.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::chunk {

class Disks;

class AppendDisks {
 public:
  // When the disks are open; tries for two seconds where a disk errs, and goes on trying in run().
  // An error of the last disk that cannot be used, when none can.
  static Task<Result<std::unique_ptr<AppendDisks>>> open(Env& env, Disks& disks);

  // As AppendLogs.
  Task<> run();
  // kIo: it may be on a disk that works, but did not yet say which logs it has.
  Task<Result<std::shared_ptr<AppendLog>>> find(ShardName name);
  // On a disk that Disks::choose gives for a log of `bytes`.
  Task<Result<std::shared_ptr<AppendLog>>> find_or_create(AppendOrigin origin, uint64_t bytes);
  Task<Result<void>> remove(ShardName name);
  Task<Result<void>> verify(ShardName name, AppendLog::Pause pause = {});
  void condemn(const ShardName& name, Error damage);
  void when_in_doubt(std::function<void(const ShardName&)> doubt);
  // Those on that disk, as far as it said which it has.
  std::vector<ShardName> names(size_t disk) const;
  bool contains(const ShardName& name) const { return holder(name) != nullptr; }

 private:
  AppendDisks(Env& env, Disks& disks) : env_(env), disks_(disks) {}
  // Null: none of the disks that work.
  AppendLogs* holder(const ShardName& name) const;
  Task<> keep(Nursery& children);
  Task<> open_late(Nursery& children, size_t disk);
  // The error of a log that no disk has.
  Error not_here(const ShardName& name) const;

  Env& env_;
  Disks& disks_;
  std::function<void(const ShardName&)> doubt_;
  std::vector<std::unique_ptr<AppendLogs>> logs_;  // by disk; null: it could not be used so far
};

}  // namespace dogfs::chunk
