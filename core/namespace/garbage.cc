#include "core/namespace/garbage.h"

#include <algorithm>
#include <set>
#include <vector>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/namespace/known_blocks.h"
#include "core/namespace/packs.h"

namespace dogfs::metadata {
namespace {

// Work left in this step. A file with few blocks may overdraw it by kDirectBlocksMax.
class Budget {
 public:
  explicit Budget(uint32_t limit) : limit_(limit) {}
  bool left() const { return spent_ < limit_; }
  void spend(uint32_t units) { spent_ += units; }
  uint32_t spent() const { return spent_; }

 private:
  uint32_t limit_;
  uint32_t spent_ = 0;
};

// Turns blocks of a dropped file into garbage, last first; the row goes with the last of them.
void shrink_file(Tables& tables, const EntryContext& entry, Slot slot, FileHandle file,
                 Budget& budget) {
  FileRow row = *tables.file(file);
  ReferredBlocks kept(row.extents);
  while (!row.extents.empty() && budget.left()) {
    const Extent last = row.extents.back();
    row.extents.pop_back();
    kept.take_away(last.block);
    release_extents(tables, entry, file.file, {last}, kept);
    note_packed(tables, file, row, last.block);
    budget.spend(1);
  }
  if (!row.extents.empty()) {
    tables.put(file, row);
    return;
  }
  tables.erase_file(file);
  tables.erase_outbox(slot, OutboxKind::kDropFile, file.file.value);
  budget.spend(1);
}

// Takes a dropped directory apart, children before parents. A directory below gets an outbox row
// of its own the moment it loses its name, so that the step may end anywhere.
void shrink_tree(Tables& tables, const EntryContext& entry, Slot slot, InodeId root,
                 Budget& budget) {
  struct Level {
    InodeId directory;
    Slot slot;  // of its outbox row
  };
  std::vector<Level> path{{root, slot}};
  while (!path.empty() && budget.left()) {
    const Level here = path.back();
    budget.spend(1);
    const auto child = tables.next_entry(here.directory, "");
    if (!child) {
      tables.erase_directory(here.directory);
      tables.erase_outbox(here.slot, OutboxKind::kRemoveTree, here.directory.value);
      path.pop_back();
      continue;
    }
    tables.erase_dentry(here.directory, child->name);
    const Slot slot_here = slot_of(here.directory);
    if (child->dentry.kind == EntryKind::kDirectory) {
      drop_tree(tables, entry, slot_here, child->dentry.id);
      path.push_back({child->dentry.id, slot_here});
      continue;
    }
    const auto file = tables.file(child->dentry.file());
    drop_file(tables, entry, slot_here, child->dentry.file());
    budget.spend(static_cast<uint32_t>(std::min(file->extents.size(), limits::kDirectBlocksMax)));
  }
}

void step(Tables& tables, const EntryContext& entry, Budget& budget) {
  const auto parsed = key::parse(*tables.removals().begin());
  const Slot slot = slot_of(InodeId(parsed->id));
  const InodeId id(key::outbox_id_of(parsed->tail));
  if (key::outbox_kind_of(parsed->tail) == OutboxKind::kRemoveTree) {
    shrink_tree(tables, entry, slot, id, budget);
    return;
  }
  const InodeId home = tables.outbox(slot, OutboxKind::kDropFile, id.value)->home;
  shrink_file(tables, entry, slot, {home, id}, budget);
}

bool is_gone(const Tables& tables, NodeId node) {
  const auto* known = tables.map().find(node);
  return known != nullptr && known->state == placement::NodeState::kGone;
}

// True when `node` may be believed that its shard is no more: it was told to delete it, or it will
// never come back.
bool may_forget(const Tables& tables, const BlockRow& block, NodeId node) {
  if (block.state == BlockState::kOrdered) return true;
  return block.state == BlockState::kGarbage && is_gone(tables, node);
}

bool all_forgotten(const std::vector<ShardRow>& shards) {
  return std::ranges::all_of(shards, [](const ShardRow& s) { return !s.node; });
}

// The entry of a former generation, if the block has it; nothing of the one in use.
FormerRow* find_former(BlockRow& block, Generation generation) {
  if (!block.append || generation == block.generation) return nullptr;
  auto& all = block.append->former;
  const auto found = std::ranges::find(all, generation, &FormerRow::generation);
  return found == all.end() ? nullptr : &*found;
}

// Former generations that are gone, and what a converted block carried for their sake.
void forget_formers(BlockRow& block) {
  if (!block.append) return;
  auto& all = block.append->former;
  std::erase_if(all, [](const FormerRow& former) { return all_forgotten(former.shards); });
  if (all.empty() && !block.has_log()) block.append.reset();
}

// The shards of the generation that `node` may be believed to have no more.
std::vector<ShardRow>* forgettable(const Tables& tables, BlockRow& block, NodeId node,
                                   Generation generation) {
  const bool all = may_forget(tables, block, node);
  if (!generation || generation == block.generation) return all ? &block.shards : nullptr;
  FormerRow* former = find_former(block, generation);
  if (former == nullptr) return nullptr;
  return all || former->ordered || is_gone(tables, node) ? &former->shards : nullptr;
}

void forget_shard(Tables& tables, NodeId node, const DeletedShard& deleted) {
  auto block = tables.block(deleted.block);
  if (!block) return;
  auto* shards = forgettable(tables, *block, node, deleted.generation);
  if (shards == nullptr || deleted.index >= shards->size()) return;
  ShardRow& shard = (*shards)[deleted.index];
  if (shard.node != node) return;
  shard = {};
  forget_formers(*block);
  const bool last =
      all_forgotten(block->shards) && (!block->append || block->append->former.empty());
  if (!last || tables.referred(deleted.block)) {
    tables.put(deleted.block, *block);
    return;
  }
  if (MUTANT("M105")) forget_block(tables, *block);
  tables.erase_block(deleted.block);
  tables.erase_outbox(slot_of(deleted.block), OutboxKind::kGarbage, deleted.block.value);
}

// The file no longer refers to the block, which is garbage when no other does.
void release(Tables& tables, const EntryContext& entry, BlockId id, BlockRow block, InodeId file) {
  if (block.shared) {
    tables.erase_referrer(id, file);
    // Looked at inside the entry: a copy of the file may have been made since anybody counted.
    if (tables.referred(id) && !MUTANT("M23")) return;
    if (block.is_garbage()) return;  // only by the planted bug
  }
  CHECK(!block.is_garbage(), "block {} is referred to and garbage", id);
  block.state = BlockState::kGarbage;
  if (!MUTANT("M105")) forget_block(tables, block);
  if (block.append) give_up_next(*block.append);
  tables.put(id, block);
  tables.put(slot_of(id), OutboxKind::kGarbage, id.value, {.since = entry.index, .home = {}});
}

}  // namespace

void give_up_next(AppendRow& append) {
  if (!append.next) return;
  FormerRow former{.generation = append.next->generation, .ordered = false, .shards = {}};
  for (const NodeId node : append.next->nodes) former.shards.push_back({.node = node});
  if (!all_forgotten(former.shards)) append.former.push_back(std::move(former));
  append.next.reset();
}

void drop_file(Tables& tables, const EntryContext& entry, Slot slot, FileHandle file) {
  auto row = tables.file(file);
  CHECK(row.has_value(), "file {} has a name and no row", file.file);
  const bool local = slot == slot_of(file.home) && std::ranges::all_of(row->extents, [&](auto& e) {
                       return slot_of(e.block) == slot;
                     });
  if (local && row->extents.size() <= limits::kDirectBlocksMax) {
    release_extents(tables, entry, file.file, row->extents, ReferredBlocks({}));
    tables.erase_file(file);
    return;
  }
  row->state = FileState::kDropped;
  row->client = ClientId(0);
  row->epoch = Epoch(0);
  row->content.clear();
  tables.put(file, *row);
  tables.put(slot, OutboxKind::kDropFile, file.file.value,
             {.since = entry.index, .home = file.home});
}

void drop_tree(Tables& tables, const EntryContext& entry, Slot slot, InodeId directory) {
  DirectoryRow row = *tables.directory(directory);
  row.parent = InodeId(0);
  tables.put(directory, row);
  tables.put(slot, OutboxKind::kRemoveTree, directory.value, {.since = entry.index, .home = {}});
}

void share_block(Tables& tables, BlockId id, FileHandle first, FileHandle file) {
  auto block = tables.block(id);
  CHECK(block.has_value(), "block {} is referred to and gone", id);
  if (!block->shared) {
    tables.put(id, first.file, {.home = first.home});
    block->shared = true;
    tables.put(id, *block);
  }
  tables.put(id, file.file, {.home = file.home});
}

void release_extents(Tables& tables, const EntryContext& entry, InodeId file,
                     const std::vector<Extent>& dropped, const ReferredBlocks& kept) {
  std::set<BlockId> released;
  for (const Extent& extent : dropped) {
    const BlockId id = extent.block;
    auto block = tables.block(id);
    CHECK(block.has_value(), "block {} is referred to and gone", id);
    // A file may have a block twice: repeated content, or what was joined with a copy of its own.
    if (block->shared && kept.contains(id)) continue;
    if (block->shared && !released.insert(id).second) continue;
    release(tables, entry, id, *std::move(block), file);
  }
}

Response apply(Tables& tables, const EntryContext& entry, const RemoveStep& operation) {
  if (operation.limit == 0 || operation.limit > limits::kRemoveStepMax) {
    return fail(Code::kInvalid, "a removal step takes 1 to {} entries, not {}",
                limits::kRemoveStepMax, operation.limit);
  }
  Budget budget(operation.limit);
  while (budget.left() && !tables.removals().empty()) step(tables, entry, budget);
  return StepTaken{.entries = budget.spent(), .more = !tables.removals().empty()};
}

Response apply(Tables& tables, const EntryContext&, const OrderDeletion& operation) {
  if (operation.blocks.size() + operation.former.size() > limits::kDeletionsPerEntry) {
    return fail(Code::kTooLarge, "{} blocks and {} generations in one order, at most {}",
                operation.blocks.size(), operation.former.size(), limits::kDeletionsPerEntry);
  }
  for (const BlockId id : operation.blocks) {
    auto block = tables.block(id);
    // Looked at again here: since the leader proposed it the block may have gone, and what a file
    // refers to is never deleted.
    if (!block || block->state != BlockState::kGarbage) continue;
    if (tables.referred(id) && !MUTANT("M23")) continue;
    block->state = BlockState::kOrdered;
    tables.put(id, *block);
  }
  for (const FormerName& name : operation.former) {
    auto block = tables.block(name.block);
    if (!block) continue;
    FormerRow* former = find_former(*block, name.generation);
    if (former == nullptr || former->ordered) continue;
    former->ordered = true;
    tables.put(name.block, *block);
  }
  return Done{};
}

Response apply(Tables& tables, const EntryContext&, const AckDeleted& operation) {
  if (operation.shards.size() > limits::kDeletionsPerEntry) {
    return fail(Code::kTooLarge, "{} shards in one acknowledgement, at most {}",
                operation.shards.size(), limits::kDeletionsPerEntry);
  }
  if (!operation.node) return fail(Code::kInvalid, "an acknowledgement names no node");
  for (const DeletedShard& shard : operation.shards) forget_shard(tables, operation.node, shard);
  return Done{};
}

}  // namespace dogfs::metadata
