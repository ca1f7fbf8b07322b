#include "core/proto/cluster_codec.h"

#include "core/base/limits.h"
#include "core/proto/cluster.pb.h"

namespace dogfs::proto {
namespace {

template <class Disks>
DiskTotals totals(const Disks& disks) {
  DiskTotals sum;
  for (const auto& disk : disks) {
    if (disk.failed()) continue;
    sum.capacity_bytes += disk.capacity_bytes();
    sum.used_bytes += disk.used_bytes();
  }
  return sum;
}

constexpr size_t kDisksMax = 64;
constexpr size_t kDiskTextMax = 512;

DiskReport to_report(const DiskStatus& disk) {
  DiskReport report{.name = disk.name().substr(0, kDiskTextMax),
                    .failure = disk.failure().substr(0, kDiskTextMax),
                    .capacity_bytes = disk.capacity_bytes(),
                    .used_bytes = disk.used_bytes(),
                    .shards = disk.shards(),
                    .scrub_passes = disk.scrub_passes(),
                    .scrubbed = disk.scrubbed(),
                    .doubted = disk.doubted(),
                    .logs_scrubbed = disk.logs_scrubbed()};
  if (disk.failed() && report.failure.empty()) report.failure = "it failed";
  return report;
}

placement::Node to_node(const MapNode& row) {
  placement::Node node;
  node.id = NodeId(row.node());
  node.kind = static_cast<placement::NodeKind>(row.kind());
  node.name = row.name();
  node.store = StoreId(row.store());
  node.address = row.address();
  node.zone = row.zone();
  node.disks = row.disks();
  node.capacity_bytes = row.capacity_bytes();
  node.used_bytes = row.used_bytes();
  node.state = static_cast<placement::NodeState>(row.state());
  node.newest_version = row.newest_version();
  node.changed = MapVersion(row.changed());
  return node;
}

}  // namespace

void encode(const metadata::ShardVerdict& verdict, ShardVerdict& out) {
  out.set_block(verdict.block.value);
  out.set_shard(verdict.index);
  out.set_generation(verdict.generation.value);
  out.set_sound(verdict.sound);
  out.set_checksum(verdict.checksum);
}

metadata::ShardVerdict decode(const ShardVerdict& message) {
  return {.block = BlockId(message.block()),
          .index = message.shard(),
          .generation = Generation(message.generation()),
          .sound = message.sound(),
          .checksum = message.checksum()};
}

std::vector<metadata::ShardVerdict> shard_verdicts(const HeartbeatRequest& request) {
  std::vector<metadata::ShardVerdict> verdicts;
  for (const auto& verdict : request.verdicts()) {
    if (verdicts.size() >= limits::kVerdictsPerEntry) break;
    verdicts.push_back(decode(verdict));
  }
  return verdicts;
}

void encode(const DiskReport& report, DiskStatus& out) {
  out.set_name(report.name.substr(0, kDiskTextMax));
  out.set_failed(!report.failure.empty());
  out.set_failure(report.failure.substr(0, kDiskTextMax));
  out.set_capacity_bytes(report.capacity_bytes);
  out.set_used_bytes(report.used_bytes);
  out.set_shards(report.shards);
  out.set_scrub_passes(report.scrub_passes);
  out.set_scrubbed(report.scrubbed);
  out.set_doubted(report.doubted);
  out.set_logs_scrubbed(report.logs_scrubbed);
}

void encode(const CompactionReport& report, Compacted& out) {
  out.set_blocks(report.blocks);
  out.set_bytes(report.bytes);
}

CompactionReport decode(const Compacted& message) { return {message.blocks(), message.bytes()}; }

void encode(const DiskReports& reports, ServerDisks& out) {
  out.set_node(reports.node.value);
  out.set_name(reports.name);
  for (const auto& disk : reports.disks) encode(disk, *out.add_disks());
  encode(reports.compacted, *out.mutable_compacted());
}

DiskReports decode(const ServerDisks& message) {
  DiskReports reports{NodeId(message.node()), message.name(), {}, decode(message.compacted())};
  for (const auto& disk : message.disks()) reports.disks.push_back(to_report(disk));
  return reports;
}

std::vector<DiskReport> disk_reports(const HeartbeatRequest& request) {
  std::vector<DiskReport> reports;
  for (const auto& disk : request.disks()) {
    if (reports.size() >= kDisksMax) break;
    reports.push_back(to_report(disk));
  }
  return reports;
}

void encode(const placement::MapChanges& changes, MapChanges& out) {
  out.set_version(changes.version.value);
  out.set_full(changes.full);
  for (const auto& node : changes.nodes) {
    MapNode& row = *out.add_nodes();
    row.set_node(node.id.value);
    row.set_kind(static_cast<uint32_t>(node.kind));
    row.set_name(node.name);
    row.set_store(node.store.value);
    row.set_address(node.address);
    row.set_zone(node.zone);
    row.set_disks(node.disks);
    row.set_capacity_bytes(node.capacity_bytes);
    row.set_used_bytes(node.used_bytes);
    row.set_state(static_cast<uint32_t>(node.state));
    row.set_newest_version(node.newest_version);
    row.set_changed(node.changed.value);
  }
}

Result<placement::MapChanges> decode(const MapChanges& message) {
  if (static_cast<size_t>(message.nodes_size()) > limits::kNodesMax)
    return fail(Code::kInvalid, "a cluster map of {} nodes; at most {}", message.nodes_size(),
                limits::kNodesMax);
  placement::MapChanges changes{MapVersion(message.version()), message.full(), {}};
  for (const auto& row : message.nodes()) {
    if (row.kind() > UINT8_MAX || row.state() > UINT8_MAX)
      return fail(Code::kInvalid, "node {} of kind {} in state {}", row.node(), row.kind(),
                  row.state());
    placement::Node node = to_node(row);
    TRY_VOID(placement::validate_node(node));
    changes.nodes.push_back(std::move(node));
  }
  return changes;
}

Result<metadata::RegisterNode> decode(const RegisterRequest& request) {
  if (request.kind() != static_cast<uint32_t>(placement::NodeKind::kMetadata) &&
      request.kind() != static_cast<uint32_t>(placement::NodeKind::kChunk))
    return fail(Code::kInvalid, "a server of kind {} does not exist", request.kind());
  if (request.disks_size() < 1)
    return fail(Code::kInvalid, "server '{}' names no disk", request.name());
  const DiskTotals sum = totals(request.disks());
  metadata::RegisterNode node;
  node.node = NodeId(request.node());
  node.kind = static_cast<placement::NodeKind>(request.kind());
  node.name = request.name();
  node.store = StoreId(request.store());
  node.address = request.address();
  node.zone = request.zone();
  node.disks = static_cast<uint32_t>(request.disks_size());
  node.capacity_bytes = sum.capacity_bytes;
  node.used_bytes = sum.used_bytes;
  node.newest_version = request.newest_version();
  return node;
}

std::vector<metadata::DeletedShard> deleted_shards(const HeartbeatRequest& request) {
  std::vector<metadata::DeletedShard> shards;
  for (const auto& row : request.deleted()) {
    if (shards.size() >= limits::kDeletionsPerHeartbeatMax) break;
    shards.push_back({BlockId(row.block()), row.shard(), Generation(row.generation())});
  }
  return shards;
}

void encode(const metadata::AppendTask& task, AppendTask& out) {
  out.set_home(task.file.home.value);
  out.set_file(task.file.file.value);
  out.set_block(task.block.value);
  out.set_generation(task.generation.value);
  out.set_kind(static_cast<uint32_t>(task.kind));
}

Result<metadata::AppendTask> decode(const AppendTask& message) {
  using metadata::AppendTaskKind;
  if (message.kind() < static_cast<uint32_t>(AppendTaskKind::kSeal) ||
      message.kind() > static_cast<uint32_t>(AppendTaskKind::kConvert))
    return fail(Code::kUnsupported, "there is no task {} for append blocks", message.kind());
  return metadata::AppendTask{.file = {InodeId(message.home()), InodeId(message.file())},
                              .block = BlockId(message.block()),
                              .generation = Generation(message.generation()),
                              .kind = static_cast<AppendTaskKind>(message.kind())};
}

DiskTotals disk_totals(const HeartbeatRequest& request) { return totals(request.disks()); }

}  // namespace dogfs::proto
