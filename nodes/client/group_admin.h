#pragma once
// GroupAdmin: what an operator asks of the metadata servers' Raft group: to see it, to change who
// belongs to it, to move its leadership. Owned by a program, which runs run() beside the calls; one
// thread.

#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/env/network.h"
#include "core/env/task.h"
#include "core/proto/cluster_codec.h"
#include "core/rpc/client.h"
#include "nodes/client/metadata_calls.h"

namespace dogfs::nodes {

// A member as the leader sees it.
struct GroupMember {
  NodeId node;
  StoreId store;
  std::string name;
  std::string address;
  std::string part;      // "voter", "learner", "joining", "leaving"
  std::string progress;  // "probe", "replicate", "snapshot"; empty for the leader itself
  LogIndex match;        // holds the log durably up to here
  bool heard = false;    // within an election timeout
  uint64_t snapshot_sent = 0;
  uint64_t snapshot_bytes = 0;  // 0: it is being sent none
  bool short_of_space = false;  // its disk is full
};

struct GroupView {
  NodeId leader;
  Term term;
  LogIndex commit;
  LogIndex last;
  LogIndex snapshot;
  bool joint = false;
  std::vector<GroupMember> members;
  std::vector<proto::DiskReports> disks;  // of the chunk servers

  // No change of the membership is under way.
  bool settled() const;
};

// Who enters and who leaves; node 0: nobody.
struct GroupChange {
  GroupMember add;
  GroupMember remove;

  // The one votes, the other is no member; whatever else is under way.
  bool done_in(const GroupView& view) const;
};

class GroupAdmin {
 public:
  GroupAdmin(Env& env, std::vector<Address> metadata, ClusterId cluster);

  // Keeps the connections; ends only by cancellation.
  Task<> run() { return rpc_.run(); }

  // What the leader says. kUnavailable when none is found.
  Task<Result<GroupView>> view();

  struct Change {
    std::optional<Address> add;  // a running metadata server
    std::string remove;          // name or id; empty: nobody
    bool dry_run = false;
  };
  // Who that is. kNotFound; kInvalid: no metadata server is there; kUnavailable.
  Task<Result<GroupChange>> meant(Change change);
  // Begins it (or, dry, does not); what happens then, line by line. kPrecondition: refused, with
  // the reason; kNotFound, kExists; kUnavailable: another change is under way, or no leader;
  // kUnknown.
  Task<Result<std::vector<std::string>>> change(Change change);
  // `to`: name or id. It leads when this returns. Errors as change.
  Task<Result<std::vector<std::string>>> transfer(std::string to, bool dry_run);
  // Raises the cluster version to the newest that this build understands. kPrecondition: a server
  // does not understand it.
  Task<Result<std::vector<std::string>>> upgrade(bool dry_run);

 private:
  Task<Result<GroupMember>> server_at(Address address);
  Task<Result<GroupMember>> find(std::string who);
  Task<Result<GroupView>> ask(Address address, Address& leader);

  rpc::Client rpc_;
  MetadataCalls calls_;
};

}  // namespace dogfs::nodes
