#pragma once
// AppendLogs: the append logs of one data directory (`appends/`), beside its shards. Owned by a
// chunk node, which runs run(); one thread; it outlives all tasks that use it. Starting reads no
// log: one is read, whole, when somebody asks for it.
//
// Logs are opened, made and removed by tasks of its own, one at a time for each log: whoever gives
// up (is cancelled) leaves nothing half done that would meet what another begins.

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/chunk/append_log.h"
#include "core/chunk/directory_sync.h"
#include "core/env/env.h"
#include "core/env/event.h"
#include "core/env/task.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::chunk {

class AppendLogs {
 public:
  // Of a data directory that is there. Removes what was being made, finds logs by their names.
  static Task<Result<std::unique_ptr<AppendLogs>>> open(Env& env, std::string directory,
                                                        ClusterId cluster);

  // Keeps the tasks of the logs; ends only by cancellation.
  Task<> run();

  // The log, opened if it was not. kNotFound; kCorrupt, kUnsupported, kIo: it has lost what it
  // promised, as far as anybody can tell; kUnavailable: too many are in use, or run() does not run.
  Task<Result<std::shared_ptr<AppendLog>>> find(ShardName name);
  // Makes it, if it is not there; one that is may have another origin. Errors as find and
  // AppendLog::create.
  Task<Result<std::shared_ptr<AppendLog>>> find_or_create(AppendOrigin origin);
  // Reads all of it that is durable, verified, as AppendLog::verify; changes nothing, and opens
  // none that looks sound. Errors as find, kCorrupt and kIo of what is found.
  Task<Result<void>> verify(ShardName name, AppendLog::Pause pause = {});
  // Called when somebody stumbles over damage in a log.
  void when_in_doubt(std::function<void(const ShardName&)> doubt) { doubt_ = std::move(doubt); }
  // That was the error of verify(). One that is not open says so when it is opened.
  void condemn(const ShardName& name, Error damage);
  // Removes it, durably, and closes it. kNotFound; kIo: it may be there or gone, try again.
  Task<Result<void>> remove(ShardName name);

  // Those that could not be removed for sure are among them.
  bool contains(const ShardName& name) const { return logs_.contains(name); }
  std::vector<ShardName> names() const;

 private:
  class Turn;
  struct Outcome;
  using Log = Result<std::shared_ptr<AppendLog>>;
  using Work = Task<Log> (AppendLogs::*)(AppendOrigin origin);
  struct Entry {
    std::shared_ptr<AppendLog> log;  // null: not opened
    uint64_t used = 0;               // when, in uses
  };

  AppendLogs(Env& env, std::string directory, ClusterId cluster);
  Task<Result<void>> recover();
  std::shared_ptr<AppendLog> find_open(ShardName name);
  Task<Log> in_turn(Work work, AppendOrigin origin);
  Task<Result<void>> scan(ShardName name, AppendLog::Pause pause);
  Task<> do_work(Work work, AppendOrigin origin, std::unique_ptr<Turn> turn);
  Task<Log> open_one(AppendOrigin origin);
  Task<Log> open_or_create(AppendOrigin origin);
  Task<Log> remove_one(AppendOrigin origin);
  Log begin(ShardName name, std::shared_ptr<AppendLog> log);
  Result<void> make_room();
  Task<> keep(Nursery& children);

  Env& env_;
  const std::string directory_;
  const ClusterId cluster_;
  DirectorySync directory_sync_;
  Nursery* children_ = nullptr;  // while run() runs
  std::map<ShardName, Entry> logs_;
  std::set<ShardName> busy_;  // being opened, made or removed
  uint64_t uses_ = 0;
  std::function<void(const ShardName&)> doubt_;
  Event idle_;
};

}  // namespace dogfs::chunk
