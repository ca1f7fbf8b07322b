#pragma once
// Tables: the rows of the metadata tree, typed, with what is derived from them: counters, the set
// of open uploads and of pending removals, the cluster map, and the rows that every command reads.
// One class writes rows, so that what is derived is right by construction; scan_counters()
// recomputes it for the checkers.
//
// Owned by the StateMachine; the operations in directories.h, uploads.h, garbage.h and cluster.h
// work on it. Reading a row that is there never fails: rows were checked when they came in.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/namespace/btree.h"
#include "core/namespace/queries.h"
#include "core/namespace/schema.h"
#include "core/placement/cluster_map.h"
#include "core/placement/placement.h"

namespace dogfs::metadata {

class ImportCheck;

class Tables {
 public:
  // --- Reading ---
  std::optional<DirectoryRow> directory(InodeId id) const;
  std::optional<DentryRow> dentry(InodeId directory, std::string_view name) const;
  std::optional<FileRow> file(FileHandle file) const;
  std::optional<BlockRow> block(BlockId block) const;
  std::optional<ReferrerRow> referrer(BlockId block, InodeId file) const;
  std::optional<KnownRow> known(InodeId directory, const Sha256Digest& digest) const;
  // Whether any file is in the set of those that refer to a shared block.
  bool referred(BlockId block) const;
  std::optional<SessionRow> session(ClientId client) const;
  std::optional<Response> result(ClientId client, RequestId request) const;
  SlotRow slot(Slot slot) const;
  std::optional<OutboxRow> outbox(Slot slot, OutboxKind kind, uint64_t id) const;
  const SettingsRow& settings() const { return settings_; }
  bool created() const { return static_cast<bool>(settings_.settings.cluster); }
  const placement::ClusterMap& map() const { return map_; }
  const placement::Strategy& strategy() const { return strategy_; }
  // The first dentry of a directory whose name sorts after `after`; nothing behind the last.
  struct Entry {
    std::string name;
    DentryRow dentry;
  };
  std::optional<Entry> next_entry(InodeId directory, std::string_view after) const;

  // What lies below a directory, itself not counted; nothing for one that is not there.
  Use use(InodeId directory) const;
  // What the name of an entry adds to the use of its directory.
  Use use_of(const DentryRow& entry) const;
  // The directory above; 0 for the root and for one in removal.
  InodeId parent(InodeId directory) const;
  // What a directory sets for the files in it; it must be there.
  const Layout& layout(InodeId directory) const;
  // The directory of packs, which no directory above it counts; 0: there is none.
  InodeId packs() const { return packs_; }
  // Some directory has a quota.
  bool any_quota() const { return quotas_ > 0; }

  const BTreeView& rows() const { return rows_; }
  const Counters& counters() const { return counters_; }
  // Keys of the outbox rows that RemoveStep works on, and of those of garbage per slot.
  const std::set<std::string>& removals() const { return removals_; }
  const std::map<Slot, uint64_t>& garbage_slots() const { return garbage_slots_; }
  const std::map<FileHandle, OpenUpload>& uploads() const { return uploads_; }
  const std::map<ClientId, SessionRow>& sessions() const { return sessions_; }
  // Blocks in use with append logs, open or not, and those with former generations.
  const std::set<BlockId>& appends() const { return appends_; }
  const std::set<BlockId>& formers() const { return formers_; }
  // Blocks of packs that can be compacted, and of which files have less than
  // limits::kPackLivePercentMin.
  const std::set<BlockId>& sparse() const { return sparse_; }
  // Files whose last block is not sealed, and the directory that has their name.
  const std::map<FileHandle, InodeId>& unsealed() const { return unsealed_; }

  // --- Writing ---
  void put(InodeId directory, const DirectoryRow& row);
  // The row of what gets the name must be there: its use is counted in all directories above. The
  // length of a file with a name changes only by resize().
  void put(InodeId directory, std::string_view name, const DentryRow& row);
  void put(FileHandle file, const FileRow& row);
  // Of a file that has a name in that directory: its length, or whether its last block is sealed,
  // may change.
  void resize(InodeId directory, FileHandle file, const FileRow& row);
  void put(BlockId block, const BlockRow& row);
  void put(BlockId block, InodeId file, const ReferrerRow& row);
  void put(InodeId directory, const Sha256Digest& digest, const KnownRow& row);
  void put(ClientId client, const SessionRow& row);
  void put(ClientId client, RequestId request, const Response& response);
  void put(Slot slot, const SlotRow& row);
  void put(Slot slot, OutboxKind kind, uint64_t id, const OutboxRow& row);
  void put(const SettingsRow& row);
  // Applies a change of the cluster map and writes the rows of the nodes it stamped.
  template <class Change>
  auto change_map(Change change) {
    const MapVersion before = map_.version();
    auto outcome = change(map_);
    write_nodes_since(before);
    return outcome;
  }

  void erase_directory(InodeId directory);
  void erase_dentry(InodeId directory, std::string_view name);
  void erase_file(FileHandle file);
  void erase_block(BlockId block);
  void erase_referrer(BlockId block, InodeId file);
  void erase_known(InodeId directory, const Sha256Digest& digest);
  void erase_outbox(Slot slot, OutboxKind kind, uint64_t id);
  // With results below `below`; returns how many there were.
  uint32_t erase_results(ClientId client, RequestId below);
  void erase_session(ClientId client);  // with all its results

  // Whether a slot has so many ids left that were never used.
  bool has_inodes(Slot slot) const;
  bool has_blocks(Slot slot, size_t count) const;
  // Fresh ids of a slot, which must have some.
  InodeId new_inode(Slot slot);
  BlockId new_block(Slot slot);
  // The slot of a directory about to be made in a directory of `parent`'s slot. It has ids left.
  Slot new_directory_slot(Slot parent);

  BTreeView freeze() { return rows_.freeze(); }
  // Whether a row may be restored.
  static Result<> check(const key::Parsed& key, std::string_view value);
  // A row of a snapshot. kUnsupported and kCorrupt as decode(); also for bytes that are no key.
  Result<> restore(std::string_view key, std::string_view value);
  // After the last of them: what directories hold.
  void finish_restore();

  // The check of an import that is under way, or nothing: what is kept of it is no part of the
  // state, which says how many steps of it are done.
  std::shared_ptr<ImportCheck>& import_check() { return import_check_; }

  // The counters, counted from the rows.
  Counters scan_counters() const;
  // The same for the uses of directories, each looked at once, however deep they lie and whatever
  // the rows say: of directories in a ring, which no sound state has, the sums lack each other.
  struct UseScan {
    std::map<InodeId, Use> uses;
    std::map<FileHandle, InodeId> unsealed;  // as unsealed()
    uint64_t steps = 0;                      // rows and directories looked at
  };
  UseScan scan_uses() const;

 private:
  // A block of a pack.
  struct PackBlock {
    uint64_t live = 0;    // bytes of it that files have
    uint64_t length = 0;  // of one that can be compacted; else 0
  };
  struct Directory {
    InodeId parent;
    Use below;
    Layout layout;
  };
  // Adds what each directory holds to all above it; returns the steps that took.
  uint64_t sum_upwards(std::map<InodeId, Use>& uses) const;
  // Adds what the entry holds to the directory and all above it, or takes it away.
  void count_entry(InodeId directory, const DentryRow& entry, int sign);
  void note_unsealed(InodeId directory, const DentryRow& entry, int sign);
  enum class Act { kWritten, kReplaced, kErased };
  void write(const std::string& key, std::string_view value, const BTree::Replaced& replaced = {});
  void erase(const std::string& key);
  // Rows with begin <= key < end; returns how many there were.
  uint32_t erase_range(const std::string& begin, const std::string& end);
  void write_nodes_since(MapVersion before);
  // Adds what a row that was written contributes to the derived parts, or takes away that of one
  // that goes.
  void account(const key::Parsed& parsed, std::string_view value, Act act);
  // Sign 1 adds, -1 takes away.
  void account_directory(InodeId directory, std::string_view value, int sign);
  void account_upload(const key::Parsed& parsed, std::string_view value, int sign);
  void account_session(const key::Parsed& parsed, std::string_view value, Act act);
  void account_outbox(const key::Parsed& parsed, int sign);
  void account_append(BlockId block, std::string_view value, int sign);
  void account_pack_block(BlockId block, std::string_view value, int sign);
  void account_referrer(BlockId block, std::string_view value, int sign);
  void note_sparse(BlockId block);

  BTree rows_;
  Counters counters_;
  std::set<std::string> removals_;
  std::map<Slot, uint64_t> garbage_slots_;
  std::map<FileHandle, OpenUpload> uploads_;
  std::map<ClientId, SessionRow> sessions_;
  std::set<BlockId> appends_;
  std::set<BlockId> formers_;
  std::map<BlockId, PackBlock> pack_blocks_;
  std::set<BlockId> sparse_;
  std::map<FileHandle, InodeId> unsealed_;
  std::map<Slot, SlotRow> slots_;
  std::map<InodeId, Directory> directories_;
  InodeId packs_;
  uint64_t quotas_ = 0;  // directories that have one
  SettingsRow settings_;
  std::shared_ptr<ImportCheck> import_check_;
  placement::ClusterMap map_;
  placement::WeightedSpread strategy_;
};

}  // namespace dogfs::metadata
