#pragma once
// User: one client of a run, one operation after the other through nodes::Client, each entered into
// the History with what was asked and what was told. Node code: it lives in the frame of its host's
// root task and dies with it; an operation that was under way then stays unanswered in the history.
// Several users may share a client: several operations of one session at a time.

#include <functional>
#include <string>

#include "core/env/task.h"
#include "nodes/client/client.h"
#include "sim/check/history.h"
#include "sim/run/operation_source.h"
#include "sim/world/scheduler.h"

namespace dogfs {
class Env;
}

namespace dogfs::sim {

// What all users of a run share; outlives the world's processes.
struct Record {
  History history;
  uint64_t done = 0;                              // operations
  uint64_t rebuilt_bytes = 0;                     // that gets decoded from other shards
  uint64_t gets_rebuilt = 0;                      // gets of which some bytes were
  uint64_t blocks_below_width = 0;                // committed with less than full width
  std::function<void(const Operation&)> on_done;  // called when a client was told so, if given
};

class User {
 public:
  User(const Scheduler& world, Env& env, const nodes::Client& client, Record& record);
  User(const User&) = delete;
  User& operator=(const User&) = delete;

  // Performs one operation; its number in the history. `bytes` are those of a put.
  Task<size_t> perform(Operation operation, Buffer bytes);
  // A put over the version of the file that is there now, by a stat before it; where there is none,
  // like any other.
  Task<size_t> replace(Operation put, Buffer bytes);
  Env& env() { return env_; }
  const Scheduler& world() const { return world_; }
  Record& record() { return record_; }

 private:
  Task<Result<LogIndex>> put(size_t number, Buffer bytes);
  Task<Result<LogIndex>> get(size_t number);
  Task<Result<LogIndex>> stat(size_t number);
  Task<Result<LogIndex>> list(size_t number);
  Task<Result<LogIndex>> use(size_t number);
  Task<Result<LogIndex>> set_attributes(size_t number);
  Task<Result<LogIndex>> call(size_t number, Buffer bytes);
  Operation& at(size_t number) { return record_.history.at(number); }

  const Scheduler& world_;
  Env& env_;
  Record& record_;
  size_t asking_ = 0;     // the number of the operation under way
  nodes::Client client_;  // a view of the one given
};

}  // namespace dogfs::sim
