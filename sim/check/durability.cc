#include "sim/check/durability.h"

#include <algorithm>
#include <set>

#include "sim/check/tree_model.h"

namespace dogfs::sim {
namespace {

// Paths that an operation of unknown outcome may change, now or much later: everything below them
// is uncertain for the whole run.
class Uncertain {
 public:
  explicit Uncertain(const std::vector<Operation>& operations) {
    for (const Operation& operation : operations) {
      const bool open =
          operation.outcome == Outcome::kUnknown || operation.outcome == Outcome::kPending;
      const bool makes = operation.act == Act::kMakeDirectory;
      if (!open || !(changes_files(operation.act) || makes)) continue;
      for (std::string& path : paths_of(operation)) roots_.insert(std::move(path));
    }
  }
  bool holds(std::string_view path) const {
    return std::ranges::any_of(roots_, [&](const std::string& root) {
      return lies_within(path, root) || lies_within(root, path);
    });
  }

 private:
  std::set<std::string> roots_;
};

bool meet(std::string_view a, std::string_view b) { return lies_within(a, b) || lies_within(b, a); }

bool touches(const Operation& operation, std::string_view path) {
  return std::ranges::any_of(paths_of(operation),
                             [&](const std::string& named) { return meet(named, path); });
}

bool meet(const Operation& a, const Operation& b) {
  return std::ranges::any_of(paths_of(b),
                             [&](const std::string& path) { return touches(a, path); });
}

// Whether each of `changes` ran at the same time as another one of the same paths.
std::vector<bool> find_contended(const std::vector<const Operation*>& changes) {
  std::vector<bool> contended(changes.size());
  for (size_t i = 0; i < changes.size(); ++i) {
    const Operation& a = *changes[i];
    for (size_t j = 0; j < i; ++j) {
      const Operation& b = *changes[j];
      if (a.began > b.ended || b.began > a.ended) continue;
      if (!meet(a, b)) continue;
      contended[i] = contended[j] = true;
    }
  }
  return contended;
}

class Replay {
 public:
  explicit Replay(const History& history) : uncertain_(history.operations()) {
    std::vector<const Operation*> done;
    for (const Operation& operation : history.operations())
      if (operation.outcome == Outcome::kDone && changes_files(operation.act))
        done.push_back(&operation);
    std::ranges::sort(done, {}, &Operation::position);
    const std::vector<bool> contended = find_contended(done);
    for (size_t i = 0; i < done.size(); ++i) contended[i] ? give_up(*done[i]) : apply(*done[i]);
  }
  const std::map<std::string, Pieces>& files() const { return files_; }

 private:
  void apply(const Operation& operation) {
    switch (operation.act) {
      case Act::kPut:
        if (uncertain_.holds(operation.path)) break;
        files_.insert_or_assign(operation.path, pieces_of(operation));
        break;
      case Act::kTruncate: truncate(operation.path, operation.cut_to); break;
      case Act::kConcatenate: join(operation); break;
      case Act::kRemove: erase_below(operation.path); break;
      case Act::kRename: move(operation.path, operation.to); break;
      case Act::kCopy: copy(operation.path, operation.to); break;
      default: break;
    }
  }
  // Nobody knows what it left where it acted.
  void give_up(const Operation& operation) {
    for (const std::string& path : paths_of(operation)) erase_below(path);
  }
  void erase_below(std::string_view path) {
    std::erase_if(files_, [&](const auto& file) { return lies_within(file.first, path); });
  }
  void copy(const std::string& from, const std::string& to) {
    const auto source = files_.find(from);
    const auto content = source == files_.end() ? std::optional<Pieces>() : source->second;
    files_.erase(to);
    if (content && !uncertain_.holds(to)) files_.insert_or_assign(to, *content);
  }
  void truncate(const std::string& path, uint64_t length) {
    if (const auto file = files_.find(path); file != files_.end()) file->second.cut(length);
  }
  // Of what is known of all parts; of one that is not, nobody knows the whole.
  void join(const Operation& operation) {
    std::optional<Pieces> whole = Pieces();
    for (const std::string& path : paths_of(operation)) {
      const auto part = files_.find(path);
      if (part == files_.end()) whole.reset();
      if (whole) whole->append(part->second);
      files_.erase(path);
    }
    if (whole && !uncertain_.holds(operation.path)) files_.emplace(operation.path, *whole);
  }
  // What was uncertain where it came from is not in files_, and so not demanded where it goes.
  void move(std::string_view from, std::string_view to) {
    if (from == to) return;
    std::map<std::string, Pieces> moved;
    for (const auto& [path, content] : files_)
      if (lies_within(path, from)) moved[std::string(to) + path.substr(from.size())] = content;
    erase_below(from);
    erase_below(to);
    for (const auto& [path, content] : moved)
      if (!uncertain_.holds(path)) files_.insert_or_assign(path, content);
  }

  Uncertain uncertain_;
  std::map<std::string, Pieces> files_;
};

}  // namespace

std::map<std::string, Content> acknowledged_files(const History& history) {
  std::map<std::string, Content> files;
  const Replay replay(history);
  for (const auto& [path, bytes] : replay.files()) files.emplace(path, bytes.content());
  return files;
}

void check_durability(const History& history, const FinalReads& reads, Violations& violations) {
  for (const auto& [path, content] : acknowledged_files(history)) {
    const auto read = reads.find(path);
    if (read == reads.end()) {
      violations.add(Oracle::kDurability, "{} was acknowledged and not read at the end", path);
    } else if (!read->second) {
      violations.add(Oracle::kDurability, "{} was acknowledged ({} bytes) and is not readable: {}",
                     path, content.length, read->second.error());
    } else if (*read->second != content) {
      violations.add(Oracle::kDurability, "{} was acknowledged with {} bytes and reads as other {}",
                     path, content.length, read->second->length);
    }
  }
}

void check_damage(const History& history, Violations& violations) {
  const auto& operations = history.operations();
  for (const Operation& get : operations) {
    if (get.act != Act::kGet || get.code != Code::kCorrupt) continue;
    const bool disturbed = std::ranges::any_of(operations, [&](const Operation& other) {
      return changes_files(other.act) && other.began <= get.ended && other.ended >= get.began &&
             touches(other, get.path);
    });
    if (!disturbed)
      violations.add(Oracle::kDurability, "damage beyond repair, within the budget: {}",
                     describe(get));
  }
}

void check_bytes(const History& history, const std::vector<Pieces>& made, Violations& violations) {
  std::map<Content, Instant> written;  // -> when its first put began
  for (const Operation& operation : history.operations()) {
    if (operation.act != Act::kPut) continue;
    const auto [first, is_new] = written.try_emplace(operation.content, operation.began);
    first->second = std::min(first->second, operation.began);
  }
  for (const Operation& operation : history.operations()) {
    if (operation.act != Act::kGet || operation.outcome != Outcome::kDone) continue;
    const auto put = written.find(operation.read);
    if (put != written.end() && put->second <= operation.ended) continue;
    if (std::ranges::none_of(made, [&](const Pieces& each) { return each.are(operation.read); }))
      violations.add(Oracle::kWrongBytes, "nobody wrote these {} bytes ({:016x}): {}",
                     operation.read.length, operation.read.digest, describe(operation));
  }
}

}  // namespace dogfs::sim
