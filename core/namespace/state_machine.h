#pragma once
// StateMachine: the metadata of DogFS as a pure function of the log. Every replica applies the same
// commands in the same order and has the same digest() after each. It has no clock, no randomness
// and no I/O; what depends on silence or age is proposed by the leader as a command.
//
// Owned by one metadata node and used from its one thread. freeze() costs O(1) and the snapshot may
// be read, from any thread, while commands are applied. All reads answer from the state as of
// applied(); whether that is fresh enough to be linearizable is the caller's business (ReadIndex).
//
// A row in a format this build does not know makes restore() fail with kUnsupported: the node must
// stop, it never skips one.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/namespace/commands.h"
#include "core/namespace/queries.h"
#include "core/placement/cluster_map.h"

namespace dogfs::metadata {

class Tables;

// An immutable state, cut into pieces for the wire or a file. Copies share everything.
class Snapshot {
 public:
  LogIndex applied() const { return applied_; }

  // The next piece of at most `bytes_max` bytes (more only when a single row is larger), or nothing
  // after the last one. Pieces are made in order; `position` starts empty and is moved on.
  std::optional<std::string> next_piece(std::string& position, size_t bytes_max) const;

  // The same for an export: no header, only rows that an import takes.
  struct Exported {
    std::vector<ImportedRow> rows;
    bool more = false;
  };
  Exported next_rows(std::string& position, size_t bytes_max) const;

 private:
  friend class StateMachine;
  struct Rows;
  LogIndex applied_;
  std::shared_ptr<const Rows> rows_;
};

class StateMachine {
 public:
  StateMachine();
  ~StateMachine();
  StateMachine(StateMachine&&) noexcept;
  StateMachine& operator=(StateMachine&&) noexcept;

  // --- The log ---
  // Applies the entry at `index`, which must be above applied(). Whatever the command holds, the
  // answer is a Response; it never fails otherwise.
  Response apply(LogIndex index, const Command& command);
  // An entry that holds no command (a new leader's first, a configuration).
  void skip(LogIndex index);
  LogIndex applied() const { return applied_; }

  // Equal on replicas that applied the same entries. O(1).
  uint64_t digest() const;

  Snapshot freeze();
  // Builds a state from the pieces of a snapshot: add() each in order, then complete(), which may
  // take long and run beside this machine's thread, then finish(), which alone replaces this state;
  // applied() then is the snapshot's. kCorrupt and kUnsupported leave it as it was.
  class Restore;
  Restore begin_restore();

  // --- Reads ---
  // Paths are checked as commands' are. kNotFound, and kPrecondition when a file stands where a
  // directory must.
  // An asker, if given, is checked: kDenied.
  Result<Attributes> stat(std::string_view path, const Asker* asker = nullptr) const;
  // Entries of a directory named after `after` ("" from the start), at most `limit` of them
  // (capped at limits::kListPageMax). kNotFound; kPrecondition for a file.
  Result<Listing> list(std::string_view path, std::string_view after, size_t limit,
                       const Asker* asker = nullptr) const;
  struct Range {
    uint64_t offset = 0;
    uint64_t length = UINT64_MAX;
  };
  // The blocks of a published file that meet the range, at most limits::kBlocksPerLocation.
  Result<FileLocation> locate(std::string_view path, Range range,
                              const Asker* asker = nullptr) const;
  Result<FileLocation> locate(FileHandle file, Range range, const Asker* asker = nullptr) const;

  // What lies below a directory, which is known without a walk. kNotFound.
  Result<DirectoryUse> use(std::string_view path, const Asker* asker = nullptr) const;

  // A page of the files that have bytes of a block of a pack; errors as of ReferrersQuery.
  Result<BlockReferrers> referrers(BlockId block, InodeId after,
                                   const Asker* asker = nullptr) const;

  // Any of the reads above and below, as a client sends it.
  QueryResponse answer(const Query& query, const Asker* asker = nullptr) const;

  const placement::ClusterMap& cluster_map() const;
  const ClusterSettings& settings() const;
  // With what the root directory says of policy, blocks and cells.
  ClusterSettings settings_in_force() const;
  Counters counters() const;

  // --- For the leader's loops; each pages by the last one returned ---
  std::vector<OpenUpload> uploads(FileHandle after, size_t limit) const;
  std::vector<OpenSession> sessions(ClientId after, size_t limit) const;
  std::vector<GarbageBlock> garbage(BlockId after, size_t limit) const;
  // All former generations of each of at most `limit` blocks.
  std::vector<FormerBlock> formers(BlockId after, size_t limit) const;
  // Blocks with append logs, open ones, those being sealed and those to be converted.
  std::vector<AppendBlock> append_blocks(BlockId after, size_t limit) const;
  // Blocks of packs that should be compacted.
  std::vector<SparseBlock> sparse_blocks(BlockId after, size_t limit) const;
  // True while RemoveStep has something to do.
  bool removal_pending() const;
  // True while something lies in the trash, whose clock is then to be moved; in seconds.
  bool trash_pending() const;
  uint64_t trash_clock() const;
  // Blocks below this mark of their slot have been allocated at some time: what has no row is an
  // orphan. Ids at or above it are not yet known here.
  BlockId allocation_mark(Slot slot) const;

  // The rows themselves, for check_invariants() and tests.
  const Tables& tables() const { return *tables_; }

 private:
  std::unique_ptr<Tables> tables_;
  LogIndex applied_;
};

// Takes the pieces of a snapshot and becomes the state of the machine it was made for.
class StateMachine::Restore {
 public:
  ~Restore();
  Restore(Restore&&) noexcept;
  Result<> add(std::string_view piece);
  // Derives what no row holds. kCorrupt when pieces are missing.
  Result<> complete();
  // Does so if complete() was not called. What it replaces goes with this.
  Result<> finish();

 private:
  friend class StateMachine;
  explicit Restore(StateMachine& machine);
  StateMachine* machine_;
  std::unique_ptr<Tables> tables_;
  LogIndex applied_;
  uint64_t rows_expected_ = 0;
  uint64_t digest_expected_ = 0;
  std::string last_key_;
  bool started_ = false;
  bool complete_ = false;
};

}  // namespace dogfs::metadata
