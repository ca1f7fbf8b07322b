#include "core/placement/cluster_map.h"

#include <algorithm>
#include <charconv>

#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::placement {
namespace {

constexpr uint8_t kNodeFormat = 2;
constexpr uint8_t kNodeFormatWithoutVersion = 1;
constexpr size_t kTextBytesMax = 255;

bool printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

bool valid_kind(NodeKind kind) { return kind == NodeKind::kMetadata || kind == NodeKind::kChunk; }

bool valid_state(NodeState state) { return state >= NodeState::kLive && state <= NodeState::kGone; }

bool valid_port(std::string_view text) {
  uint32_t port = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  return problem == std::errc() && end == text.data() + text.size() && port > 0 && port <= 65535;
}

}  // namespace

std::string_view kind_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::kMetadata: return "metadata";
    case NodeKind::kChunk: return "chunk";
  }
  return "unknown";
}

std::string_view state_name(NodeState state) {
  switch (state) {
    case NodeState::kLive: return "live";
    case NodeState::kSuspect: return "suspect";
    case NodeState::kDead: return "dead";
    case NodeState::kDraining: return "draining";
    case NodeState::kGone: return "gone";
  }
  return "unknown";
}

const Node* ClusterMap::find(NodeId id) const {
  const auto it = nodes_.find(id);
  return it == nodes_.end() ? nullptr : &it->second;
}

const Node* ClusterMap::find(std::string_view name) const {
  for (const auto& [id, node] : nodes_) {
    if (node.name == name && node.state != NodeState::kGone) return &node;
  }
  return nullptr;
}

uint32_t ClusterMap::count(NodeKind kind, NodeState state) const {
  return static_cast<uint32_t>(std::ranges::count_if(nodes_, [&](const auto& entry) {
    return entry.second.kind == kind && entry.second.state == state;
  }));
}

uint32_t ClusterMap::registered(NodeKind kind) const {
  return static_cast<uint32_t>(std::ranges::count_if(nodes_, [&](const auto& entry) {
    return entry.second.kind == kind && entry.second.state != NodeState::kGone;
  }));
}

Result<> ClusterMap::put(Node node) {
  const Node* same_name = find(node.name);
  if (same_name != nullptr && same_name->id != node.id) {
    return fail(Code::kExists, "the name {} belongs to node {}", node.name, same_name->id);
  }
  if (!nodes_.contains(node.id) && nodes_.size() >= limits::kNodesMax) {
    return fail(Code::kTooLarge, "the cluster has {} nodes, the most it can know", nodes_.size());
  }
  version_ = version_.next();
  node.changed = version_;
  const NodeId id = node.id;
  nodes_.insert_or_assign(id, std::move(node));
  return {};
}

Result<> ClusterMap::set_state(NodeId id, NodeState state) {
  const auto it = nodes_.find(id);
  if (it == nodes_.end()) return fail(Code::kNotFound, "there is no node {}", id);
  Node& node = it->second;
  if (node.state == state) return {};
  if (node.state == NodeState::kGone) {
    return fail(Code::kPrecondition, "{} (node {}) is gone for good", node.name, id);
  }
  version_ = version_.next();
  node.state = state;
  node.changed = version_;
  return {};
}

Result<> ClusterMap::set_space(NodeId id, uint64_t capacity_bytes, uint64_t used_bytes) {
  const auto it = nodes_.find(id);
  if (it == nodes_.end()) return fail(Code::kNotFound, "there is no node {}", id);
  Node& node = it->second;
  if (node.capacity_bytes == capacity_bytes && node.used_bytes == used_bytes) return {};
  if (node.state == NodeState::kGone) {
    return fail(Code::kPrecondition, "{} (node {}) is gone for good", node.name, id);
  }
  version_ = version_.next();
  node.capacity_bytes = capacity_bytes;
  node.used_bytes = used_bytes;
  node.changed = version_;
  return {};
}

MapChanges ClusterMap::changes_since(MapVersion since) const {
  MapChanges changes{.version = version_, .full = false, .nodes = {}};
  changes.full =
      !since || since > version_ || version_.value - since.value > uint64_t{limits::kMapDiffsMax};
  for (const auto& [id, node] : nodes_) {
    if (changes.full || node.changed > since) changes.nodes.push_back(node);
  }
  return changes;
}

void ClusterMap::merge(MapChanges changes) {
  if (changes.version <= version_ && !changes.full) return;
  if (changes.full) nodes_.clear();
  for (Node& node : changes.nodes) {
    const NodeId id = node.id;
    nodes_.insert_or_assign(id, std::move(node));
  }
  version_ = changes.version;
}

void ClusterMap::restore(Node node) {
  version_ = std::max(version_, node.changed);
  const NodeId id = node.id;
  nodes_.insert_or_assign(id, std::move(node));
}

std::string encode_node(const Node& node) {
  Encoder out;
  out.u8(kNodeFormat).id(node.id).u8(static_cast<uint8_t>(node.kind)).text(node.name);
  out.id(node.store).text(node.address).text(node.zone).u32(node.disks);
  out.u64(node.capacity_bytes).u64(node.used_bytes);
  out.u8(static_cast<uint8_t>(node.state)).u32(node.newest_version).id(node.changed);
  return std::move(out).take();
}

Result<Node> decode_node(std::string_view bytes) {
  Decoder in(bytes);
  const uint8_t format = in.u8();
  if (in.ok() && format != kNodeFormat && format != kNodeFormatWithoutVersion) {
    return fail(Code::kUnsupported, "node row has format {}, this build knows {}", format,
                kNodeFormat);
  }
  Node node;
  node.id = in.id<NodeId>();
  node.kind = static_cast<NodeKind>(in.u8());
  node.name = in.text();
  node.store = in.id<StoreId>();
  node.address = in.text();
  node.zone = in.text();
  node.disks = in.u32();
  node.capacity_bytes = in.u64();
  node.used_bytes = in.u64();
  node.state = static_cast<NodeState>(in.u8());
  if (format != kNodeFormatWithoutVersion) node.newest_version = in.u32();
  node.changed = in.id<MapVersion>();
  if (!in.at_end())
    return fail(Code::kCorrupt, "node row of {} bytes is cut or too long", bytes.size());
  if (auto valid = validate_node(node); !valid) {
    return fail(Code::kCorrupt, "node row: {}", valid.error().message);
  }
  return node;
}

Result<> validate_node(const Node& node) {
  if (!node.id) return fail(Code::kInvalid, "a node id of 0 means none");
  if (!valid_kind(node.kind)) {
    return fail(Code::kInvalid, "node {} is of unknown kind {}", node.id, int{uint8_t(node.kind)});
  }
  if (!valid_state(node.state)) {
    return fail(Code::kInvalid, "node {} has unknown state {}", node.id, int{uint8_t(node.state)});
  }
  if (node.name.empty() || node.name.size() > kTextBytesMax || !printable(node.name)) {
    return fail(Code::kInvalid, "node {}: a name has 1 to {} printable ASCII characters", node.id,
                kTextBytesMax);
  }
  if (node.zone.size() > kTextBytesMax || !printable(node.zone)) {
    return fail(Code::kInvalid, "{}: a zone has at most {} printable ASCII characters", node.name,
                kTextBytesMax);
  }
  const size_t colon = node.address.rfind(':');
  if (node.address.size() > kTextBytesMax || !printable(node.address) || colon == 0 ||
      colon == std::string::npos || !valid_port(std::string_view(node.address).substr(colon + 1))) {
    return fail(Code::kInvalid, "{}: \"{}\" is no address, write HOST:PORT", node.name,
                node.address.substr(0, kTextBytesMax));
  }
  if (!node.store) return fail(Code::kInvalid, "{}: a store id of 0 means none", node.name);
  return {};
}

}  // namespace dogfs::placement
