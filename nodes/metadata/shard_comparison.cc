#include "nodes/metadata/shard_comparison.h"

#include <map>

#include "core/proto/cluster.pb.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kRowsMax = 20'000;
constexpr int kDoubtfulMax = 1000;

using metadata::BlockRow;
using metadata::ShardRow;

// By block, index and generation; the checksum.
using Named = std::map<std::tuple<uint64_t, uint32_t, uint64_t>, uint32_t>;

Named named_in(const proto::ShardReportRequest& page) {
  Named named;
  for (const auto& shard : page.shards())
    named[{shard.block(), shard.shard(), shard.generation()}] = shard.checksum();
  return named;
}

void compare_block(BlockId id, const BlockRow& row, NodeId node, const Named& named,
                   proto::ShardReportReply& reply) {
  if (row.state != metadata::BlockState::kSealed || row.has_log()) return;
  for (uint32_t i = 0; i < row.shards.size(); ++i) {
    const ShardRow& shard = row.shards[i];
    if (shard.node != node || !(shard.durable || shard.lost)) continue;
    const auto found = named.find({id.value, i, row.generation.value});
    const bool there = found != named.end() && found->second == shard.checksum;
    if (there == shard.durable) continue;
    if (!there) reply.set_missing(reply.missing() + 1);
    auto& doubtful = *reply.add_doubtful();
    doubtful.set_block(id.value);
    doubtful.set_shard(i);
    doubtful.set_generation(row.generation.value);
  }
}

// One that no row names may be an orphan; deleting those takes a confirmed allocation mark and is
// not done here.
bool is_known(const metadata::Tables& tables, NodeId node, const proto::ReportedShard& shard) {
  const auto row = tables.block(BlockId(shard.block()));
  return row && shard.shard() < row->shards.size() && row->shards[shard.shard()].node == node &&
         row->generation == Generation(shard.generation());
}

}  // namespace

void compare(const metadata::Tables& tables, const proto::ShardReportRequest& page,
             proto::ShardReportReply& reply) {
  const NodeId node(page.node());
  for (const auto& shard : page.shards())
    if (!is_known(tables, node, shard)) reply.set_unknown(reply.unknown() + 1);
  const uint64_t end = page.last() ? UINT64_MAX : page.upto();
  if (page.after() >= end) return;
  const Named named = named_in(page);
  size_t rows = 0;
  uint64_t seen = page.after();  // all rows of blocks up to here were looked at
  for (auto at = tables.rows().seek(metadata::key::block(BlockId(page.after() + 1))); at.valid();
       at.next()) {
    const auto key = metadata::key::parse(at.key());
    if (!key || key->id > end) return;
    if (++rows > kRowsMax || reply.doubtful_size() >= kDoubtfulMax) {
      // Of the id that comes next nothing was looked at, unless it is that of the last one.
      if (key->id > seen + 1) return reply.set_checked(key->id - 1);
    }
    seen = key->id;
    if (key->tag != metadata::Tag::kBlock) continue;
    const auto row = metadata::decode<BlockRow>(at.value());
    if (row) compare_block(BlockId(key->id), *row, node, named, reply);
  }
}

}  // namespace dogfs::nodes
