#include "sim/check/linearizability.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace dogfs::sim {
namespace {

using metadata::MakeDirectory;
using metadata::Publish;
using metadata::PublishCondition;
using metadata::Remove;
using metadata::Rename;

// Whether the command is what the operation asked for.
bool asks_for(const Operation& operation, const metadata::Operation& command) {
  switch (operation.act) {
    case Act::kPut: {
      const auto* publish = std::get_if<Publish>(&command);
      return publish != nullptr && publish->path == operation.path &&
             publish->length == operation.content.length;
    }
    case Act::kMakeDirectory: {
      const auto* make = std::get_if<MakeDirectory>(&command);
      return make != nullptr && make->path == operation.path && make->parents == operation.parents;
    }
    case Act::kRename: {
      const auto* rename = std::get_if<Rename>(&command);
      return rename != nullptr && rename->from == operation.path && rename->to == operation.to;
    }
    case Act::kRemove: {
      const auto* remove = std::get_if<Remove>(&command);
      return remove != nullptr && remove->path == operation.path &&
             remove->recursive == operation.recursive;
    }
    case Act::kGet:
    case Act::kStat:
    case Act::kList: return false;
  }
  return false;
}

bool changes_the_tree(const metadata::Operation& command) {
  return std::holds_alternative<Publish>(command) ||
         std::holds_alternative<MakeDirectory>(command) ||
         std::holds_alternative<Rename>(command) || std::holds_alternative<Remove>(command);
}

bool same_answer(const metadata::Response& a, const metadata::Response& b) {
  return a && b ? *a == *b : !a && !b && a.error().code == b.error().code;
}

// The same request of the same session, wherever it stands in the log.
using RequestName = std::pair<ClientId, RequestId>;

// The bounds that real time sets to an operation's position: after all that ended before it began,
// before all that began after it ended.
struct Bounds {
  LogIndex low;
  LogIndex high{UINT64_MAX};
};

class Checker {
 public:
  Checker(const History& history, const std::vector<CommittedCommand>& commands,
          Violations& violations)
      : operations_(history.operations()), commands_(commands), violations_(violations) {}

  TreeModel run() {
    index_commands();
    place_operations();
    find_bounds();
    sort_reads();
    for (size_t i = 0; i < commands_.size(); ++i) {
      answer_reads_below(commands_[i].position);
      execute(i);
    }
    answer_reads_below(LogIndex(UINT64_MAX));
    explain_until(LogIndex(UINT64_MAX));
    for (const size_t i : floating_) report_unexplained(i);
    return std::move(tree_);
  }

 private:
  void index_commands();
  void place_operations();
  void find_bounds();
  void find_low_bounds(std::vector<size_t> all, std::vector<size_t> placed);
  void find_high_bounds(std::vector<size_t> all, std::vector<size_t> placed);
  void check_order(size_t number);
  void sort_reads();
  void execute(size_t command);
  void change_tree(const CommittedCommand& committed, const std::vector<size_t>& asked_by);
  std::vector<size_t> asked_by(const CommittedCommand& committed);
  void compare_answer(const Operation& told, const metadata::Response& response);
  Result<> apply(const metadata::Operation& command, const std::vector<size_t>& asked_by);
  void answer_reads_below(LogIndex position);
  // The tree has not changed since state_since_: it explains answers whose span meets that.
  void explain_until(LogIndex position);
  // Why the operation's answer is not what this tree gives; nothing when it is.
  std::optional<std::string> contradiction(const Operation& operation) const;
  void report_unexplained(size_t number);

  const std::vector<Operation>& operations_;
  const std::vector<CommittedCommand>& commands_;
  Violations& violations_;
  TreeModel tree_;

  std::map<LogIndex, size_t> at_position_;  // -> commands_
  std::map<RequestName, size_t> first_;     // -> commands_
  std::map<size_t, size_t> claimed_;        // commands_ -> operations_
  std::vector<LogIndex> positions_;         // of operations; 0: none
  std::vector<Bounds> bounds_;              // of operations
  std::vector<size_t> reads_;               // operations with a position, by it
  size_t next_read_ = 0;
  std::vector<size_t> floating_;  // answers without a position, not yet explained
  LogIndex state_since_;
  std::set<size_t> consumed_;  // unknown operations that were found in the log
};

void Checker::index_commands() {
  for (size_t i = 0; i < commands_.size(); ++i) {
    const auto& command = commands_[i].command;
    at_position_.emplace(commands_[i].position, i);
    if (command.client) first_.emplace(RequestName{command.client, command.request}, i);
  }
}

// A change stands where its request was first carried by the log, even if the answer came from a
// later repetition.
void Checker::place_operations() {
  positions_.resize(operations_.size());
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    positions_[i] = operation.position;
    if (!changes(operation.act) || !operation.position) continue;
    if (operation.outcome != Outcome::kDone && operation.outcome != Outcome::kRefused) continue;
    const auto found = at_position_.find(operation.position);
    const bool names_it = found != at_position_.end() &&
                          asks_for(operation, commands_[found->second].command.operation);
    if (!names_it) {
      // A refused put was perhaps refused at an earlier step than its publication.
      if (operation.outcome == Outcome::kDone)
        violations_.add(Oracle::kLinearizability, "no such request in the log there: {}",
                        describe(operation));
      continue;
    }
    const auto& command = commands_[found->second].command;
    const size_t first = first_.at({command.client, command.request});
    positions_[i] = commands_[first].position;
    if (!claimed_.emplace(first, i).second)
      violations_.add(Oracle::kExactlyOnce, "one request answers two operations: {}, and {}",
                      describe(operations_[claimed_[first]]), describe(operation));
  }
}

void Checker::find_bounds() {
  bounds_.resize(operations_.size());
  std::vector<size_t> all(operations_.size()), placed;
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = i;
    const auto outcome = operations_[i].outcome;
    if (positions_[i] && (outcome == Outcome::kDone || outcome == Outcome::kRefused))
      placed.push_back(i);
  }
  find_low_bounds(all, placed);
  find_high_bounds(all, placed);
  for (const size_t i : placed) check_order(i);
}

// Sweeps through time: the highest position that was answered before each operation began.
void Checker::find_low_bounds(std::vector<size_t> all, std::vector<size_t> placed) {
  std::ranges::sort(all, {}, [&](size_t i) { return std::pair(operations_[i].began, i); });
  std::ranges::sort(placed, {}, [&](size_t i) { return std::pair(operations_[i].ended, i); });
  size_t next = 0;
  LogIndex low;
  for (const size_t i : all) {
    for (; next < placed.size() && operations_[placed[next]].ended < operations_[i].began; ++next)
      low = std::max(low, positions_[placed[next]]);
    bounds_[i].low = low;
  }
}

// Sweeps back: the lowest position among operations that began after each one ended.
void Checker::find_high_bounds(std::vector<size_t> all, std::vector<size_t> placed) {
  const std::greater<> latest_first;
  std::ranges::sort(all, latest_first,
                    [&](size_t i) { return std::pair(operations_[i].ended, i); });
  std::ranges::sort(placed, latest_first,
                    [&](size_t i) { return std::pair(operations_[i].began, i); });
  size_t next = 0;
  LogIndex high(UINT64_MAX);
  for (const size_t i : all) {
    for (; next < placed.size() && operations_[placed[next]].began > operations_[i].ended; ++next)
      high = std::min(high, positions_[placed[next]]);
    bounds_[i].high = high;
  }
}

void Checker::check_order(size_t number) {
  const Operation& operation = operations_[number];
  const LogIndex low = bounds_[number].low;
  const auto command = at_position_.find(positions_[number]);
  const bool changed =
      changes(operation.act) && command != at_position_.end() && claimed_.contains(command->second);
  if (changed ? positions_[number] > low : positions_[number] >= low) return;
  violations_.add(Oracle::kLinearizability,
                  "it stands before position {}, which was answered before it began: {}", low,
                  describe(operation));
}

void Checker::sort_reads() {
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    const bool answered =
        operation.outcome == Outcome::kDone || operation.outcome == Outcome::kRefused;
    if (changes(operation.act) || !answered) continue;
    // Refusals that say nothing about the tree (no leader, busy) are always right.
    const bool says_something = operation.outcome == Outcome::kDone ||
                                operation.code == Code::kNotFound ||
                                operation.code == Code::kPrecondition;
    if (!says_something) continue;
    (operation.position ? reads_ : floating_).push_back(i);
  }
  std::ranges::sort(reads_, {}, [&](size_t i) { return std::pair(operations_[i].position, i); });
}

void Checker::execute(size_t number) {
  const CommittedCommand& committed = commands_[number];
  const auto& command = committed.command;
  if (!changes_the_tree(command.operation)) return;
  const bool unknown = !committed.response && committed.response.error().is(Code::kUnknown);
  const auto first = first_.find({command.client, command.request});
  if (first != first_.end() && first->second != number) {
    const CommittedCommand& earlier = commands_[first->second];
    if (!unknown && !same_answer(committed.response, earlier.response))
      violations_.add(Oracle::kExactlyOnce,
                      "request {} of session {} at {} was answered differently when it came again "
                      "at {}",
                      command.request, command.client, earlier.position, committed.position);
    return;
  }
  if (unknown) return;  // an expired session: not executed
  explain_until(committed.position.prev());
  change_tree(committed, asked_by(committed));
  state_since_ = committed.position;
}

// Who asked for it: the one who was answered, or whoever may have.
std::vector<size_t> Checker::asked_by(const CommittedCommand& committed) {
  const auto number = at_position_.at(committed.position);
  if (const auto owner = claimed_.find(number); owner != claimed_.end()) return {owner->second};
  std::vector<size_t> candidates;
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    const bool open =
        operation.outcome == Outcome::kUnknown || operation.outcome == Outcome::kPending;
    if (!open || consumed_.contains(i) || !asks_for(operation, committed.command.operation))
      continue;
    if (bounds_[i].low < committed.position) candidates.push_back(i);
  }
  return candidates;
}

void Checker::change_tree(const CommittedCommand& committed, const std::vector<size_t>& asked) {
  const auto& operation = committed.command.operation;
  const auto name = metadata::operation_name(operation);
  if (committed.response && asked.empty())
    violations_.add(Oracle::kExactlyOnce,
                    "{} at {} was applied, but whoever asked for it was told otherwise", name,
                    committed.position);
  if (asked.size() == 1) consumed_.insert(asked.front());
  for (const size_t i : asked) compare_answer(operations_[i], committed.response);
  if (std::holds_alternative<Publish>(operation) && !committed.response) return;  // a lost lease
  const auto expected = apply(operation, asked);
  if (expected.has_value() == committed.response.has_value()) return;
  violations_.add(Oracle::kLinearizability, "{} at {} was {}, the model says {}", name,
                  committed.position,
                  committed.response ? "done" : fmt::format("{}", committed.response.error()),
                  expected ? "done" : fmt::format("{}", expected.error()));
}

void Checker::compare_answer(const Operation& told, const metadata::Response& response) {
  if (told.outcome == Outcome::kRefused && response)
    violations_.add(Oracle::kExactlyOnce, "refused, but it was applied: {}", describe(told));
  if (told.outcome == Outcome::kDone && !response)
    violations_.add(Oracle::kLinearizability, "done, but the log says {}: {}", response.error(),
                    describe(told));
}

Result<> Checker::apply(const metadata::Operation& command, const std::vector<size_t>& asked) {
  if (const auto* make = std::get_if<MakeDirectory>(&command))
    return tree_.make_directory(make->path, make->parents);
  if (const auto* rename = std::get_if<Rename>(&command))
    return tree_.rename(rename->from, rename->to);
  if (const auto* remove = std::get_if<Remove>(&command))
    return tree_.remove(remove->path, remove->recursive);
  const auto& publish = std::get<Publish>(command);
  TreeModel::Published file{.length = publish.length,
                            .contents = {},
                            .if_absent = publish.condition == PublishCondition::kIfAbsent};
  for (const size_t i : asked) file.contents.push_back(operations_[i].content);
  return tree_.publish(publish.path, file);
}

void Checker::answer_reads_below(LogIndex position) {
  for (; next_read_ < reads_.size(); ++next_read_) {
    const Operation& operation = operations_[reads_[next_read_]];
    if (operation.position >= position) return;
    if (const auto why = contradiction(operation))
      violations_.add(Oracle::kLinearizability, "{}: {}", describe(operation), *why);
  }
}

void Checker::explain_until(LogIndex position) {
  std::erase_if(floating_, [&](size_t i) {
    return position >= bounds_[i].low && state_since_ <= bounds_[i].high &&
           !contradiction(operations_[i]);
  });
}

std::optional<std::string> Checker::contradiction(const Operation& operation) const {
  const TreeModel::Entry* entry = tree_.find(operation.path);
  if (operation.outcome == Outcome::kRefused) {
    if (operation.code == Code::kNotFound && entry != nullptr) return "it is there";
    if (operation.code == Code::kPrecondition && entry != nullptr && !entry->is_directory &&
        operation.act != Act::kList)
      return "it is a file, and there";
    return std::nullopt;
  }
  if (entry == nullptr) return "there is no such path";
  switch (operation.act) {
    case Act::kGet:
      if (entry->is_directory) return "it is a directory";
      if (std::ranges::count(entry->contents, operation.read) > 0) return std::nullopt;
      return fmt::format("got {} bytes ({:016x}), which is not what stands there ({} bytes)",
                         operation.read.length, operation.read.digest, entry->length);
    case Act::kStat:
      if (entry->is_directory != operation.is_directory) return "it is of the other kind";
      if (!entry->is_directory && entry->length != operation.length)
        return fmt::format("length {}, not {}", operation.length, entry->length);
      return std::nullopt;
    case Act::kList: {
      if (!entry->is_directory) return "it is a file";
      std::vector<std::string> names;
      for (const auto& [name, child] : entry->children) names.push_back(name);
      if (names == operation.names) return std::nullopt;
      return fmt::format("listed {} names, there are {}", operation.names.size(), names.size());
    }
    default: return std::nullopt;
  }
}

void Checker::report_unexplained(size_t number) {
  violations_.add(Oracle::kLinearizability, "no state between {} and {} explains: {}",
                  bounds_[number].low, bounds_[number].high, describe(operations_[number]));
}

}  // namespace

TreeModel check_linearizability(const History& history,
                                const std::vector<CommittedCommand>& commands,
                                Violations& violations) {
  return Checker(history, commands, violations).run();
}

}  // namespace dogfs::sim
