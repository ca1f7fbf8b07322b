#include "sim/check/space_census.h"

#include "core/base/limits.h"
#include "core/chunk/append_file.h"
#include "core/ec/stripe.h"
#include "core/namespace/tables.h"
#include "sim/check/durable_log.h"
#include "sim/check/shard_place.h"

namespace dogfs::sim {
namespace {

constexpr std::string_view kShardEnd = ".shard";
constexpr std::string_view kUnfinishedLogEnd = ".new";

uint64_t shard_file_bytes(const ec::StripeShape& shape, uint64_t block_length) {
  const auto layout = ec::StripeLayout::create(shape, block_length);
  if (!layout) return 0;
  const chunk::ShardFacts facts{
      .name = {}, .shape = shape, .shard_length = layout->shard_length(), .checksum = 0};
  return facts.file_bytes();
}

}  // namespace

// Takes from each command what it placed, and what it called durable.
struct SpaceCensus::Reader {
  explicit Reader(Places& to) : places(to) {}

  void read(const CommittedCommand& committed) {
    if (!committed.response) return;
    std::visit([this](const auto& reply) { placed(reply); }, *committed.response);
    std::visit([this](const auto& operation) { done(operation); }, committed.command.operation);
  }

  void place(const metadata::PlacedBlock& block, uint64_t bytes_max, bool log) {
    for (const auto& shard : block.shards)
      places.insert({{block.block, shard.index, block.generation},
                     {.node = shard.node, .bytes_max = bytes_max, .log = log}});
  }
  void placed(const metadata::UploadStarted& reply) { cells[reply.file] = reply.cell_bytes; }
  void placed(const metadata::ConversionBegun& reply) {
    const ec::StripeShape shape{reply.policy.data_shards(), reply.policy.parity_shards(),
                                reply.cell_bytes};
    place(reply.next, shard_file_bytes(shape, reply.next.length), false);
  }
  void placed(const metadata::AppendOpened& reply) { place(reply.block, reply.capacity, true); }
  void placed(const metadata::BlocksAllocated& reply) { allocated = reply; }
  void placed(const auto&) {}

  void done(const metadata::AllocateBlocks& operation) {
    const auto cell = cells.find(operation.file);
    if (cell == cells.end()) return;
    const auto& policy = allocated.policy;
    const ec::StripeShape shape{policy.data_shards(), policy.parity_shards(), cell->second};
    for (const auto& block : allocated.blocks)
      place(block, shard_file_bytes(shape, block.length), false);
  }
  void done(const metadata::CommitBlocks& operation) {
    for (const auto& block : operation.blocks) durable(block.block, block.generation, block.shards);
  }
  void done(const metadata::CommitConversion& operation) {
    durable(operation.block, operation.generation, operation.shards);
  }
  // From here on all replicas have a log.
  void done(const metadata::ActivateAppend& operation) {
    const chunk::ShardName first{operation.block, 0, metadata::kLogGeneration};
    if (!operation.begun) return;
    for (auto at = places.lower_bound(first);
         at != places.end() && at->first.block == operation.block; ++at)
      if (at->second.log) at->second.durable = true;
  }
  void done(const metadata::FixAppend& operation) {
    for (const uint32_t index : operation.holders)
      mark({operation.block, index, metadata::kLogGeneration});
  }
  void done(const auto&) {}

  void durable(BlockId block, Generation generation,
               const std::vector<metadata::DurableShard>& shards) {
    for (const auto& shard : shards) mark({block, shard.index, generation});
  }
  void mark(const chunk::ShardName& name) {
    if (const auto at = places.find(name); at != places.end()) at->second.durable = true;
  }

  Places& places;
  std::map<metadata::FileHandle, uint32_t> cells;  // of uploads
  metadata::BlocksAllocated allocated;             // the last
};

SpaceCensus::SpaceCensus(const metadata::StateMachine& state,
                         const std::vector<CommittedCommand>& commands, const Disks& disks,
                         SpaceCounts& counts, Violations& violations)
    : state_(state), disks_(disks), counts_(counts), violations_(violations) {
  Reader reader(places_);
  for (const CommittedCommand& committed : commands) reader.read(committed);
}

void SpaceCensus::check_files() {
  for (const DurableDisk* disk : disks_) {
    const NodeId node = node_on(*disk);
    if (!node) continue;
    for (const std::string& path : disk->files())
      if (path.starts_with(kShardsFolder) || path.starts_with(kLogsFolder))
        check_file(*disk, node, path);
  }
}

// What is unfinished has the name that it is to have, and something behind it.
std::optional<SpaceCensus::Named> SpaceCensus::parse(std::string_view path) {
  Named named;
  std::optional<chunk::ShardName> name;
  named.log = path.starts_with(kLogsFolder);
  path.remove_prefix(named.log ? kLogsFolder.size() : kShardsFolder.size());
  if (named.log) {
    named.unfinished = path.ends_with(kUnfinishedLogEnd);
    if (named.unfinished) path.remove_suffix(kUnfinishedLogEnd.size());
    name = chunk::parse_append_file_name(path);
  } else {
    named.unfinished = chunk::parse_temporary_name(path).has_value();
    if (named.unfinished) path = path.substr(0, path.rfind(kShardEnd) + kShardEnd.size());
    name = chunk::parse_file_name(path);
  }
  if (!name) return std::nullopt;
  named.name = *name;
  return named;
}

void SpaceCensus::check_file(const DurableDisk& disk, NodeId node, const std::string& path) {
  const auto named = parse(path);
  if (!named) {
    violations_.add(Oracle::kSpace, "{} on {} is nobody's", path, disk.name());
    return;
  }
  const auto placed = places_.find(named->name);
  const bool here =
      placed != places_.end() && placed->second.log == named->log && placed->second.node == node;
  if (!here) {
    violations_.add(Oracle::kSpace, "{} on {}, node {}: it was never to be there", path,
                    disk.name(), node);
    return;
  }
  const auto file = disk.find(path);
  if (!file) return;
  check_length(disk, path, *named, placed->second, *file);
  auto& share = classify(disk, node, path, *named, placed->second, file->bytes.size());
  ++share.files;
  share.bytes += file->bytes.size();
}

// Beside the block's bytes, a log has what tells its entries apart, and at its end, perhaps, one
// batch that nobody was told of.
void SpaceCensus::check_length(const DurableDisk& disk, const std::string& path, const Named& named,
                               const Place& place, const DurableDisk::File& file) {
  if (file.spoiled) return;
  uint64_t bytes = file.bytes.size();
  uint64_t bytes_max = place.bytes_max;
  if (named.log) {
    const auto log = read_log({state_.settings().cluster, named.name}, as_bytes(file.bytes));
    const uint64_t good = log ? log->bytes.size() : 0;
    const uint64_t end = log ? log->end : uint64_t{chunk::kAppendHeaderBytes};
    bytes = good + (bytes > end ? bytes - end : 0);
    bytes_max += chunk::kAppendBatchHeaderBytes + limits::kAppendBatchBytesMax;
  }
  if (bytes > bytes_max)
    violations_.add(Oracle::kSpace, "{} on {} has {} bytes, at most {} were to be stored", path,
                    disk.name(), bytes, bytes_max);
}

SpaceCounts::Share& SpaceCensus::classify(const DurableDisk& disk, NodeId node,
                                          const std::string& path, const Named& named,
                                          const Place& place, uint64_t bytes) {
  if (named.unfinished) return counts_.unfinished;
  const auto row = state_.tables().block(named.name.block);
  if (row && placed_on(*row, named.name) == node) {
    const bool next =
        row->append && row->append->next && row->append->next->generation == named.name.generation;
    const bool in_use = named.name.generation == row->generation || next;
    return in_use && !row->is_garbage() ? counts_.used : counts_.garbage;
  }
  if (!named.log) return counts_.uncommitted;
  if (bytes <= chunk::kAppendHeaderBytes) return counts_.seals;
  if (place.durable && !disk.was_away())
    violations_.add(Oracle::kSpace,
                    "{} is still on {}, {} bytes, which has confirmed its deletion: neither in use "
                    "nor garbage",
                    path, disk.name(), bytes);
  return counts_.uncommitted;
}

}  // namespace dogfs::sim
