#pragma once
// ClusterView: a local cluster at one moment: what its processes do, what its metadata servers say
// of themselves, and what the leader knows of all.

#include <optional>
#include <string>
#include <vector>

#include "core/env/task.h"
#include "nodes/client/client.h"
#include "tools/dogfs/local_cluster.h"

namespace dogfs::tool {

class Output;

struct NodeView {
  LocalNode node;
  std::optional<int> pid;                               // when it runs
  std::optional<nodes::MetadataServerStatus> metadata;  // when it answers
  std::optional<placement::Node> known;                 // the cluster map's row
  std::vector<nodes::FailedDisk> failed_disks;          // of a chunk server

  std::string role() const;  // "leader", "follower", ..., "chunk"; "" when it is not known
  // "down": no process; of a metadata server "live", "silent" or "blank" (it lost its data
  // directory and has no vote); of a chunk server what the leader thinks ("live", "suspect", ...),
  // or "unknown" when there is none or it has not registered.
  std::string state() const;
};

struct ClusterView {
  std::vector<NodeView> nodes;
  std::optional<nodes::ClusterStatus> status;  // when there is a leader

  const NodeView* leader() const;
  // Every server runs, answers and is known as live.
  bool whole() const;
  // The same but for what no waiting mends: blank servers.
  bool settled() const;
  // What is missing for whole(): "meta-2 is down, chunk-1 is suspect".
  std::string missing() const;
};

// Within some seconds, whatever the cluster does.
Task<ClusterView> observe(Env& env, nodes::Client& client, LocalCluster cluster);

// A table for a person; with --json a line of type "cluster" and one of type "node" for each
// server.
void show(Output& output, const LocalCluster& cluster, const ClusterView& view);

}  // namespace dogfs::tool
