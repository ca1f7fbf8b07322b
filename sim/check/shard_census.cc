#include "sim/check/shard_census.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/ec/codec.h"
#include "core/namespace/tables.h"
#include "sim/check/shard_place.h"

namespace dogfs::sim {
namespace {

using chunk::ShardIdentity;
using metadata::BlockRow;
using metadata::BlockState;

std::string path_of(const chunk::ShardName& name) {
  return std::string(kShardsFolder) + chunk::file_name(name);
}

// What the block's row, and it alone, says of a shard's file.
struct Demand {
  ShardIdentity identity;
  ec::StripeShape shape;
  uint64_t block_length = 0;
  uint32_t checksum = 0;
};

Result<void> check_cells(const Demand& demand, ByteView shard, ByteView table,
                         const chunk::ShardFacts& facts) {
  TRY(checksums, chunk::decode_table(table, demand.identity.cluster, facts));
  uint64_t offset = 0;
  for (const uint32_t checksum : checksums) {
    const uint64_t length = std::min<uint64_t>(demand.shape.cell_bytes, shard.size() - offset);
    const ByteView cell = shard.subspan(offset, length);
    if (chunk::cell_checksum(demand.identity, offset, cell) != checksum)
      return fail(Code::kCorrupt, "the cell at {} is wrong", offset);
    offset += length;
  }
  return {};
}

// The shard's bytes, every one of them proved to be what the row demands.
Result<ByteView> read_shard(const Demand& demand, ByteView file) {
  if (file.size() < chunk::kShardFooterBytes)
    return fail(Code::kCorrupt, "only {} bytes of it are durable", file.size());
  TRY(facts, chunk::decode_footer(file.last(chunk::kShardFooterBytes), demand.identity));
  if (facts.file_bytes() != file.size())
    return fail(Code::kCorrupt, "{} bytes are durable, not {}", file.size(), facts.file_bytes());
  if (facts.shape != demand.shape || facts.block_length != demand.block_length ||
      facts.checksum != demand.checksum)
    return fail(Code::kCorrupt, "its length, shape or checksum is not the row's");
  const ByteView shard = file.first(facts.shard_length);
  TRY_VOID(
      check_cells(demand, shard, file.subspan(facts.shard_length, facts.table_bytes()), facts));
  return shard;
}

std::set<chunk::ShardName> committed_shards(const std::vector<CommittedCommand>& commands) {
  std::set<chunk::ShardName> shards;
  const auto add = [&](const auto& block) {
    for (const auto& shard : block.shards)
      shards.insert({block.block, shard.index, block.generation});
  };
  for (const CommittedCommand& committed : commands) {
    if (!committed.response) continue;
    const auto& operation = committed.command.operation;
    if (const auto* commit = std::get_if<metadata::CommitBlocks>(&operation))
      for (const auto& block : commit->blocks) add(block);
    if (const auto* commit = std::get_if<metadata::CommitConversion>(&operation)) add(*commit);
  }
  return shards;
}

}  // namespace

ShardCensus::ShardCensus(const metadata::StateMachine& state, const Disks& disks,
                         CensusCounts& counts, Violations& violations)
    : state_(state), disks_(disks), counts_(counts), violations_(violations) {}

const DurableDisk* ShardCensus::disk_of(NodeId node) const {
  const auto* known = state_.cluster_map().find(node);
  if (known == nullptr) return nullptr;
  const auto found = std::ranges::find(disks_, known->name, &DurableDisk::name);
  return found == disks_.end() ? nullptr : *found;
}

void ShardCensus::check_blocks() {
  const auto& rows = state_.tables().rows();
  for (auto at = rows.seek(""); at.valid(); at.next()) {
    const auto parsed = metadata::key::parse(at.key());
    if (!parsed || parsed->tag != metadata::Tag::kBlock) continue;
    const BlockId id(parsed->id);
    const auto row = state_.tables().block(id);
    // Append logs are no shard files.
    if (row->state == BlockState::kSealed) check_block(id, *row);
  }
}

void ShardCensus::check_sealed(BlockId id) {
  const auto row = state_.tables().block(id);
  if (row && row->state == BlockState::kSealed && row->has_log()) check_logs(id, *row);
}

void ShardCensus::check_acknowledged(metadata::FileHandle file) {
  const auto row = state_.tables().file(file);
  if (!row) return;  // removed, or replaced, before the answer arrived
  for (const metadata::Extent& extent : row->extents) {
    const auto block = state_.tables().block(extent.block);
    CHECK(block.has_value(), "block {} of a file has no row", extent.block);
    if (block->pack && block->has_log() && extent.length > 0)
      check_packed(extent.block, *block, extent.block_offset + extent.length);
    if (block->is_garbage() || block->unsealed() || block->has_log()) continue;
    const uint32_t held = check_block(extent.block, *block);
    if (held >= block->policy.min_shards()) continue;
    violations_.add(Oracle::kDurability,
                    "a put was acknowledged with {} durable shards of block {}"
                    ", {} needs {}",
                    held, extent.block, block->policy.text(), block->policy.min_shards());
  }
}

void ShardCensus::check_moved(BlockId id, uint64_t end) {
  const auto block = state_.tables().block(id);
  if (block && !block->is_garbage() && block->has_log()) check_packed(id, *block, end);
}

std::optional<Result<DurableLog>> ShardCensus::look_at_log(const chunk::ShardName& name,
                                                           NodeId node) const {
  const DurableDisk* disk = disk_of(node);
  if (disk == nullptr) return fail(Code::kNotFound, "its server has no disk");
  if (disk->was_lost() && node_on(*disk) != node) return std::nullopt;
  const auto file = disk->find(std::string(kLogsFolder) + chunk::append_file_name(name));
  if (!file) return fail(Code::kNotFound, "no file has its name");
  if (file->spoiled) return std::nullopt;
  return read_log({state_.settings().cluster, name}, as_bytes(file->bytes));
}

// So many of the logs have what the file refers to as it takes to acknowledge it, or to seal.
void ShardCensus::check_packed(BlockId id, const BlockRow& row, uint64_t end) {
  size_t held = 0;
  for (uint32_t i = 0; i < row.shards.size(); ++i) {
    const metadata::ShardRow& shard = row.shards[i];
    const auto log = look_at_log({id, i, row.generation}, shard.node);
    const bool has_it = log && *log && (*log)->bytes.size() >= end;
    if (shard.lost || !log || has_it) ++held;
  }
  const size_t replicas = row.shards.size();
  const size_t needed =
      row.unsealed() ? metadata::append_quorum(replicas) : metadata::append_seal_quorum(replicas);
  if (held >= needed) return;
  violations_.add(Oracle::kDurability,
                  "a small file was acknowledged with {} durable logs of block {} of {}, {} needed",
                  held, id, replicas, needed);
}

// The replicas of an append block are identical up to the length that was fixed.
uint32_t ShardCensus::check_logs(BlockId id, const BlockRow& row) {
  uint32_t excused = 0;
  std::vector<std::string> contents;
  for (uint32_t i = 0; i < row.shards.size(); ++i) {
    const metadata::ShardRow& shard = row.shards[i];
    excused += shard.lost;
    if (!shard.durable) continue;
    const chunk::ShardName name{id, i, row.generation};
    const auto found = look_at_log(name, shard.node);
    if (!found) {
      ++excused;
      continue;
    }
    const Result<DurableLog>& log = *found;
    if (log && log->bytes.size() >= row.length)
      contents.push_back(log->bytes.substr(0, row.length));
    else
      violations_.add(Oracle::kDurability, "the log of {} is recorded as durable on node {}: {}",
                      chunk::describe(name), shard.node,
                      log ? fmt::format("{} bytes, not {}", log->bytes.size(), row.length)
                          : log.error().message);
    // Only with that does it refuse a primary that does not know of the end.
    if (log && log->sealed < row.append->epoch)
      violations_.add(Oracle::kPersistence,
                      "the log of {} on node {} is sealed at epoch {}, not {}",
                      chunk::describe(name), shard.node, log->sealed, row.append->epoch);
  }
  for (const std::string& bytes : contents)
    if (bytes != contents.front())
      violations_.add(Oracle::kInvariants, "the replicas of append block {} differ", id);
  counts_.logs += contents.size();
  counts_.excused += excused;
  return static_cast<uint32_t>(contents.size()) + excused;
}

uint32_t ShardCensus::check_block(BlockId id, const BlockRow& row) {
  if (row.has_log()) return check_logs(id, row);
  const auto& settings = state_.settings();
  const ec::StripeShape shape{row.policy.data_shards(), row.policy.parity_shards(),
                              row.cell_bytes == 0 ? settings.cell_bytes : row.cell_bytes};
  std::vector<Sound> sound;
  uint32_t excused = 0;
  for (uint32_t i = 0; i < row.shards.size(); ++i) {
    const metadata::ShardRow& shard = row.shards[i];
    excused += shard.lost;  // it was durable, and nobody takes it for that any more
    if (!shard.durable) continue;
    const chunk::ShardName name{id, i, row.generation};
    const DurableDisk* disk = disk_of(shard.node);
    const auto file = disk == nullptr ? std::nullopt : disk->find(path_of(name));
    const bool lost = disk != nullptr && disk->was_lost() && node_on(*disk) != shard.node;
    if (lost || (file && file->spoiled)) {
      ++excused;
      continue;
    }
    const auto bytes =
        file ? read_shard({{settings.cluster, name}, shape, row.length, shard.checksum},
                          as_bytes(file->bytes))
             : Result<ByteView>(fail(Code::kNotFound, "no durable file has its name"));
    if (bytes)
      sound.push_back({i, *bytes});
    else
      violations_.add(Oracle::kDurability, "{} is recorded as durable on node {} ({}): {}",
                      chunk::describe(name), shard.node, disk == nullptr ? "?" : disk->name(),
                      bytes.error());
  }
  counts_.shards += sound.size();
  counts_.excused += excused;
  check_code(id, shape, sound);
  return static_cast<uint32_t>(sound.size()) + excused;
}

// Any k shards of a code word give all others. Bytes are coded column by column, so whole shards
// are decoded at once.
void ShardCensus::check_code(BlockId id, const ec::StripeShape& shape,
                             const std::vector<Sound>& sound) {
  if (sound.size() <= shape.k) return;
  std::vector<uint32_t> sources, wanted;
  std::vector<ByteView> inputs;
  for (const Sound& shard : sound) {
    const bool first = sources.size() < shape.k;
    (first ? sources : wanted).push_back(shard.shard);
    if (first) inputs.push_back(shard.bytes);
  }
  const size_t length = inputs.front().size();
  std::vector<std::string> decoded(wanted.size(), std::string(length, '\0'));
  std::vector<ec::MutableBytes> outputs;
  for (std::string& bytes : decoded)
    outputs.emplace_back(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size());
  const auto codec = ec::Codec::create(shape.k, shape.m);
  CHECK(codec, "{}", codec.error());
  const auto plan = codec->plan_decode(sources, wanted);
  CHECK(plan, "{}", plan.error());
  plan->decode(inputs, outputs);
  for (size_t i = 0; i < wanted.size(); ++i)
    if (as_text(sound[shape.k + i].bytes) != decoded[i])
      violations_.add(Oracle::kDurability,
                      "shard {} of block {} is not what its first {} sound shards give", wanted[i],
                      id, shape.k);
  counts_.stripes += (length + shape.cell_bytes - 1) / shape.cell_bytes;
}

void ShardCensus::check_files(const std::vector<CommittedCommand>& commands) {
  const auto committed = committed_shards(commands);
  for (const DurableDisk* disk : disks_) {
    const NodeId node = node_on(*disk);
    if (!node) continue;
    for (const std::string& path : disk->files()) {
      if (!path.starts_with(kShardsFolder)) continue;
      const auto name = chunk::parse_file_name(std::string_view(path).substr(kShardsFolder.size()));
      if (name) check_file(*disk, node, *name, committed);
    }
  }
}

void ShardCensus::check_file(const DurableDisk& disk, NodeId node, const chunk::ShardName& name,
                             const std::set<chunk::ShardName>& committed) {
  const auto row = state_.tables().block(name.block);
  const NodeId placed = row ? placed_on(*row, name) : NodeId(0);
  if (placed == node) return;
  // What becomes of an append block may be begun more than once, each time elsewhere.
  const bool converted = row && (row->append || name.generation != row->generation);
  if (placed && !converted) {
    violations_.add(Oracle::kInvariants, "{} is on {}, node {}; its row names node {}",
                    chunk::describe(name), disk.name(), node, placed);
  } else if (name.block >= state_.allocation_mark(slot_of(name.block))) {
    violations_.add(Oracle::kInvariants, "{} is on {} and its block was never allocated",
                    chunk::describe(name), disk.name());
  } else if (committed.contains(name) && !disk.was_away()) {
    violations_.add(Oracle::kInvariants, "{} is still on {}, which has confirmed its deletion",
                    chunk::describe(name), disk.name());
  } else {
    ++counts_.orphans;
  }
}

}  // namespace dogfs::sim
