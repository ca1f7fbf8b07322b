#pragma once
// The messages of cluster.proto as the values they carry. Everything decoded is validated: bytes
// may come from anybody.

#include <vector>

#include "core/base/error.h"
#include "core/namespace/commands.h"
#include "core/namespace/queries.h"
#include "core/placement/cluster_map.h"

namespace dogfs::proto {

class AppendTask;
class Compacted;
class DiskStatus;
class HeartbeatRequest;
class MapChanges;
class RegisterRequest;
class ServerDisks;
class ShardVerdict;

// One disk of a chunk server, as the server says.
struct DiskReport {
  std::string name;     // its data directory
  std::string failure;  // why it failed; empty: it works
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t shards = 0;
  uint64_t scrub_passes = 0;  // since the server started
  uint64_t scrubbed = 0;      // shards, in the pass that is under way
  uint64_t doubted = 0;  // shards and logs that the scrub stumbled over, since the server started
  uint64_t logs_scrubbed = 0;  // append logs, likewise, each as often as it was read
  bool operator==(const DiskReport&) const = default;
};

// What a chunk server moved out of blocks of packs, since it started.
struct CompactionReport {
  uint64_t blocks = 0;
  uint64_t bytes = 0;
  bool operator==(const CompactionReport&) const = default;
};

// All disks of a chunk server, and what it did beside.
struct DiskReports {
  NodeId node;
  std::string name;
  std::vector<DiskReport> disks;
  CompactionReport compacted;
  bool operator==(const DiskReports&) const = default;
};

void encode(const metadata::ShardVerdict& verdict, ShardVerdict& out);
metadata::ShardVerdict decode(const ShardVerdict& message);
// At most as many as one entry records.
std::vector<metadata::ShardVerdict> shard_verdicts(const HeartbeatRequest& request);

void encode(const CompactionReport& report, Compacted& out);
CompactionReport decode(const Compacted& message);
void encode(const DiskReport& report, DiskStatus& out);
void encode(const DiskReports& reports, ServerDisks& out);
DiskReports decode(const ServerDisks& message);
// At most so many as a server has, with texts of bounded length.
std::vector<DiskReport> disk_reports(const HeartbeatRequest& request);

void encode(const placement::MapChanges& changes, MapChanges& out);
// kInvalid for a node that validate_node() refuses, or too many of them.
Result<placement::MapChanges> decode(const MapChanges& message);

// kInvalid for a kind that does not exist or a server without a disk.
Result<metadata::RegisterNode> decode(const RegisterRequest& request);

// What a chunk server says it deleted, in its order; at most as many as one entry may confirm.
std::vector<metadata::DeletedShard> deleted_shards(const HeartbeatRequest& request);

void encode(const metadata::AppendTask& task, AppendTask& out);
// kUnsupported for a kind of task that this build does not know.
Result<metadata::AppendTask> decode(const AppendTask& message);

// Capacity and use of all disks of a sender that have not failed.
struct DiskTotals {
  uint64_t capacity_bytes = 0;
  uint64_t used_bytes = 0;
};
DiskTotals disk_totals(const HeartbeatRequest& request);

}  // namespace dogfs::proto
