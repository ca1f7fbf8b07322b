#pragma once
// AppendTasks: which append blocks need somebody's work, and whose. The leader looks at blocks that
// are open, being sealed or to be converted, and hands each that should not stay as it is to one
// live chunk server with a replica, in the reply to a heartbeat; to another one, if nothing became
// of it in time. Tasks are harmless when they are lost, late or done twice: every step is fenced by
// a log entry. Owned by the metadata node.

#include <map>
#include <vector>

#include "core/base/time.h"
#include "nodes/metadata/metadata_group.h"

namespace dogfs::nodes {

struct AppendTaskOptions {
  Duration sealing_after = std::chrono::seconds(2);     // whoever began may be at it
  Duration suspicious_after = std::chrono::seconds(3);  // with a replica that is suspect
  Duration unused_after = std::chrono::minutes(1);      // open, and its primary never asked
  Duration open_after = std::chrono::hours(1);          // its primary should have sealed it, idle
  Duration seal_again_after = std::chrono::seconds(10);
  Duration convert_again_after = std::chrono::seconds(30);
  Duration look_every = std::chrono::milliseconds(500);
  size_t tasks_per_server = 8;  // at a time
};

class AppendTasks {
 public:
  AppendTasks(Env& env, AppendTaskOptions options, MetadataGroup& group)
      : env_(env), options_(options), group_(group) {}

  // For ever; does something only while this server leads.
  Task<> run();
  // The tasks that were found for this chunk server since it last asked. Only the leader has any.
  std::vector<metadata::AppendTask> take(NodeId node);

 private:
  // What the leader knows of a block since its election.
  struct Watched {
    metadata::LocatedState state = metadata::LocatedState::kSealed;
    Instant since{};                    // in that state
    std::optional<Instant> suspicious;  // since when a replica of an open one is not live
    metadata::AppendTask task;          // the last that was found for it
    NodeId given_to;
    Instant given_at{};
    bool taken = false;
  };

  Task<> watch(Term term);
  void look();
  bool needs_work(const metadata::AppendBlock& block, Watched& watched);
  bool needs_sealing(const metadata::AppendBlock& block, Watched& watched);
  bool is_given(const Watched& watched) const;
  void give(const metadata::AppendBlock& block, Watched& watched);
  NodeId chosen(const metadata::AppendBlock& block, NodeId before) const;
  placement::NodeState state_of(NodeId node) const;

  Env& env_;
  const AppendTaskOptions options_;
  MetadataGroup& group_;
  std::map<BlockId, Watched> watched_;
  std::map<NodeId, size_t> at_work_;  // tasks given and not yet given up
};

}  // namespace dogfs::nodes
