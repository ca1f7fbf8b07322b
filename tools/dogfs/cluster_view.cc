#include "tools/dogfs/cluster_view.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/env/deadline.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;

constexpr Duration kAskLimit = 3s;

Task<Result<std::vector<nodes::MetadataServer>>> ask_servers(nodes::Client& client) {
  co_return co_await client.metadata_status();
}

void show_failed_disks(Output& output, const ClusterView& view) {
  for (const auto& node : view.nodes)
    for (const auto& disk : node.failed_disks)
      output.line(
          fmt::format("{}: disk {} has FAILED: {}", node.node.name, disk.directory, disk.failure));
}

// Bytes in shards and logs, those awaiting deletion too, for each byte of a file.
std::optional<double> amplification(const nodes::ClusterStatus& status) {
  if (status.file_bytes == 0) return std::nullopt;
  const uint64_t stored = status.counters.placed_bytes + status.counters.garbage_bytes;
  return static_cast<double>(stored) / static_cast<double>(status.file_bytes);
}

// The part of the sealed blocks of packs that no file refers to; what open ones hold blurs it.
std::optional<double> pack_garbage(const metadata::Counters& count) {
  if (count.pack_bytes == 0) return std::nullopt;
  const uint64_t live = std::min(count.packed_bytes, count.pack_bytes);
  return 1 - static_cast<double>(live) / static_cast<double>(count.pack_bytes);
}

void show_space(Output& output, const nodes::ClusterStatus& status) {
  const auto more = amplification(status);
  const auto garbage = pack_garbage(status.counters);
  if (!more) return;
  output.line(
      fmt::format("space    {} bytes of files, {} in blocks, space amplification {:.2f}{}",
                  status.file_bytes, status.counters.block_bytes, *more,
                  garbage ? fmt::format("; {:.0f}% of packs is garbage", 100 * *garbage) : ""));
}

void show_table(Output& output, const LocalCluster& cluster, const ClusterView& view) {
  const auto mib = [](uint64_t bytes) { return bytes / limits::kMiB; };
  const std::string version =
      view.status ? fmt::format(", version {}", view.status->settings.cluster_version) : "";
  output.line(fmt::format("cluster  {:016x}, policy {}, blocks of {} MiB{}, in {}",
                          cluster.cluster().value, cluster.policy(), mib(cluster.block_bytes()),
                          version, cluster.directory().string()));
  if (const NodeView* leader = view.leader())
    output.line(fmt::format("leader   {}, term {}", leader->node.name, leader->metadata->term));
  else
    output.line("leader   none");
  if (view.status) {
    const auto& count = view.status->counters;
    output.line(fmt::format("files    {} in {} directories", count.files, count.directories));
    output.line(fmt::format("blocks   {}, {} below full width; up to {} bytes await deletion",
                            count.blocks, count.blocks_below_full_width, count.garbage_bytes));
    show_space(output, *view.status);
  }
  if (const NodeView* leader = view.leader();
      leader != nullptr && leader->metadata->compacted_blocks > 0)
    output.line(fmt::format("packs    {} blocks compacted, {} bytes moved, by servers as they run",
                            leader->metadata->compacted_blocks, leader->metadata->compacted_bytes));
  output.line(fmt::format("\n{:<10} {:>8}  {:<13} {:<9} {:<21} {:>9}", "NAME", "PID", "ROLE",
                          "STATE", "ADDRESS", "DISK FREE"));
  for (const auto& node : view.nodes)
    output.line(fmt::format("{:<10} {:>8}  {:<13} {:<9} {:<21} {:>9}", node.node.name,
                            node.pid ? fmt::to_string(*node.pid) : "-", node.role(), node.state(),
                            node.node.address.to_string(),
                            node.known && !node.node.metadata()
                                ? fmt::format("{} GiB", node.known->free_bytes() / limits::kGiB)
                                : "-"));
  show_failed_disks(output, view);
}

json cluster_line(const LocalCluster& cluster, const ClusterView& view) {
  json line{{"type", "cluster"},
            {"cluster", fmt::format("{:016x}", cluster.cluster().value)},
            {"directory", cluster.directory().string()},
            {"policy", cluster.policy()},
            {"block_bytes", cluster.block_bytes()},
            {"whole", view.whole()}};
  const NodeView* leader = view.leader();
  line["leader"] = leader == nullptr ? json() : json(leader->node.name);
  line["version"] = view.status ? json(view.status->settings.cluster_version) : json();
  line["term"] = leader == nullptr ? json() : json(leader->metadata->term.value);
  const auto count = [&](const char* key, uint64_t metadata::Counters::* counter) {
    line[key] = view.status ? json(view.status->counters.*counter) : json();
  };
  count("files", &metadata::Counters::files);
  count("directories", &metadata::Counters::directories);
  count("blocks", &metadata::Counters::blocks);
  count("blocks_below_full_width", &metadata::Counters::blocks_below_full_width);
  count("garbage_blocks", &metadata::Counters::garbage_blocks);
  count("garbage_bytes", &metadata::Counters::garbage_bytes);
  count("placed_bytes", &metadata::Counters::placed_bytes);
  count("pack_bytes", &metadata::Counters::pack_bytes);
  count("packed_bytes", &metadata::Counters::packed_bytes);
  count("block_bytes", &metadata::Counters::block_bytes);
  count("known_blocks", &metadata::Counters::known_blocks);
  line["file_bytes"] = view.status ? json(view.status->file_bytes) : json();
  const auto more = view.status ? amplification(*view.status) : std::nullopt;
  line["space_amplification"] = more ? json(*more) : json();
  const auto garbage = view.status ? pack_garbage(view.status->counters) : std::nullopt;
  line["pack_garbage"] = garbage ? json(*garbage) : json();
  line["compacted_blocks"] = leader ? json(leader->metadata->compacted_blocks) : json();
  line["compacted_bytes"] = leader ? json(leader->metadata->compacted_bytes) : json();
  return line;
}

json node_line(const NodeView& node) {
  json failed = json::array();
  for (const auto& disk : node.failed_disks)
    failed.push_back({{"directory", disk.directory}, {"failure", disk.failure}});
  return {{"disks", node.known ? json(node.known->disks) : json()},
          {"failed_disks", failed},
          {"type", "node"},
          {"name", node.node.name},
          {"kind", node.node.metadata() ? "metadata" : "chunk"},
          {"running", node.pid.has_value()},
          {"pid", node.pid ? json(*node.pid) : json()},
          {"role", node.role()},
          {"state", node.state()},
          {"address", node.node.address.to_string()},
          {"used_bytes", node.known ? json(node.known->used_bytes) : json()},
          {"capacity_bytes", node.known ? json(node.known->capacity_bytes) : json()}};
}

}  // namespace

std::string NodeView::role() const {
  if (!node.metadata()) return "chunk";
  return metadata ? metadata->role : "";
}

std::string NodeView::state() const {
  if (!pid) return "down";
  if (node.metadata() && !metadata) return "silent";
  if (node.metadata()) return metadata->voter ? "live" : "blank";
  return known ? std::string(placement::state_name(known->state)) : "unknown";
}

const NodeView* ClusterView::leader() const {
  const NodeView* newest = nullptr;  // one that was deposed may not know it yet
  for (const auto& node : nodes)
    if (node.metadata && node.metadata->role == "leader" &&
        (newest == nullptr || newest->metadata->term < node.metadata->term))
      newest = &node;
  return newest;
}

bool ClusterView::whole() const { return leader() != nullptr && status && missing().empty(); }

bool ClusterView::settled() const {
  return leader() != nullptr && status && std::ranges::all_of(nodes, [](const NodeView& node) {
           return node.state() == "live" || node.state() == "blank";
         });
}

std::string ClusterView::missing() const {
  std::string text;
  for (const auto& node : nodes)
    if (const std::string state = node.state(); state != "live")
      text += fmt::format("{}{} is {}", text.empty() ? "" : ", ", node.node.name, state);
  return text;
}

Task<ClusterView> observe(Env& env, nodes::Client& client, LocalCluster cluster) {
  ClusterView view;
  for (const auto& node : cluster.nodes()) view.nodes.push_back({.node = node});
  auto answers = co_await within(env, kAskLimit, ask_servers(client));
  if (answers)
    for (const auto& server : *answers)
      for (auto& node : view.nodes)
        if (node.node.address == server.address && server.status) node.metadata = *server.status;
  if (view.leader() != nullptr) {
    auto status = co_await within(env, kAskLimit, client.cluster_status());
    if (status) view.status = std::move(*status);
  }
  for (auto& node : view.nodes) {
    node.pid = cluster.process(node.node).running();
    if (!view.status) continue;
    if (const auto* known = view.status->map.find(std::string_view(node.node.name)))
      node.known = *known;
    if (!node.known || view.leader() == nullptr) continue;
    for (const auto& disk : view.leader()->metadata->failed_disks)
      if (disk.node == node.known->id) node.failed_disks.push_back(disk);
  }
  co_return view;
}

void show(Output& output, const LocalCluster& cluster, const ClusterView& view) {
  if (!output.json()) return show_table(output, cluster, view);
  output.object(cluster_line(cluster, view));
  for (const auto& node : view.nodes) output.object(node_line(node));
}

}  // namespace dogfs::tool
