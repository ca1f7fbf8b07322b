#pragma once
// TreeModel: the namespace as simply as it can be written, to compare the real one with. A tree of
// maps; every operation walks it from the root. It knows nothing of logs, sessions, leases or ids,
// only what a path means, and of blocks only which files have some.
//
// Operations follow the contract of core/namespace/commands.h and change nothing when refused. They
// are refused with the very codes that a client must be told.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "sim/check/history.h"

namespace dogfs::sim {

class TreeModel {
 public:
  // The bytes that a file may have: one, or several when nobody knows which of two unknown puts was
  // the one.
  using Candidates = std::vector<Pieces>;
  struct Entry {
    bool is_directory = true;
    bool in_blocks = false;  // a file that has bytes: they do not live in its inode
    uint64_t number = 0;     // no other has or had it; kept for life, wherever it moves
    uint64_t length = 0;
    uint64_t changes = 0;  // of a file, since it was published
    Marks marks;
    Candidates contents;
    metadata::Quota quota;  // of a directory
    std::map<std::string, Entry> children;
  };

  // Paths are absolute and normal.
  Result<> make_directory(std::string_view path, bool parents);
  Result<> rename(std::string_view from, std::string_view to);
  Result<> remove(std::string_view path, bool recursive);
  Result<> copy(std::string_view from, std::string_view to, bool if_absent);
  // Of a file that is there; without a number, any that has so many changes.
  struct Version {
    std::optional<uint64_t> number;
    uint64_t changes = 0;
  };
  struct Published {
    uint64_t length = 0;
    Candidates contents;
    bool in_blocks = false;
    bool if_absent = false;
    std::optional<uint64_t> directory;  // that it must go to; kPrecondition for another one
    std::optional<Version> version;     // that the file there must have; kPrecondition
    Marks marks = {};
  };
  Result<> publish(std::string_view path, const Published& file);
  Result<> truncate(std::string_view path, uint64_t length);
  // Files up to inline_bytes live in their inode, and joined ones must, too.
  Result<> concatenate(std::string_view path, const std::vector<std::string>& sources,
                       uint64_t inline_bytes);

  Result<> set_attributes(std::string_view path, const MarkChanges& change);
  Result<> set_quota(std::string_view path, const metadata::Quota& quota);

  // Whether an upload to the path may start; the number of the directory that it is to go to.
  Result<uint64_t> start_upload(std::string_view path, bool overwrite) const;
  // kNotFound; kPrecondition for a file in the way, or an entry of the other kind.
  Result<const Entry*> stat(std::string_view path) const;
  Result<const Entry*> list(std::string_view path) const;
  Result<const Entry*> get(std::string_view path) const;
  // What is below a directory, counted by a walk; or a file itself.
  Result<metadata::DirectoryUse> use(std::string_view path) const;

  // Null when there is none.
  const Entry* find(std::string_view path) const;
  const Entry& root() const { return root_; }

 private:
  // The directory that holds the last name of the path. kNotFound, kPrecondition for a file in the
  // way, kInvalid for the root.
  Result<const Entry*> parent_of(std::string_view path) const;
  Result<Entry*> parent_of(std::string_view path);
  Entry& make_child(Entry& parent, const std::string& name);

  // Directories, from the root down.
  using Chain = std::vector<const Entry*>;
  // Those on the way to the last name, as far as they are there.
  Chain directories_to(std::string_view path) const;
  // What comes to a directory, and from where; new things from nowhere.
  struct Move {
    Chain from;
    metadata::Use what;
  };
  // kNoSpace when a quota of `to` or above it does not allow that in place of `less`.
  Result<> check_quotas(const Chain& to, const std::vector<Move>& moves,
                        const metadata::Use& less) const;

  Entry root_;
  uint64_t made_ = 0;  // entries
  bool any_quota_ = false;
};

// Whether a read of the file may give that.
bool may_read(const TreeModel::Entry& file, const Content& read);

// The names of an absolute path, from the root down.
std::vector<std::string> path_names(std::string_view path);
// True for the path itself and everything below it.
bool lies_within(std::string_view path, std::string_view ancestor);

}  // namespace dogfs::sim
