#pragma once
// Forced recovery: what is left to do when a majority of the metadata servers is lost for good. It
// works on the data directory of one survivor whose server does not run, and makes that the only
// voter of the group: the server started on it leads, and others join it with blank directories.
//
// What the lost servers had acknowledged and this one does not hold is gone. Ids are not used twice
// for it: the incarnation in every new id is raised. The lost servers must never come back with
// their old directories, or they would be the old cluster beside the new one.

#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/env/env.h"
#include "core/raft/types.h"

namespace dogfs::nodes {

// What the directory says, and what recovery makes of it.
struct Survivor {
  ClusterId cluster;
  raft::Member self;
  raft::HardState hard_state;
  raft::SnapshotMeta snapshot;
  raft::LogPosition last;
  raft::Configuration configuration;  // in force at the end of its log
};

// Changes nothing. kNotFound: the directory belongs to nobody; kCorrupt: its log is damaged, or the
// snapshot that this stands on, so it promises nothing;
// kPrecondition: its configuration does not name it, so it was no member.
Task<Result<Survivor>> inspect_survivor(Env& env);

// What may be lost and what will be done, in lines for a person.
std::vector<std::string> describe(const Survivor& survivor);

// Does it; durable when it returns. Errors as inspect_survivor, and kNoSpace, kIo.
Task<Result<Survivor>> recover_from(Env& env);

}  // namespace dogfs::nodes
