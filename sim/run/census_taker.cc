#include "sim/run/census_taker.h"

#include <algorithm>

#include "core/namespace/invariants.h"
#include "core/namespace/tables.h"
#include "core/proto/namespace_codec.h"
#include "sim/run/cluster.h"
#include "sim/run/image_disk.h"
#include "sim/run/raft_watch.h"
#include "sim/world/host.h"

namespace dogfs::sim {

CensusTaker::CensusTaker(const Cluster& cluster, const RaftWatch& watch, Violations& violations)
    : violations_(violations),
      shadow_(
          watch.safety(),
          [](const raft::Entry& entry) { return proto::decode_command(entry.payload.text()); },
          violations) {
  for (Host* host : cluster.chunk())
    chunk_disks_.push_back(std::make_unique<ImageDisk>(
        host->name(), host->disk_image(), cluster.data_directories(), &host->disk_model()));
  for (const auto& disk : chunk_disks_) disks_.push_back(disk.get());
}

CensusTaker::~CensusTaker() = default;

// Blocks that files share because of their content, and those that were committed with digests.
void CensusTaker::count_known(Tally& tally) const {
  uint64_t& used = tally["blocks_deduplicated"];
  uint64_t& digests = tally["block_digests"];
  uint64_t& disowned = tally["blocks_disowned"];
  for (const auto& entry : shadow_.commands()) {
    if (!entry.response) continue;
    if (const auto* reply = std::get_if<metadata::BlocksUsed>(&*entry.response))
      used += reply->blocks;
    disowned += std::holds_alternative<metadata::DisownBlock>(entry.command.operation);
    if (const auto* commit = std::get_if<metadata::CommitBlocks>(&entry.command.operation))
      for (const auto& block : commit->blocks) digests += block.digest.has_value();
  }
}

void CensusTaker::acknowledged(const Operation& operation) {
  follow();
  if (operation.act != Act::kPut) return;
  const auto& commands = shadow_.commands();
  const auto entry =
      std::ranges::lower_bound(commands, operation.position, {}, &CommittedCommand::position);
  if (entry == commands.end() || entry->position != operation.position) return;
  if (std::holds_alternative<metadata::PutInline>(entry->command.operation)) ++inline_puts_;
  if (std::holds_alternative<metadata::PutPacked>(entry->command.operation)) {
    ++packed_puts_;
    const auto found = shadow_.state().stat(operation.path);
    if (found && found->kind == metadata::EntryKind::kFile)  // the same, or one that came later
      ShardCensus(shadow_.state(), disks_, counts_puts_, violations_)
          .check_acknowledged({found->home, found->id});
    return;
  }
  const auto* publish = std::get_if<metadata::Publish>(&entry->command.operation);
  if (publish == nullptr) return;  // inline, or for check_linearizability to say
  ++puts_;
  ShardCensus(shadow_.state(), disks_, counts_puts_, violations_).check_acknowledged(publish->file);
}

void CensusTaker::look(Instant now) {
  follow();
  check_invariants();
  compaction_.look(check_space(), now);
}

bool CensusTaker::compacted() {
  follow();
  return shadow_.state().tables().sparse().empty();
}

void CensusTaker::follow() {
  shadow_.follow();
  const auto& commands = shadow_.commands();
  for (; seen_ < commands.size(); ++seen_) {
    const CommittedCommand& committed = commands[seen_];
    if (const auto* fix = std::get_if<metadata::FixAppend>(&committed.command.operation))
      ShardCensus(shadow_.state(), disks_, counts_seals_, violations_).check_sealed(fix->block);
    if (const auto* judge = std::get_if<metadata::JudgeShards>(&committed.command.operation))
      count_lost_logs(*judge);
    const auto* move = std::get_if<metadata::MovePacked>(&committed.command.operation);
    if (move == nullptr || !committed.response) continue;
    ++moves_;
    compacted_.insert(move->from);
    ShardCensus(shadow_.state(), disks_, counts_seals_, violations_)
        .check_moved(move->block, move->block_offset + move->length);
  }
}

// What became of a block since is not asked: the shadow is ahead by little.
void CensusTaker::count_lost_logs(const metadata::JudgeShards& judge) {
  for (const metadata::ShardVerdict& verdict : judge.shards) {
    const auto row = shadow_.state().tables().block(verdict.block);
    logs_lost_ += row && row->append && verdict.generation == metadata::kLogGeneration;
  }
}

void CensusTaker::check_invariants() {
  ++looks_;
  if (const auto sound = metadata::check_invariants(shadow_.state()); !sound)
    violations_.add(Oracle::kInvariants, "at index {}: {}", shadow_.state().applied(),
                    sound.error());
}

void CensusTaker::judge_compaction(Instant now, Duration within) {
  compaction_.look(recount_space(shadow_.state().tables()), now);
  compaction_.judge(now - within, violations_);
}

SpaceRecount CensusTaker::check_space() {
  const auto& tables = shadow_.state().tables();
  const SpaceRecount recount = recount_space(tables);
  check_recount(recount, tables.counters(), tables.use(metadata::kRootDirectory).bytes,
                violations_);
  return recount;
}

const ShadowReplica& CensusTaker::finish() {
  shadow_.finish();
  check_invariants();
  (void)check_space();
  // A state of the past would demand shards that have been deleted since.
  if (!shadow_.is_whole()) return shadow_;
  ShardCensus census(shadow_.state(), disks_, counts_, violations_);
  census.check_blocks();
  census.check_files(shadow_.commands());
  SpaceCensus(shadow_.state(), shadow_.commands(), disks_, space_, violations_).check_files();
  return shadow_;
}

void CensusTaker::count_space(Tally& tally) const {
  const auto add = [&](const char* what, const SpaceCounts::Share& share) {
    tally[fmt::format("space_{}", what)] = share.files;
    tally[fmt::format("space_{}_bytes", what)] = share.bytes;
  };
  add("used", space_.used);
  add("garbage", space_.garbage);
  add("uncommitted", space_.uncommitted);
  add("seals", space_.seals);
  add("unfinished", space_.unfinished);
}

void CensusTaker::count(Tally& tally) const {
  count_space(tally);
  tally["census_puts"] = puts_;
  tally["invariants_checked"] = looks_;
  tally["inline_puts"] = inline_puts_;
  tally["packed_puts"] = packed_puts_;
  tally["pack_moves"] = moves_;
  tally["packs_compacted"] = compacted_.size();
  count_known(tally);
  tally["census_shards"] = counts_.shards + counts_puts_.shards;
  tally["census_stripes"] = counts_.stripes + counts_puts_.stripes;
  tally["census_excused"] = counts_.excused + counts_puts_.excused;
  tally["census_orphans"] = counts_.orphans;
  tally["census_logs"] = counts_.logs + counts_seals_.logs;
  tally["logs_lost"] = logs_lost_;
  uint64_t& lost = tally["shards_lost"];
  uint64_t& found = tally["shards_found"];
  for (const auto& entry : shadow_.commands())
    if (const auto* judge = std::get_if<metadata::JudgeShards>(&entry.command.operation))
      for (const auto& verdict : judge->shards) ++(verdict.sound ? found : lost);
}

}  // namespace dogfs::sim
