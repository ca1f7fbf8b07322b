#pragma once
// Compaction: which blocks of packs are compacted, and by whom. The leader looks at those of which
// files have little left (StateMachine::sparse_blocks), lets each be for a while, for it may be
// garbage by itself soon, and hands it to one live chunk server with a shard of it, in the reply to
// a heartbeat; to another one, if it is still there long afterwards. One block at a time for each
// server. Harmless when it is lost, late or done twice: every move is fenced by a log entry. Owned
// by the metadata node.

#include <map>
#include <set>
#include <vector>

#include "core/base/time.h"
#include "nodes/metadata/metadata_group.h"

namespace dogfs::nodes {

struct CompactionOptions {
  Duration sparse_for = std::chrono::minutes(10);   // as the leader has seen it
  Duration again_after = std::chrono::minutes(10);  // when a server did not end it
  Duration look_every = std::chrono::seconds(5);
};

class Compaction {
 public:
  Compaction(Env& env, CompactionOptions options, MetadataGroup& group)
      : env_(env), options_(options), group_(group) {}

  // For ever; does something only while this server leads, and the cluster's version allows it.
  Task<> run();
  // The blocks that this chunk server is to compact and was not told of yet. Only the leader has
  // any.
  std::vector<BlockId> take(NodeId node);

 private:
  // What the leader knows of a block since its election.
  struct Watched {
    Instant since{};
    NodeId given_to;
    Instant given_at{};
    bool taken = false;
  };

  void look();
  bool is_given(const Watched& watched) const;
  void give(const metadata::SparseBlock& block, Watched& watched);
  NodeId chosen(const metadata::SparseBlock& block, NodeId before) const;

  Env& env_;
  const CompactionOptions options_;
  MetadataGroup& group_;
  std::map<BlockId, Watched> watched_;
  std::set<NodeId> at_work_;
};

}  // namespace dogfs::nodes
