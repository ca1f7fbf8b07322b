#include "core/namespace/queries.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/base/check.h"
#include "core/base/digest.h"
#include "core/base/limits.h"
#include "core/namespace/cluster_version.h"
#include "core/namespace/layouts.h"
#include "core/namespace/path.h"
#include "core/namespace/permissions.h"
#include "core/namespace/resolve.h"
#include "core/namespace/state_machine.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {
namespace {

void put_layout(const LayoutInForce& layout, Attributes& out) {
  out.policy = layout.policy;
  out.block_bytes = layout.block_bytes;
  out.cell_bytes = layout.cell_bytes;
  out.content_mode = layout.content_mode;
  out.layout_from = layout.from;
}

// `inherited`: what new files get in the directory that holds the entry, which is at that level.
Attributes attributes_of(const Tables& tables, const DentryRow& entry,
                         const LayoutInForce& inherited, uint32_t level) {
  Attributes out{.kind = entry.kind,
                 .id = entry.id,
                 .home = entry.home,
                 .modified = {},
                 .inode = {},
                 .policy = {}};
  if (entry.kind == EntryKind::kDirectory) {
    const auto row = tables.directory(entry.id);
    CHECK(row.has_value(), "directory {} has a name and no row", entry.id);
    out.modified = row->modified;
    put_layout(layout_below(inherited, row->layout(), level), out);
    out.inode = row->attributes;
    return out;
  }
  const auto row = tables.file(entry.file());
  CHECK(row.has_value(), "file {} has a name and no row", entry.id);
  out.length = row->length();
  out.blocks = static_cast<uint32_t>(row->extents.size());
  out.modified = row->modified;
  put_layout({.policy = row->policy,
              .block_bytes = block_bytes_of(tables, *row),
              .cell_bytes = cell_bytes_of(tables, row->cell_bytes),
              .content_mode = inherited.content_mode,
              .from = {level, level, level, inherited.from.content_mode}},
             out);
  out.changes = row->changes;
  out.inode = row->attributes;
  out.appending = row->unsealed();
  return out;
}

LocatedState located_state(const BlockRow& block) {
  if (block.state == BlockState::kAppending) return LocatedState::kAppending;
  return block.state == BlockState::kSealing ? LocatedState::kSealing : LocatedState::kSealed;
}

LocatedBlock located(const Tables& tables, const Extent& extent) {
  const auto block = tables.block(extent.block);
  CHECK(block.has_value(), "block {} is referred to and gone", extent.block);
  LocatedBlock out{
      .file_offset = extent.file_offset,
      .length = extent.length,
      .block_offset = extent.block_offset,
      .block = extent.block,
      .generation = block->generation,
      .placement_version = block->placement_version,
      .block_length = block->unsealed() ? extent.block_offset + extent.length : block->length,
      .policy = block->policy,
      .shards = {},
      .state = located_state(*block),
      .log = block->has_log(),
      .epoch = {},
      .cell_bytes = cell_bytes_of(tables, block->cell_bytes)};
  out.digest = block->digest;
  if (out.log) {
    out.epoch = block->append->epoch;
    out.ordinal = block->append->ordinal;
  }
  // When there are too few others, a lost shard may still have the cells that are asked for.
  const bool short_of = block->durable_shards() < block->policy.data_shards();
  for (uint32_t i = 0; i < block->shards.size(); ++i) {
    const ShardRow& shard = block->shards[i];
    const bool listed = shard.durable || (shard.lost && short_of);
    if (block->unsealed() ? !shard.node : !listed) continue;
    LocatedShard place{.index = i, .node = shard.node, .address = {}, .checksum = shard.checksum};
    if (const auto* node = tables.map().find(shard.node)) {
      place.address = node->address;
      place.state = node->state;
    }
    out.shards.push_back(std::move(place));
  }
  return out;
}

// What the file has of the block.
std::vector<PackedRange> ranges_in(const FileRow& row, BlockId block) {
  std::set<PackedRange> out;
  for (const Extent& extent : row.extents) {
    if (extent.block == block) out.insert({.offset = extent.block_offset, .length = extent.length});
  }
  return {out.begin(), out.end()};
}

// The first extent that ends behind `offset`.
auto first_behind(const std::vector<Extent>& extents, uint64_t offset) {
  return std::ranges::upper_bound(
      extents, offset, {}, [](const Extent& extent) { return extent.file_offset + extent.length; });
}

// A published file is given bytes behind its others, or is cut. While cuts were not counted, the
// bytes before `end` are named by where they are.
uint64_t name_of_contents(const Tables& tables, InodeId file, const FileRow& row, uint64_t end) {
  Digest digest;
  if (tables.settings().settings.cluster_version >= kCutsVersion) {
    digest.add(file.value).add(row.cuts);
    return std::max<uint64_t>(1, digest.value());
  }
  if (!row.content.empty()) digest.add(std::string_view(row.content));
  for (const Extent& extent : row.extents) {
    if (extent.file_offset >= end || extent.length == 0) break;
    digest.add(std::min(extent.length, end - extent.file_offset));
    digest.add(extent.block.value).add(extent.block_offset);
  }
  return std::max<uint64_t>(1, digest.value());
}

void add_placed(const std::vector<ShardRow>& shards, Generation generation,
                std::vector<GarbageShard>& out) {
  for (uint32_t i = 0; i < shards.size(); ++i) {
    if (!shards[i].node) continue;
    out.push_back({.index = i, .node = shards[i].node, .generation = generation});
  }
}

GarbageBlock garbage_of(BlockId id, const BlockRow& row, LogIndex since) {
  GarbageBlock out{.block = id,
                   .generation = row.generation,
                   .placement_version = row.placement_version,
                   .since = since,
                   .ordered = row.state == BlockState::kOrdered,
                   .shards = {}};
  add_placed(row.shards, row.generation, out.shards);
  if (!row.append) return out;
  for (const FormerRow& former : row.append->former) {
    add_placed(former.shards, former.generation, out.shards);
  }
  return out;
}

// Appends garbage of one slot with ids behind `after` until there are `limit` blocks.
void collect_garbage(const Tables& tables, Slot slot, BlockId after, size_t limit,
                     std::vector<GarbageBlock>& out) {
  const std::string from = key::outbox(slot, OutboxKind::kGarbage, after.value + 1);
  for (auto at = tables.rows().seek(from); at.valid() && out.size() < limit; at.next()) {
    const auto parsed = key::parse(at.key());
    if (slot_of(InodeId(parsed->id)) != slot || parsed->tag != Tag::kOutbox) return;
    if (key::outbox_kind_of(parsed->tail) != OutboxKind::kGarbage) return;
    const BlockId id(key::outbox_id_of(parsed->tail));
    out.push_back(garbage_of(id, *tables.block(id), decode<OutboxRow>(at.value())->since));
  }
}

}  // namespace

Result<Attributes> StateMachine::stat(std::string_view path, const Asker* asker) const {
  TRY(target, resolve(*tables_, path, asker));
  if (!target.entry) {
    return fail(Code::kNotFound, "there is no file or directory {}", shown(path));
  }
  return attributes_of(*tables_, *target.entry, target.layout, target.level());
}

Result<Listing> StateMachine::list(std::string_view path, std::string_view after, size_t limit,
                                   const Asker* asker) const {
  TRY(target, resolve(*tables_, path, asker));
  if (!target.entry) return fail(Code::kNotFound, "there is no directory {}", shown(path));
  if (target.entry->kind != EntryKind::kDirectory) {
    return fail(Code::kPrecondition, "{} is a file, not a directory", shown(path));
  }
  TRY_VOID(check_directory(*tables_, asker, target.entry->id, Access::kRead, path));
  limit = std::clamp<size_t>(limit, 1, limits::kListPageMax);
  const auto layout =
      layout_below(target.layout, tables_->layout(target.entry->id), target.level());
  Listing out;
  std::string last(after);
  while (auto entry = tables_->next_entry(target.entry->id, last)) {
    out.more = out.entries.size() == limit;
    if (out.more) break;
    last = entry->name;
    if (tables_->packs() && entry->dentry.id == tables_->packs()) continue;
    out.entries.push_back({std::move(entry->name),
                           attributes_of(*tables_, entry->dentry, layout, target.level() + 1)});
    out.entries.back().attributes.inode.labels.clear();
  }
  return out;
}

Result<FileLocation> StateMachine::locate(std::string_view path, Range range,
                                          const Asker* asker) const {
  TRY(target, resolve(*tables_, path, asker));
  if (!target.entry) return fail(Code::kNotFound, "there is no file {}", shown(path));
  if (target.entry->kind == EntryKind::kDirectory) {
    return fail(Code::kPrecondition, "{} is a directory, not a file", shown(path));
  }
  return locate(target.entry->file(), range, asker);
}

Result<FileLocation> StateMachine::locate(FileHandle file, Range range, const Asker* asker) const {
  const auto row = tables_->file(file);
  if (!row || row->state != FileState::kPublished) {
    return fail(Code::kNotFound, "file {} was removed or replaced", file.file);
  }
  TRY_VOID(check_access(asker, row->attributes, EntryKind::kFile, Access::kRead, "the file"));
  if (row->pack && asker != nullptr) {
    return fail(Code::kDenied, "{} may not read the bytes of others in a pack", shown(asker->user));
  }
  FileLocation out{.file = file,
                   .length = row->length(),
                   .cell_bytes = cell_bytes_of(*tables_, row->cell_bytes),
                   .blocks = {},
                   .content = row->content};
  const uint64_t room = UINT64_MAX - range.offset;
  const uint64_t end = range.offset + std::min(range.length, room);
  auto extent = first_behind(row->extents, range.offset);
  // A block that is not sealed begins where the others end: it is behind a range that reaches it.
  if (row->unsealed() && range.offset >= out.length) extent = row->extents.end() - 1;
  for (; extent != row->extents.end(); ++extent) {
    if (extent->length == 0 ? extent->file_offset > end : extent->file_offset >= end) break;
    out.more = out.blocks.size() == limits::kBlocksPerLocation;
    if (out.more) break;
    out.blocks.push_back(located(*tables_, *extent));
  }
  if (!row->is_inline()) out.contents = name_of_contents(*tables_, file.file, *row, end);
  return out;
}

Result<DirectoryUse> StateMachine::use(std::string_view path, const Asker* asker) const {
  TRY(target, resolve(*tables_, path, asker));
  if (!target.entry) {
    return fail(Code::kNotFound, "there is no file or directory {}", shown(path));
  }
  if (target.entry->kind == EntryKind::kFile) {
    return DirectoryUse{.use = tables_->use_of(*target.entry), .quota = {}};
  }
  return DirectoryUse{.use = tables_->use(target.entry->id),
                      .quota = tables_->directory(target.entry->id)->quota};
}

Result<BlockReferrers> StateMachine::referrers(BlockId id, InodeId after,
                                               const Asker* asker) const {
  if (asker != nullptr) {
    return fail(Code::kDenied, "{} may not ask what others have in a pack", shown(asker->user));
  }
  const auto block = tables_->block(id);
  if (!block || block->is_garbage()) return fail(Code::kNotFound, "block {} was removed", id);
  if (!block->compactable()) {
    return fail(Code::kPrecondition, "block {} is no sealed and converted one of a pack", id);
  }
  BlockReferrers out{
      .block = located(*tables_,
                       {.file_offset = 0, .length = block->length, .block = id, .block_offset = 0}),
      .files = {},
      .last = after};
  const std::string begin = key::referrer(id, InodeId(after.value + 1));
  size_t seen = 0;
  for (auto at = tables_->rows().seek(begin); at.valid(); at.next(), ++seen) {
    const auto parsed = key::parse(at.key());
    if (parsed->id != id.value || parsed->tag != Tag::kReferrer) break;
    out.more = seen >= limits::kReferrersPerAnswer;
    if (out.more) break;
    out.last = key::file_of(parsed->tail);
    const FileHandle file{decode<ReferrerRow>(at.value())->home, out.last};
    const auto row = tables_->file(file);
    // One that is being taken apart gives up what it has by itself.
    if (!row || row->state != FileState::kPublished) continue;
    out.files.push_back({.file = file, .ranges = ranges_in(*row, id)});
    seen += out.files.back().ranges.size() - 1;
  }
  return out;
}

QueryResponse StateMachine::answer(const Query& query, const Asker* asked_by) const {
  struct Visitor {
    const StateMachine& machine;
    const Asker* asker;
    QueryResponse operator()(const StatQuery& q) { return machine.stat(q.path, asker); }
    QueryResponse operator()(const ListQuery& q) {
      return machine.list(q.path, q.after, q.limit, asker);
    }
    QueryResponse operator()(const LocateQuery& q) {
      const Range range{.offset = q.offset, .length = q.length};
      return q.path.empty() ? machine.locate(q.file, range, asker)
                            : machine.locate(q.path, range, asker);
    }
    QueryResponse operator()(const MapQuery& q) {
      return machine.cluster_map().changes_since(q.since);
    }
    QueryResponse operator()(const UseQuery& q) { return machine.use(q.path, asker); }
    QueryResponse operator()(const ReferrersQuery& q) {
      return machine.referrers(q.block, q.after, asker);
    }
    QueryResponse operator()(const StatusQuery&) {
      return ClusterStatus{.settings = machine.settings_in_force(),
                           .counters = machine.counters(),
                           .file_bytes = machine.tables_->use(kRootDirectory).bytes,
                           .map_version = machine.cluster_map().version()};
    }
  };
  if (!tables_->created()) return fail(Code::kUnavailable, "the cluster is not created yet");
  const bool of_cluster =
      std::holds_alternative<MapQuery>(query) || std::holds_alternative<StatusQuery>(query);
  if (tables_->settings().importing && !of_cluster) {
    return fail(Code::kUnavailable, "an import is under way; try later");
  }
  return std::visit(Visitor{*this, asked_by}, query);
}

ClusterSettings StateMachine::settings_in_force() const {
  ClusterSettings out = settings();
  const auto root = layout_below(founding_layout(*tables_), tables_->layout(kRootDirectory), 1);
  out.policy = root.policy;
  out.block_bytes = root.block_bytes;
  out.cell_bytes = root.cell_bytes;
  return out;
}

std::string_view query_name(const Query& query) {
  static constexpr std::array<std::string_view, std::variant_size_v<Query>> kNames{
      "stat", "list", "locate", "cluster_map", "status", "use", "referrers"};
  return kNames[query.index()];
}

std::vector<OpenUpload> StateMachine::uploads(FileHandle after, size_t limit) const {
  std::vector<OpenUpload> out;
  if (tables_->settings().importing) return out;
  const auto& all = tables_->uploads();
  for (auto at = all.upper_bound(after); at != all.end() && out.size() < limit; ++at) {
    out.push_back(at->second);
  }
  return out;
}

std::vector<FormerBlock> StateMachine::formers(BlockId after, size_t limit) const {
  std::vector<FormerBlock> out;
  if (tables_->settings().importing) return out;
  const auto& all = tables_->formers();
  for (auto at = all.upper_bound(after); at != all.end() && out.size() < limit; ++at) {
    const auto row = tables_->block(*at);
    for (const FormerRow& former : row->append->former) {
      FormerBlock& one = out.emplace_back();
      one.name = {.block = *at, .generation = former.generation};
      one.placement_version = row->placement_version;
      one.ordered = former.ordered;
      add_placed(former.shards, former.generation, one.shards);
    }
  }
  return out;
}

std::vector<SparseBlock> StateMachine::sparse_blocks(BlockId after, size_t limit) const {
  std::vector<SparseBlock> out;
  if (tables_->settings().importing) return out;
  const auto& all = tables_->sparse();
  for (auto at = all.upper_bound(after); at != all.end() && out.size() < limit; ++at) {
    SparseBlock& one = out.emplace_back();
    one.block = *at;
    for (const ShardRow& shard : tables_->block(*at)->shards) {
      if (shard.durable) one.nodes.push_back(shard.node);
    }
  }
  return out;
}

std::vector<AppendBlock> StateMachine::append_blocks(BlockId after, size_t limit) const {
  std::vector<AppendBlock> out;
  if (tables_->settings().importing) return out;
  const auto& all = tables_->appends();
  for (auto at = all.upper_bound(after); at != all.end() && out.size() < limit; ++at) {
    const auto row = tables_->block(*at);
    AppendBlock& one = out.emplace_back();
    one.block = *at;
    one.file = row->append->file;
    one.generation = row->generation;
    one.state = located_state(*row);
    one.activation = row->append->activation;
    for (uint32_t i = 0; i < row->shards.size(); ++i) {
      const ShardRow& shard = row->shards[i];
      one.damaged = one.damaged || shard.lost;
      if (row->unsealed() || shard.durable || shard.lost)
        one.shards.push_back({.index = i, .node = shard.node, .generation = row->generation});
    }
  }
  return out;
}

std::vector<OpenSession> StateMachine::sessions(ClientId after, size_t limit) const {
  std::vector<OpenSession> out;
  const auto& all = tables_->sessions();
  for (auto at = all.upper_bound(after); at != all.end() && out.size() < limit; ++at) {
    out.push_back({.client = at->first, .epoch = at->second.epoch});
  }
  return out;
}

std::vector<GarbageBlock> StateMachine::garbage(BlockId after, size_t limit) const {
  std::vector<GarbageBlock> out;
  if (tables_->settings().importing) return out;
  const auto& slots = tables_->garbage_slots();
  for (auto at = slots.lower_bound(slot_of(after)); at != slots.end() && out.size() < limit; ++at) {
    const bool first = at->first == slot_of(after);
    collect_garbage(*tables_, at->first, first ? after : BlockId(0), limit, out);
  }
  return out;
}

}  // namespace dogfs::metadata
