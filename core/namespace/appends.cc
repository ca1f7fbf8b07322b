#include "core/namespace/appends.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/namespace/blocks.h"
#include "core/namespace/files.h"
#include "core/namespace/garbage.h"
#include "core/namespace/layouts.h"
#include "core/namespace/packs.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"
#include "core/namespace/quota.h"

namespace dogfs::metadata {
namespace {

using placement::NodeKind;
using placement::NodeState;

// --- Placement ---

Result<> check_avoided(const std::vector<NodeId>& avoid) {
  if (avoid.size() <= limits::kShardsMax) return {};
  return fail(Code::kTooLarge, "{} servers to avoid, at most {} are allowed", avoid.size(),
              limits::kShardsMax);
}

// At most `count` live servers, those that the sender reaches first: a primary is among the first.
std::vector<NodeId> reachable_first(const Tables& tables, uint32_t count,
                                    const std::vector<NodeId>& avoid, uint64_t seed) {
  if (avoid.empty()) {
    return tables.strategy().choose(tables.map(), {.count = count, .exclude = {}, .seed = seed});
  }
  placement::ClusterMap map = tables.map();
  for (const NodeId node : avoid) {
    const auto* known = map.find(node);
    if (known == nullptr || known->state != NodeState::kLive) continue;
    CHECK(map.set_state(node, NodeState::kSuspect).has_value());
  }
  auto chosen = tables.strategy().choose(map, {.count = count, .exclude = {}, .seed = seed});
  if (chosen.size() == count) return chosen;
  const uint32_t missing = count - static_cast<uint32_t>(chosen.size());
  for (const NodeId node : tables.strategy().choose(
           tables.map(), {.count = missing, .exclude = chosen, .seed = seed})) {
    chosen.push_back(node);
  }
  return chosen;
}

placement::Policy replicas(size_t count) {
  const auto policy = placement::Policy::parse(fmt::format("rep-{}", count));
  CHECK(policy.has_value());
  return *policy;
}

// --- Opening ---

// The file that is appended to, and where its name is.
struct Target {
  Resolved place;
  FileHandle file;
  FileRow row;
  bool made = false;  // by this entry: nothing of it is written yet
};

Result<Target> make_target(const Tables& tables, const EntryContext& entry,
                           const OpenAppend& operation) {
  TRY(place,
      file_place(
          tables, entry,
          {.path = operation.path, .condition = PublishCondition::kIfAbsent, .version = {}}));
  TRY_VOID(check_attributes(operation.attributes));
  TRY_VOID(check_room(tables, place, operation.path));
  TRY(layout, chosen_layout(place.layout, {.policy = operation.policy}));
  TRY_VOID(placement::check_fits(tables.map(), layout.policy));
  Target out{.place = std::move(place), .file = {}, .row = {}, .made = true};
  out.row.state = FileState::kPublished;
  set_layout(tables, out.row, layout);
  out.row.attributes = made_by(entry.asker, operation.attributes);
  return out;
}

// Packs are nobody's, and made when they are missing.
Result<Target> find_pack(const Tables& tables, const OpenAppend& operation) {
  TRY(policy, policy_of_pack(operation.path));
  TRY(place, resolve(tables, operation.path));
  if (!tables.packs() || place.parent() != tables.packs()) {
    return fail(Code::kPrecondition, "{} was there before packs, and is no place for them",
                kPacksDirectory);
  }
  Target out{.place = std::move(place), .file = {}, .row = {}};
  if (out.place.entry) {
    out.file = out.place.entry->file();
    out.row = *tables.file(out.file);
    return out;
  }
  if (!operation.create) return fail(Code::kNotFound, "there is no {}", shown(operation.path));
  TRY_VOID(check_room(tables, out.place, operation.path));
  TRY(layout, chosen_layout(out.place.layout, {.policy = policy}));
  TRY_VOID(placement::check_fits(tables.map(), policy));
  TRY_VOID(pack_replicas(policy));
  out.made = true;
  out.row.state = FileState::kPublished;
  out.row.pack = true;
  set_layout(tables, out.row, layout);
  return out;
}

Result<Target> find_target(const Tables& tables, const EntryContext& entry,
                           const OpenAppend& operation) {
  if (in_packs(tables, operation.path)) return find_pack(tables, operation);
  TRY(place, resolve(tables, operation.path, entry.asker));
  if (!place.entry && operation.create) return make_target(tables, entry, operation);
  if (!place.entry) return fail(Code::kNotFound, "there is no file {}", shown(operation.path));
  if (place.entry->kind == EntryKind::kDirectory) {
    return fail(Code::kPrecondition, "{} is a directory, not a file", shown(operation.path));
  }
  auto row = tables.file(place.entry->file());
  CHECK(row.has_value(), "file {} has a name and no row", place.entry->id);
  TRY_VOID(
      check_access(entry.asker, row->attributes, EntryKind::kFile, Access::kWrite, operation.path));
  const FileHandle file = place.entry->file();
  return Target{.place = std::move(place), .file = file, .row = *std::move(row)};
}

uint32_t replicas_wanted(const FileRow& row) {
  return row.pack ? *pack_replicas(row.policy) : uint32_t{limits::kAppendReplicas};
}

// With fewer that live, nothing is opened: a record would survive less than a put of the policy is
// sure to, as far as replicas_wanted() can have it.
uint32_t replicas_needed(const FileRow& row) {
  const uint32_t wanted = replicas_wanted(row);
  const uint32_t survived = row.policy.min_shards() - row.policy.data_shards();
  return row.pack ? wanted : std::clamp(2 * survived, 1u, wanted);
}

AppendOpened opened(const FileRow& row, FileHandle file, BlockId id, const BlockRow& block) {
  return {.file = file,
          .policy = row.policy,
          .block = placed(id, block, row.length()),
          .epoch = block.append->epoch,
          .ordinal = block.append->ordinal,
          .capacity = block.append->capacity};
}

Response open_already(const Tables& tables, const Target& target, std::string_view path) {
  const BlockId id = target.row.extents.back().block;
  const auto block = tables.block(id);
  CHECK(block.has_value() && block->unsealed(), "block {} without bytes is sealed or gone", id);
  if (block->state == BlockState::kAppending) return opened(target.row, target.file, id, *block);
  return fail(Code::kUnavailable, "the last block of {} is being sealed; try again when it is",
              shown(path));
}

Result<> check_may_grow(const Tables& tables, const Target& target) {
  if (target.row.extents.size() >= limits::kFileBlocksMax) {
    return fail(Code::kTooLarge, "a file has at most {} blocks", limits::kFileBlocksMax);
  }
  const InodeId home = target.made ? target.place.parent() : target.file.home;
  if (!tables.has_blocks(slot_of(home), 1)) {
    return fail(Code::kTooLarge, "the file's directory can take no more blocks; use another");
  }
  if (target.row.pack) return {};  // they hold nothing, and their files are charged
  const Use more{.bytes = 1, .entries = target.made ? 1u : 0u};
  return check_quota(tables, target.place.parent(), {.more = more, .less = {}});
}

BlockRow new_block(const Tables& tables, const FileRow& row, const std::vector<NodeId>& servers) {
  BlockRow block{.state = BlockState::kAppending,
                 .policy = replicas(servers.size()),
                 .generation = kLogGeneration,
                 .placement_version = PlacementVersion(1),
                 .length = 0,
                 .pack = row.pack,
                 .shards = {}};
  for (const NodeId server : servers) block.shards.push_back({.node = server});
  block.append = AppendRow{.file = {},
                           .ordinal = row.appends,
                           .previous = row.last_append,
                           .capacity = block_bytes_of(tables, row),
                           .target = row.policy,
                           .target_cell_bytes = row.cell_bytes,
                           .epoch = Epoch(1),
                           .next = {},
                           .former = {}};
  return block;
}

// --- A block that was opened ---

struct Found {
  FileRow row;
  BlockRow block;
};

// The block, if it was made for appends to that file and is in use. A sealed one may be another
// file's by now, and has none here.
Result<Found> find_block(const Tables& tables, FileHandle file, BlockId id) {
  auto block = tables.block(id);
  if (!block || block->is_garbage()) {
    return fail(Code::kNotFound, "block {} was removed with its file, or had no bytes", id);
  }
  if (block->state == BlockState::kSealed) return Found{.row = {}, .block = *std::move(block)};
  if (!block->unsealed() || block->append->file != file) {
    return fail(Code::kNotFound, "block {} takes no appends to file {}", id, file.file);
  }
  auto row = tables.file(file);
  if (!row || row->state != FileState::kPublished) {
    return fail(Code::kNotFound, "file {} was removed or replaced", file.file);
  }
  CHECK(row->unsealed() && row->extents.back().block == id, "block {} is not the last of its file",
        id);
  return Found{.row = *std::move(row), .block = *std::move(block)};
}

Result<> check_activation(const BlockRow& block, const ActivateAppend& operation) {
  if (operation.activation == 0) return fail(Code::kInvalid, "an activation of 0 means none");
  if (block.state != BlockState::kAppending) {
    return fail(Code::kPrecondition, "block {} takes no more appends", operation.block);
  }
  if (block.append->epoch != operation.epoch) {
    return fail(Code::kPrecondition, "block {} is at epoch {}, not {}", operation.block,
                block.append->epoch, operation.epoch);
  }
  if (block.shards[0].node != operation.node) {
    return fail(Code::kPrecondition, "the primary of block {} is node {}, not {}", operation.block,
                block.shards[0].node, operation.node);
  }
  const uint64_t known = block.append->activation;
  if (known == 0 || known == operation.activation) return {};
  return fail(Code::kPrecondition,
              "another life of node {} was the primary of block {}; it must be sealed",
              operation.node, operation.block);
}

// Those of the block before that a primary must know; nothing when it or its logs are gone.
std::optional<AppendLog> previous_log(const Tables& tables, const AppendRow& append) {
  if (!append.previous) return std::nullopt;
  const auto before = tables.block(append.previous);
  if (!before) return std::nullopt;
  return append_log(append.previous, *before);
}

Result<> check_holders(const BlockRow& block, const FixAppend& operation) {
  for (size_t i = 0; i < operation.holders.size(); ++i) {
    const uint32_t index = operation.holders[i];
    const bool ascending = i == 0 || operation.holders[i - 1] < index;
    if (ascending && index < block.shards.size() && block.shards[index].node) continue;
    return fail(Code::kInvalid, "block {} has no replica {}, or it is named twice", operation.block,
                index);
  }
  const size_t quorum = append_seal_quorum(block.shards.size());
  if (operation.holders.size() >= quorum) return {};
  return fail(Code::kPrecondition, "{} replicas of block {} have its bytes, {} must",
              operation.holders.size(), operation.block, quorum);
}

Result<> check_fix(const BlockRow& block, const FixAppend& operation) {
  if (block.state != BlockState::kSealing || block.append->epoch != operation.epoch) {
    return fail(Code::kPrecondition, "block {} is not being sealed at epoch {}", operation.block,
                operation.epoch);
  }
  if (operation.length > block.append->capacity) {
    return fail(Code::kInvalid, "block {} of {} bytes, it takes {}", operation.block,
                operation.length, block.append->capacity);
  }
  if (operation.length < block.append->claimed) {
    return fail(Code::kPrecondition, "block {} of {} bytes, files have some up to {}",
                operation.block, operation.length, block.append->claimed);
  }
  return check_holders(block, operation);
}

// Ends a block that is no more of its file: one that got no bytes, or one of a pack.
void leave_file(Tables& tables, const EntryContext& entry, FileHandle file, FileRow row) {
  const InodeId directory = tables.unsealed().at(file);
  const Extent last = row.extents.back();
  row.extents.pop_back();
  tables.resize(directory, file, row);
  release_extents(tables, entry, file.file, {last}, ReferredBlocks({}));
}

// --- Conversion ---

ConversionBegun begun(const Tables& tables, BlockId id, const BlockRow& block) {
  const AppendRow& append = *block.append;
  ConversionBegun out{.log = append_log(id, block).value_or(AppendLog()),
                      .policy = append.target,
                      .cell_bytes = cell_bytes_of(tables, append.target_cell_bytes),
                      .next = {.block = id,
                               .generation = append.next->generation,
                               .file_offset = 0,
                               .length = block.length,
                               .shards = {}}};
  for (uint32_t i = 0; i < append.next->nodes.size(); ++i) {
    const NodeId node = append.next->nodes[i];
    if (node) out.next.shards.push_back({.index = i, .node = node, .address = {}});
  }
  return out;
}

Result<BlockRow> convertible(const Tables& tables, const BeginConversion& operation) {
  auto block = tables.block(operation.block);
  if (!block || block->is_garbage()) {
    return fail(Code::kNotFound, "block {} was removed", operation.block);
  }
  if (operation.attempt == 0) return fail(Code::kInvalid, "an attempt of 0 means none");
  const bool log = block->state == BlockState::kSealed && block->has_log();
  if (log && block->generation == operation.generation) return *std::move(block);
  return fail(Code::kPrecondition, "block {} is at generation {}, and no sealed log of {}",
              operation.block, block->generation, operation.generation);
}

Result<std::vector<NodeId>> place_next(const Tables& tables, const BlockRow& block,
                                       Generation generation, const BeginConversion& operation) {
  const placement::Policy& target = block.append->target;
  const uint64_t seed = operation.block.value + (generation.value << kCounterBits);
  auto nodes = reachable_first(tables, target.width(), operation.avoid, seed);
  if (nodes.size() < target.min_shards()) {
    return fail(Code::kUnavailable,
                "too few chunk servers for {}: {} needed and {} live; start more and try again",
                target.text(), target.min_shards(), nodes.size());
  }
  nodes.resize(target.width());
  return nodes;
}

std::vector<uint32_t> lost_replicas(const BlockRow& block) {
  std::vector<uint32_t> lost;
  for (uint32_t i = 0; i < block.shards.size(); ++i)
    if (block.shards[i].lost) lost.push_back(i);
  return lost;
}

// Those that have all of the block are durable. One that was judged damaged stays lost beside a
// sound one: it has the bytes, but not all of them can be read.
void mark_holders(std::vector<ShardRow>& shards, const std::vector<uint32_t>& holders) {
  const auto is_sound = [&](uint32_t index) { return !shards[index].lost; };
  const bool any_sound = std::ranges::any_of(holders, is_sound);
  for (uint32_t i = 0; i < shards.size(); ++i) {
    const bool holds = std::ranges::find(holders, i) != holders.end();
    shards[i].lost = shards[i].lost && holds && any_sound;
    shards[i].durable = holds && !shards[i].lost;
  }
}

// The shards of the next generation as they will stand in the row.
Result<std::vector<ShardRow>> committed(const AppendRow& append,
                                        const CommitConversion& operation) {
  std::vector<ShardRow> shards;
  for (const NodeId node : append.next->nodes) shards.push_back({.node = node});
  uint32_t durable = 0;
  for (const DurableShard& shard : operation.shards) {
    if (shard.index >= shards.size() || !shards[shard.index].node || shards[shard.index].durable) {
      return fail(Code::kInvalid, "block {} has no server for shard {}, or it is named twice",
                  operation.block, shard.index);
    }
    shards[shard.index].durable = true;
    shards[shard.index].checksum = shard.checksum;
    ++durable;
  }
  if (durable >= append.target.min_shards()) return shards;
  return fail(Code::kPrecondition, "block {} has {} durable shards, {} needs {}", operation.block,
              durable, append.target.text(), append.target.min_shards());
}

}  // namespace

Response apply(Tables& tables, const EntryContext& entry, const OpenAppend& operation) {
  TRY_VOID(check_avoided(operation.avoid));
  TRY(target, find_target(tables, entry, operation));
  FileRow& row = target.row;
  if (row.unsealed()) return open_already(tables, target, operation.path);
  TRY_VOID(check_may_grow(tables, target));
  const Slot slot = slot_of(target.made ? target.place.parent() : target.file.home);
  const uint64_t seed = uint64_t{slot.value} << kCounterBits | tables.slot(slot).next_block;
  const auto servers = reachable_first(tables, replicas_wanted(row), operation.avoid, seed);
  if (servers.size() < replicas_needed(row)) {
    return fail(row.pack ? Code::kPrecondition : Code::kUnavailable,
                "{} chunk servers live, appends to {} of {} need {}", servers.size(),
                row.pack ? "a pack" : "a file", row.policy.text(), replicas_needed(row));
  }
  if (target.made) target.file = {target.place.parent(), tables.new_inode(slot)};
  ++row.appends;
  ++row.changes;
  if (target.made) row.changes = 0;
  row.modified = entry.wall;
  BlockRow block = new_block(tables, row, servers);
  block.append->file = target.file;
  const BlockId id = tables.new_block(slot);
  row.extents.push_back({.file_offset = row.length(), .length = 0, .block = id, .block_offset = 0});
  tables.put(id, block);
  if (target.made) {
    tables.put(target.file, row);
    link_file(tables, entry, target.place, target.file);
  } else {
    tables.resize(target.place.parent(), target.file, row);
  }
  return opened(row, target.file, id, block);
}

Response apply(Tables& tables, const EntryContext&, const ActivateAppend& operation) {
  TRY(found, find_block(tables, operation.file, operation.block));
  TRY_VOID(check_activation(found.block, operation));
  AppendRow& append = *found.block.append;
  if (append.activation == 0 || append.begun < operation.begun) {
    append.activation = operation.activation;
    append.begun = append.begun || operation.begun;
    tables.put(operation.block, found.block);
  }
  return AppendActivated{.block = placed(operation.block, found.block, found.row.length()),
                         .epoch = append.epoch,
                         .ordinal = append.ordinal,
                         .capacity = append.capacity,
                         .first = !append.previous,
                         .previous = previous_log(tables, append)};
}

Response apply(Tables& tables, const EntryContext& entry, const BeginSeal& operation) {
  TRY(found, find_block(tables, operation.file, operation.block));
  if (found.block.state == BlockState::kSealed) return Done{};
  AppendRow& append = *found.block.append;
  if (!append.begun) {
    leave_file(tables, entry, operation.file, std::move(found.row));
    return Done{};
  }
  if (found.block.state == BlockState::kAppending) {
    found.block.state = BlockState::kSealing;
    append.epoch = append.epoch.next();
    tables.put(operation.block, found.block);
  }
  return SealBegun{.epoch = append.epoch,
                   .block = placed(operation.block, found.block, found.row.length()),
                   .ordinal = append.ordinal,
                   .capacity = append.capacity,
                   .lost = lost_replicas(found.block)};
}

Response apply(Tables& tables, const EntryContext& entry, const FixAppend& operation) {
  TRY(found, find_block(tables, operation.file, operation.block));
  if (found.block.state == BlockState::kSealed) return Done{};
  TRY_VOID(check_fix(found.block, operation));
  FileRow& row = found.row;
  ++row.changes;
  row.modified = entry.wall;
  if (operation.length == 0) {
    leave_file(tables, entry, operation.file, std::move(row));
    return Done{};
  }
  found.block.state = BlockState::kSealed;
  found.block.length = operation.length;
  mark_holders(found.block.shards, operation.holders);
  tables.put(operation.block, found.block);
  row.last_append = operation.block;
  if (row.pack) {
    leave_file(tables, entry, operation.file, std::move(row));
    return Done{};
  }
  row.extents.back().length = operation.length;
  const InodeId directory = tables.unsealed().at(operation.file);
  tables.resize(directory, operation.file, row);
  return Done{};
}

Response apply(Tables& tables, const EntryContext&, const BeginConversion& operation) {
  TRY_VOID(check_avoided(operation.avoid));
  TRY(block, convertible(tables, operation));
  AppendRow& append = *block.append;
  if (append.next && append.next->attempt == operation.attempt) {
    return begun(tables, operation.block, block);
  }
  if (append.former.size() >= limits::kFormerGenerationsMax) {
    return fail(Code::kUnavailable,
                "{} generations of block {} that were given up wait for their deletion; try later",
                append.former.size(), operation.block);
  }
  const Generation generation =
      append.next ? append.next->generation.next() : block.generation.next();
  TRY(nodes, place_next(tables, block, generation, operation));
  give_up_next(append);
  append.next =
      NextRow{.generation = generation, .attempt = operation.attempt, .nodes = std::move(nodes)};
  tables.put(operation.block, block);
  return begun(tables, operation.block, block);
}

Response apply(Tables& tables, const EntryContext&, const CommitConversion& operation) {
  auto block = tables.block(operation.block);
  if (!block || block->is_garbage()) {
    return fail(Code::kNotFound, "block {} was removed", operation.block);
  }
  const bool sealed = block->state == BlockState::kSealed;
  if (sealed && !block->has_log() && block->generation == operation.generation) return Done{};
  if (!block->append || !block->append->next ||
      block->append->next->generation != operation.generation) {
    return fail(Code::kPrecondition, "block {} at generation {} is not being converted to {}",
                operation.block, block->generation, operation.generation);
  }
  AppendRow& append = *block->append;
  TRY(shards, committed(append, operation));
  append.former.insert(append.former.begin(), FormerRow{.generation = block->generation,
                                                        .ordered = false,
                                                        .shards = std::move(block->shards)});
  append.next.reset();
  block->policy = append.target;
  block->cell_bytes = append.target_cell_bytes;
  block->generation = operation.generation;
  block->placement_version = block->placement_version.next();
  block->shards = std::move(shards);
  tables.put(operation.block, *block);
  return Done{};
}

}  // namespace dogfs::metadata
