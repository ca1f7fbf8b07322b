#include "sim/check/history_search.h"

#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/digest.h"
#include "sim/check/linearization_search.h"
#include "sim/check/tree_model.h"

namespace dogfs::sim {
namespace {

bool is_open(const Operation& operation) {
  return operation.outcome == Outcome::kUnknown || operation.outcome == Outcome::kPending;
}

// Refusals that are right whatever the tree is. What a put was refused for may have passed, and not
// found may also be the upload, after its lease.
bool says_nothing(const Operation& refused) {
  if (refused.code == Code::kUnavailable) return true;
  // By the leader, for want of disk; a quota's refusal stands in the log.
  if (refused.code == Code::kNoSpace && !refused.position) return true;
  if (refused.act == Act::kGet) return refused.code == Code::kCorrupt;
  return refused.act == Act::kPut && refused.code != Code::kExists;
}

bool counts(const Operation& operation) {
  if (is_open(operation)) return changes(operation.act);
  return operation.outcome == Outcome::kDone || !says_nothing(operation);
}

// "/a", "/a/b", "/a/b/c" of "/a/b/c".
std::vector<std::string> prefixes(const std::string& path) {
  std::vector<std::string> all;
  std::string prefix;
  for (const std::string& name : path_names(path)) all.push_back(prefix += "/" + name);
  return all;
}

// The directories that are there before anything looks at them, and stay as they are.
class Stable {
 public:
  explicit Stable(const std::vector<Operation>& operations) {
    for (const Operation& operation : operations) note(operation);
  }

  bool holds(const std::string& path) const {
    const auto made = made_.find(path);
    if (made == made_.end()) return false;
    const auto used = used_.find(path);
    if (used != used_.end() && used->second < made->second) return false;
    for (const std::string& prefix : prefixes(path))
      if (movable_.contains(prefix)) return false;
    return true;
  }
  // The shortest path on the way that is not stable; the path itself if all are.
  std::string unit_of(const std::string& path) const {
    for (const std::string& prefix : prefixes(path))
      if (!holds(prefix)) return prefix;
    return path;
  }
  std::vector<std::string> all() const {
    std::vector<std::string> paths;
    for (const auto& [path, when] : made_)
      if (holds(path)) paths.push_back(path);
    return paths;
  }

 private:
  void note(const Operation& operation) {
    const bool makes = operation.act == Act::kMakeDirectory;
    if (makes && operation.outcome == Outcome::kDone)
      for (const std::string& prefix : prefixes(operation.path))
        lower(made_, prefix, operation.ended);
    if (!(makes && operation.parents))
      for (const std::string& prefix : prefixes(operation.path))
        lower(used_, prefix, operation.began);
    for (const std::string& path : paths_of(operation)) {
      if (path == operation.path) continue;
      for (const std::string& prefix : prefixes(path)) lower(used_, prefix, operation.began);
    }
    if (!changes_files(operation.act) && operation.act != Act::kSetQuota) return;
    if (operation.act == Act::kTruncate) return;
    for (std::string& path : paths_of(operation)) movable_.insert(std::move(path));
  }
  static void lower(std::map<std::string, Instant>& times, const std::string& path, Instant when) {
    const auto [known, is_new] = times.try_emplace(path, when);
    if (!is_new) known->second = std::min(known->second, when);
  }

  std::map<std::string, Instant> made_;  // when it was surely there
  std::map<std::string, Instant> used_;  // when somebody first asked for it or what is below it
  std::set<std::string> movable_;        // may become a file, go or be replaced
};

// Units that an operation joins are of one part, which is known by one of its units.
class Parts {
 public:
  const std::string& find(const std::string& unit) {
    const auto [found, is_new] = parent_.try_emplace(unit, unit);
    if (found->second == unit) return found->first;
    const std::string root = find(std::string(found->second));
    return parent_.insert_or_assign(unit, root).first->second;
  }
  void join(const std::string& a, const std::string& b) {
    const std::string of_a = find(a), of_b = find(b);
    parent_[std::max(of_a, of_b)] = std::min(of_a, of_b);
  }

 private:
  std::map<std::string, std::string> parent_;
};

struct PartOperation {
  const Operation* asked;
  std::set<std::string> names;  // of a listing: only these count; empty: all
  bool partial = false;
};

struct Part {
  std::vector<PartOperation> operations;
};

using Tree = std::shared_ptr<const TreeModel>;

uint64_t digest_of(const TreeModel::Entry& entry) {
  Digest digest;
  digest.add(entry.is_directory ? 1 : 0).add(entry.in_blocks ? 1 : 0);
  for (const auto& most : {entry.quota.bytes, entry.quota.entries})
    digest.add(most ? 1 : 0).add(most.value_or(0));
  digest.add(entry.marks.owner).add(entry.marks.mode.value_or(UINT16_MAX)).add(entry.changes);
  for (const auto& [label, value] : entry.marks.labels)
    digest.add(static_cast<uint64_t>(label.first)).add(label.second).add(value);
  for (const Pieces& bytes : entry.contents) bytes.add_to(digest);
  for (const auto& [name, child] : entry.children) digest.add(name).add(digest_of(child));
  return digest.value();
}

class TreeSpecification {
 public:
  struct State {
    Tree tree;
    uint64_t digest = 0;
  };

  TreeSpecification(const Part& part, const std::vector<std::string>& stable, uint64_t inline_bytes)
      : part_(part), inline_bytes_(inline_bytes) {
    auto tree = std::make_shared<TreeModel>();
    for (const std::string& path : stable) std::ignore = tree->make_directory(path, true);
    start_ = {tree, digest_of(tree->root())};
  }

  State start() const { return start_; }
  uint64_t digest(const State& state) const { return state.digest; }

  std::optional<Effect<State>> apply(const State& state, size_t call) const {
    const PartOperation& operation = part_.operations[call];
    const Operation& asked = *operation.asked;
    if (!changes(asked.act)) {
      if (!fits(*state.tree, operation)) return std::nullopt;
      return Effect<State>{};
    }
    if (asked.outcome == Outcome::kRefused && asked.act == Act::kPut) {
      const auto started = state.tree->start_upload(asked.path, !asked.if_absent);
      if (started || started.error().code != asked.code) return std::nullopt;
      return Effect<State>{};
    }
    auto tree = std::make_shared<TreeModel>(*state.tree);
    const Result<> done = change(*tree, asked);
    if (asked.outcome == Outcome::kRefused) {
      if (done || done.error().code != asked.code) return std::nullopt;
      return Effect<State>{};
    }
    if (!done) return std::nullopt;
    const uint64_t digest = digest_of(tree->root());
    if (digest == state.digest) return Effect<State>{};
    return Effect<State>{State{std::move(tree), digest}};
  }

 private:
  Result<> change(TreeModel& tree, const Operation& asked) const {
    switch (asked.act) {
      case Act::kMakeDirectory: return tree.make_directory(asked.path, asked.parents);
      case Act::kRename: return tree.rename(asked.path, asked.to);
      case Act::kRemove: return tree.remove(asked.path, asked.recursive);
      case Act::kCopy: return tree.copy(asked.path, asked.to, asked.if_absent);
      case Act::kTruncate: return tree.truncate(asked.path, asked.cut_to);
      case Act::kSetQuota: return tree.set_quota(asked.path, asked.quota);
      case Act::kSetAttributes: return tree.set_attributes(asked.path, asked.change);
      case Act::kConcatenate: return tree.concatenate(asked.path, asked.sources, inline_bytes_);
      default: break;
    }
    std::optional<TreeModel::Version> version;  // whose file it is nobody knows without a log
    if (asked.if_version) version = {.number = {}, .changes = asked.if_version->changes};
    return tree.publish(asked.path, {.length = asked.content.length,
                                     .contents = {pieces_of(asked)},
                                     .in_blocks = asked.content.length > inline_bytes_,
                                     .if_absent = asked.if_absent,
                                     .directory = std::nullopt,
                                     .version = version});
  }
  static Result<const TreeModel::Entry*> look(const TreeModel& tree, const Operation& read) {
    switch (read.act) {
      case Act::kGet: return tree.get(read.path);
      case Act::kList: return tree.list(read.path);
      default: return tree.stat(read.path);
    }
  }
  static bool fits(const TreeModel& tree, const PartOperation& operation) {
    const Operation& read = *operation.asked;
    const auto found = look(tree, read);
    if (read.outcome == Outcome::kRefused) return !found && found.error().code == read.code;
    if (!found) return false;
    const TreeModel::Entry& entry = **found;
    if (read.act == Act::kGet) return may_read(entry, read.read);
    if (read.act == Act::kList) return listed(entry, operation);
    if (read.act == Act::kUse) return *tree.use(read.path) == read.used;
    if (entry.is_directory != read.is_directory || entry.marks != read.marks) return false;
    return entry.is_directory || (entry.length == read.length && entry.changes == read.is.changes);
  }
  static bool listed(const TreeModel::Entry& directory, const PartOperation& operation) {
    const auto counts = [&](const std::string& name) {
      return !operation.partial || operation.names.contains(name);
    };
    std::vector<std::string> told, there;
    for (const std::string& name : operation.asked->names)
      if (counts(name)) told.push_back(name);
    for (const std::string& name : page_of(directory, *operation.asked))
      if (counts(name)) there.push_back(name);
    return told == there;
  }
  // The names that stand within the range that was listed.
  static std::vector<std::string> page_of(const TreeModel::Entry& directory,
                                          const Operation& list) {
    std::vector<std::string> names;
    const bool cut_off = list.count > 0 && list.names.size() >= list.count;
    for (const auto& [name, child] : directory.children)
      if (name > list.after && (!cut_off || name <= list.names.back())) names.push_back(name);
    return names;
  }

  const Part& part_;
  const uint64_t inline_bytes_;
  State start_;
};

class Search {
 public:
  Search(const History& history, const std::vector<LogIndex>& hints, const SearchOptions& options,
         Violations& violations)
      : operations_(history.operations()),
        hints_(hints),
        options_(options),
        violations_(violations),
        stable_(operations_) {}

  SearchCounts run() {
    for (const Operation& operation : operations_) join(operation);
    for (const Operation& operation : operations_)
      if (counts(operation)) add(operation);
    const auto stable = stable_.all();
    for (const auto& [name, part] : divided_) search(name, part, stable);
    return counts_;
  }

 private:
  const std::string& part_of(const std::string& path) { return parts_.find(unit_of(path)); }
  const std::string& unit_of(const std::string& path) {
    const auto [found, is_new] = units_.try_emplace(path);
    if (is_new) found->second = stable_.unit_of(path);
    return found->second;
  }

  void join(const Operation& operation) {
    for (const std::string& path : paths_of(operation)) {
      note_unit(path);
      if (path != operation.path) parts_.join(unit_of(operation.path), unit_of(path));
    }
  }
  void note_unit(const std::string& path) {
    const std::string& unit = unit_of(path);
    if (unit == "/" || stable_.holds(unit)) return;
    const size_t slash = unit.rfind('/');
    const std::string directory = slash == 0 ? "/" : unit.substr(0, slash);
    below_[directory].insert(unit.substr(slash + 1));
  }

  void add(const Operation& operation) {
    const std::string& unit = unit_of(operation.path);
    const bool whole = unit != operation.path || (unit != "/" && !stable_.holds(unit));
    if (operation.act == Act::kUse && !whole) return;  // what it counts is of many parts
    if (operation.act != Act::kList || whole) {
      divided_[part_of(operation.path)].operations.push_back({&operation, {}});
      return;
    }
    std::map<std::string, std::set<std::string>> names;  // -> of the part
    const std::string directory = operation.path == "/" ? "" : operation.path;
    names[part_of(operation.path)];
    for (const std::string& name : below_[operation.path])
      names[part_of(directory + "/" + name)].insert(name);
    // What nobody ever asked for must not be there.
    for (const std::string& name : operation.names)
      names[part_of(directory + "/" + name)].insert(name);
    for (auto& [part, of_part] : names)
      divided_[part].operations.push_back({&operation, std::move(of_part), true});
  }

  void search(const std::string& name, const Part& part, const std::vector<std::string>& stable) {
    std::vector<Call> calls;
    for (const PartOperation& operation : part.operations) {
      const Operation& asked = *operation.asked;
      calls.push_back({.began = asked.began,
                       .ended = is_open(asked) ? kNever : asked.ended,
                       .open = is_open(asked),
                       .changes = changes(asked.act) && asked.outcome != Outcome::kRefused,
                       .hint = hint(asked)});
    }
    const TreeSpecification specification(part, stable, options_.inline_bytes);
    const SearchResult result =
        LinearizationSearch(specification, std::move(calls), options_.steps_max).run();
    ++counts_.parts;
    counts_.steps += result.steps;
    if (result.verdict == Verdict::kUndecided) {
      ++counts_.undecided;
      return;
    }
    counts_.operations += part.operations.size();
    if (result.verdict == Verdict::kRefuted)
      violations_.add(
          Oracle::kLinearizationSearch, "no order of the {} operations around {} explains: {}",
          part.operations.size(), name, describe(*part.operations[result.stuck.value_or(0)].asked));
  }

  uint64_t hint(const Operation& operation) const {
    const auto number = static_cast<size_t>(&operation - operations_.data());
    const LogIndex position = number < hints_.size() ? hints_[number] : operation.position;
    return position ? position.value : std::numeric_limits<uint64_t>::max();
  }

  const std::vector<Operation>& operations_;
  const std::vector<LogIndex>& hints_;
  const SearchOptions options_;
  Violations& violations_;
  const Stable stable_;
  Parts parts_;
  std::map<std::string, std::string> units_;            // by path
  std::map<std::string, std::set<std::string>> below_;  // units by name, of a stable directory
  std::map<std::string, Part> divided_;
  SearchCounts counts_;
};

}  // namespace

SearchCounts search_history(const History& history, const std::vector<LogIndex>& hints,
                            const SearchOptions& options, Violations& violations) {
  return Search(history, hints, options, violations).run();
}

}  // namespace dogfs::sim
