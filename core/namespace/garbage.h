#pragma once
// What happens to what nobody names any more. Removal has three steps, each a log entry of its own,
// so that none takes long and chunk servers delete only what a committed entry ordered:
//
//   1. the name goes, at once and whole (drop_file, drop_tree); RemoveStep takes large things
//   apart;
//   2. blocks are garbage until their grace is over (OrderDeletion);
//   3. their rows go when every server has deleted its shard (AckDeleted).

#include <map>
#include <vector>

#include "core/namespace/commands.h"
#include "core/namespace/entry_context.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {

// A file that lost its last link, or an upload given up. `slot` is where the entry is applied: a
// file of another slot, or with many blocks, is left to RemoveStep.
void drop_file(Tables& tables, const EntryContext& entry, Slot slot, FileHandle file);

// A directory that lost its name, with all below it.
void drop_tree(Tables& tables, const EntryContext& entry, Slot slot, InodeId directory);

// Makes the file one of several that refer to the block; `first` is the one that does already.
void share_block(Tables& tables, BlockId block, FileHandle first, FileHandle file);

// How often a file refers to each block.
class ReferredBlocks {
 public:
  explicit ReferredBlocks(const std::vector<Extent>& extents) {
    for (const Extent& extent : extents) ++times_[extent.block];
  }
  bool contains(BlockId block) const { return times_.contains(block); }
  void take_away(BlockId block) {
    if (--times_.at(block) == 0) times_.erase(block);
  }

 private:
  std::map<BlockId, size_t> times_;
};

// The file no longer refers to the blocks of `dropped`, but to those of `kept` it does. What no
// file refers to is garbage.
void release_extents(Tables& tables, const EntryContext& entry, InodeId file,
                     const std::vector<Extent>& dropped, const ReferredBlocks& kept);

// What was being converted to is a former generation from here on.
void give_up_next(AppendRow& append);

Response apply(Tables& tables, const EntryContext& entry, const RemoveStep& operation);
Response apply(Tables& tables, const EntryContext& entry, const OrderDeletion& operation);
Response apply(Tables& tables, const EntryContext& entry, const AckDeleted& operation);

}  // namespace dogfs::metadata
