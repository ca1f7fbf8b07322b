#pragma once
// ClusterMap: the versioned list of servers, their addresses, zones, space and states. Part of the
// replicated state: it changes only by committed log entries, so it is equal on all replicas, and
// clients and chunk servers hold copies that they bring up to date by changes_since() + merge().
//
// Every change raises version() by one and stamps the node that changed. A difference between two
// versions is therefore the set of nodes stamped later; no history is kept. Gone nodes stay in the
// map, so that ids are never used again and rows that still name them can be explained.
//
// A plain value without locks; a failed change leaves it as it was.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"

namespace dogfs::placement {

enum class NodeKind : uint8_t { kMetadata = 1, kChunk = 2 };

enum class NodeState : uint8_t {
  kLive = 1,
  kSuspect,   // silent for a short while: takes no new shards
  kDead,      // silent for long: its shards are to be rebuilt
  kDraining,  // being emptied by an operator: still read from, takes no new shards
  kGone,      // never comes back; its shards are lost or moved
};

std::string_view kind_name(NodeKind kind);     // "metadata", "chunk"
std::string_view state_name(NodeState state);  // "live", "suspect", ...

struct Node {
  NodeId id;
  NodeKind kind = NodeKind::kChunk;
  std::string name;     // "chunk-3", unique among the nodes that are not gone
  StoreId store;        // of its data directory
  std::string address;  // "host:port"
  std::string zone;     // failure domain; "" is a zone of its own
  uint32_t disks = 1;
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;
  NodeState state = NodeState::kLive;
  uint32_t newest_version = 0;  // cluster version that its build understands; 0: never said
  MapVersion changed;           // the version that last touched this node

  uint64_t free_bytes() const {
    return capacity_bytes > used_bytes ? capacity_bytes - used_bytes : 0;
  }
  bool operator==(const Node&) const = default;
};

// What a copy at some version lacks. `full`: the nodes replace the copy instead of amending it.
struct MapChanges {
  MapVersion version;
  bool full = false;
  std::vector<Node> nodes;  // by id
  bool operator==(const MapChanges&) const = default;
};

class ClusterMap {
 public:
  MapVersion version() const { return version_; }
  const Node* find(NodeId id) const;
  // The node of that name that is not gone, or null.
  const Node* find(std::string_view name) const;
  // By id.
  const std::map<NodeId, Node>& nodes() const { return nodes_; }

  uint32_t count(NodeKind kind, NodeState state) const;
  // Nodes of a kind that are not gone.
  uint32_t registered(NodeKind kind) const;

  // Adds the node or replaces the one with its id, and stamps it. kTooLarge over kNodesMax, kExists
  // when another node that is not gone has its name.
  Result<> put(Node node);
  // kNotFound for an unknown node, kPrecondition for one that is gone. No change, no new version.
  Result<> set_state(NodeId id, NodeState state);
  Result<> set_space(NodeId id, uint64_t capacity_bytes, uint64_t used_bytes);

  // For a holder of `since`: amendments, or everything when it is more than limits::kMapDiffsMax
  // versions behind, has none (0), or claims a version that never was.
  MapChanges changes_since(MapVersion since) const;
  // Brings a copy up to date. An older or equal difference does nothing; a full map replaces.
  void merge(MapChanges changes);

  // Puts back a row of a snapshot, stamp included; version() becomes the highest stamp.
  void restore(Node node);

  bool operator==(const ClusterMap&) const = default;

 private:
  MapVersion version_;
  std::map<NodeId, Node> nodes_;
};

// Canonical bytes of one node, with a format version in front: the value of a snapshot row.
std::string encode_node(const Node& node);
// kUnsupported for a format this build does not know, kCorrupt for bytes that are no node.
Result<Node> decode_node(std::string_view bytes);

// What any node must satisfy before it enters the map: a name of 1 to 255 printable ASCII bytes
// without blanks, an address "host:port", a store id, a kind and a state that exist.
Result<> validate_node(const Node& node);

}  // namespace dogfs::placement
