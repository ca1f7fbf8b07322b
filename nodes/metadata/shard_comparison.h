#pragma once
// Compares a page of a chunk server's shard report with the rows of the blocks in its range. Pure.
// The rows are those of the leader's applied state, which may have moved on since the server looked
// at its disks: what is found are doubts, for the server to look into, and nothing is recorded.

#include "core/namespace/tables.h"

namespace dogfs::proto {
class ReportedShard;
class ShardReportReply;
class ShardReportRequest;
}  // namespace dogfs::proto

namespace dogfs::nodes {

// Doubtful are shards that the server should hold, soundly, and does not name, and those that it
// names and are taken for lost. Looks at a bounded number of rows; then `checked` says how far.
void compare(const metadata::Tables& tables, const proto::ShardReportRequest& page,
             proto::ShardReportReply& reply);

}  // namespace dogfs::nodes
