#pragma once
// Liveness: the leader's judgement of which servers are there. It measures silence on its own
// monotonic clock, counted from the later of its election and the last heartbeat, and proposes
// state changes of the cluster map; the entries decide. Owned by the metadata node, which runs
// run().

#include <map>

#include "core/base/time.h"
#include "nodes/metadata/metadata_group.h"

namespace dogfs::nodes {

struct LivenessOptions {
  Duration suspect_after = std::chrono::milliseconds(1500);
  Duration dead_after = std::chrono::seconds(15);
  Duration look_every = std::chrono::milliseconds(250);
};

class Liveness {
 public:
  Liveness(Env& env, LivenessOptions options, MetadataGroup& group)
      : env_(env), options_(options), group_(group) {}

  // For ever; does something only while this server leads.
  Task<> run();
  // A heartbeat or registration of this node arrived.
  void heard(NodeId node) { last_heard_[node] = env_.now(); }

 private:
  Task<> watch(Term term);
  Task<> propose_state(NodeId id);
  std::optional<metadata::SetNodeState> judge(const placement::Node& node);

  Env& env_;
  const LivenessOptions options_;
  MetadataGroup& group_;
  Instant elected_{};
  std::map<NodeId, Instant> last_heard_;  // since the election
};

}  // namespace dogfs::nodes
