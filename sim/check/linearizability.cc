#include "sim/check/linearizability.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "sim/check/command_origin.h"

namespace dogfs::sim {
namespace {

using metadata::AbandonUpload;
using metadata::Concatenate;
using metadata::Copy;
using metadata::ExpireLease;
using metadata::MakeDirectory;
using metadata::Publish;
using metadata::PublishCondition;
using metadata::PutInline;
using metadata::PutPacked;
using metadata::Remove;
using metadata::Rename;
using metadata::SetAttributes;
using metadata::SetQuota;
using metadata::StartUpload;
using metadata::Truncate;

// "done" or the refusal, for reports.
template <class T>
std::string told(const Result<T>& result) {
  return result ? "done" : fmt::format("{}", result.error());
}

template <class T, class U>
bool agree(const Result<T>& a, const Result<U>& b) {
  return a && b ? true : !a && !b && a.error().code == b.error().code;
}

bool same_answer(const metadata::Response& a, const metadata::Response& b) {
  return a && b ? *a == *b : !a && !b && a.error().code == b.error().code;
}

std::vector<std::string> page_of(const TreeModel::Entry& directory, const Operation& list) {
  std::vector<std::string> names;
  for (const auto& [name, child] : directory.children)
    if (name > list.after && (list.count == 0 || names.size() < list.count)) names.push_back(name);
  return names;
}

// A refusal that is right whatever the tree is: no leader, busy, bytes that cannot be read, or full
// disks of the metadata servers (a quota's refusal stands in the log).
bool says_nothing(const Operation& refused) {
  return refused.code == Code::kUnavailable ||
         (refused.code == Code::kNoSpace && !refused.position) ||
         (refused.act == Act::kGet && refused.code == Code::kCorrupt);
}

constexpr uint64_t kNoNumber = 0;  // no entry of the model has it

// An upload of the log, from its start on.
struct Upload {
  ClientId client;
  uint64_t directory = 0;  // of the model
  bool ended = false;      // published, abandoned or expired
};

// The bounds that real time sets to an operation's position: after all that ended before it began,
// before all that began after it ended.
struct Bounds {
  LogIndex low;
  LogIndex high{UINT64_MAX};
};

// What a pack refuses is uploaded, and that may be refused without an answer that has a position.
bool went_another_way(const Operation& operation, const CommittedCommand& committed) {
  return operation.outcome == Outcome::kRefused && operation.code == Code::kUnavailable &&
         !committed.response && std::holds_alternative<PutPacked>(committed.command.operation);
}

class Checker {
 public:
  Checker(const History& history, const std::vector<CommittedCommand>& commands,
          Violations& violations)
      : operations_(history.operations()), commands_(commands), violations_(violations) {}

  LoggedTree run() {
    index_commands();
    index_requests();
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
    return {std::move(tree_), std::move(made_)};
  }

 private:
  void index_commands();
  void index_requests();
  void place_operations();
  void find_bounds();
  void find_low_bounds(std::vector<size_t> all, std::vector<size_t> placed);
  void find_high_bounds(std::vector<size_t> all, std::vector<size_t> placed);
  void check_order(size_t number);
  void check_refused_put(size_t number);
  void sort_reads();
  void execute(size_t command);
  void change_tree(const CommittedCommand& committed, const std::vector<size_t>& asked_by);
  void follow_cluster(const CommittedCommand& committed);
  void follow_lease(const CommittedCommand& committed);
  void start_upload(const CommittedCommand& committed, const StartUpload& start);
  void end_upload(const CommittedCommand& committed, metadata::FileHandle file);
  // The client holds no lease of it any more, and must be refused.
  bool lease_lost(const CommittedCommand& committed, const Publish& publish) const;
  std::vector<size_t> asked_by(const CommittedCommand& committed);
  void compare_answer(const Operation& told, const metadata::Response& response);
  void compare(const CommittedCommand& committed, const Result<>& expected);
  Result<> apply(const metadata::Operation& command, const std::vector<size_t>& asked_by);
  Result<> apply_to_files(const metadata::Operation& command);
  // The file as a Publish, PutInline or PutPacked would make it.
  template <class Put>
  TreeModel::Published published(const Put& put, uint64_t length,
                                 const std::vector<size_t>& asked) const;
  Result<> put(const PutInline& put, const std::vector<size_t>& asked_by);
  Result<> put(const PutPacked& put, const std::vector<size_t>& asked_by);
  Result<> publish(const Publish& publish, const std::vector<size_t>& asked_by);
  void note_made(const std::string& path);
  std::optional<TreeModel::Version> version_of(PublishCondition condition,
                                               const metadata::FileVersion& version) const;
  void check_id(const Operation& stat);
  void answer_reads_below(LogIndex position);
  // The tree has not changed since state_since_: it explains answers whose span meets that.
  void explain_until(LogIndex position);
  // Why the operation's answer is not what this tree gives; nothing when it is.
  std::optional<std::string> contradiction(const Operation& operation) const;
  Result<const TreeModel::Entry*> look(const Operation& read) const;
  void report_unexplained(size_t number);

  const std::vector<Operation>& operations_;
  const std::vector<CommittedCommand>& commands_;
  Violations& violations_;
  TreeModel tree_;
  std::vector<Pieces> made_;  // by truncates and concatenates
  // What files are known by here and there; which belong together, stats tell.
  std::map<InodeId, uint64_t> numbers_;
  std::map<uint64_t, InodeId> ids_;

  std::map<LogIndex, size_t> at_position_;            // -> commands_
  std::map<RequestName, size_t> first_;               // -> commands_
  std::map<RequestName, size_t> sent_by_;             // -> operations_
  std::multimap<std::string, size_t> refused_files_;  // path -> StartUpload or Publish of commands_
  std::map<size_t, size_t> claimed_;                  // commands_ -> operations_
  std::vector<LogIndex> positions_;                   // of operations; 0: none
  std::vector<Bounds> bounds_;                        // of operations
  std::vector<size_t> reads_;                         // operations with a position, by it
  size_t next_read_ = 0;
  std::vector<size_t> floating_;  // answers without a position, not yet explained
  LogIndex state_since_;
  std::map<metadata::FileHandle, Upload> uploads_;
  placement::Policy policy_;   // of the cluster
  uint64_t inline_bytes_ = 0;  // likewise
  std::set<NodeId> servers_;   // chunk servers that are or were of the cluster
  std::set<size_t> consumed_;  // unknown operations that were found in the log
};

void Checker::index_commands() {
  for (size_t i = 0; i < commands_.size(); ++i) {
    const auto& command = commands_[i].command;
    at_position_.emplace(commands_[i].position, i);
    if (command.client) first_.emplace(RequestName{command.client, command.request}, i);
    if (commands_[i].response) continue;
    if (const auto* start = std::get_if<StartUpload>(&command.operation))
      refused_files_.emplace(start->path, i);
    if (const auto* put = std::get_if<PutInline>(&command.operation))
      refused_files_.emplace(put->path, i);
    if (const auto* put = std::get_if<PutPacked>(&command.operation))
      refused_files_.emplace(put->path, i);
    if (const auto* publish = std::get_if<Publish>(&command.operation))
      refused_files_.emplace(publish->path, i);
  }
}

void Checker::index_requests() {
  for (size_t i = 0; i < operations_.size(); ++i)
    for (const RequestName& request : operations_[i].requests) sent_by_.emplace(request, i);
}

// A change stands where its request was first carried by the log, even if the answer came from a
// later repetition.
void Checker::place_operations() {
  positions_.resize(operations_.size());
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    positions_[i] = operation.position;
    if (!changes(operation.act)) continue;
    if (operation.outcome != Outcome::kDone && operation.outcome != Outcome::kRefused) continue;
    const auto found = at_position_.find(operation.position);
    const bool names_it = found != at_position_.end() &&
                          came_of(operation, commands_[found->second].command) &&
                          !went_another_way(operation, commands_[found->second]);
    if (!names_it) {
      // A refused put was perhaps refused at an earlier step than its publication.
      if (operation.outcome == Outcome::kDone ||
          (operation.act != Act::kPut && !says_nothing(operation)))
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
  for (size_t i = 0; i < operations_.size(); ++i) check_refused_put(i);
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
  const auto claim =
      command == at_position_.end() ? claimed_.end() : claimed_.find(command->second);
  const bool changed = claim != claimed_.end() && claim->second == number;
  if (changed ? positions_[number] > low : positions_[number] >= low) return;
  violations_.add(Oracle::kLinearizability,
                  "it stands before position {}, which was answered before it began: {}", low,
                  describe(operation));
}

// What a client was told of its path must have been said of it by the log meanwhile.
void Checker::check_refused_put(size_t number) {
  const Operation& operation = operations_[number];
  if (operation.act != Act::kPut || operation.outcome != Outcome::kRefused) return;
  if (operation.code != Code::kNotFound && operation.code != Code::kExists) return;
  const auto [begin, end] = refused_files_.equal_range(operation.path);
  const bool said = std::any_of(begin, end, [&](const auto& refused) {
    const CommittedCommand& committed = commands_[refused.second];
    return committed.response.error().code == operation.code &&
           committed.position > bounds_[number].low && committed.position <= bounds_[number].high;
  });
  if (!said)
    violations_.add(Oracle::kLinearizability, "the log refused nothing like it: {}",
                    describe(operation));
}

void Checker::sort_reads() {
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    const bool answered =
        operation.outcome == Outcome::kDone || operation.outcome == Outcome::kRefused;
    if (changes(operation.act) || !answered) continue;
    if (operation.outcome == Outcome::kRefused && says_nothing(operation)) continue;
    (operation.position ? reads_ : floating_).push_back(i);
  }
  std::ranges::sort(reads_, {}, [&](size_t i) { return std::pair(operations_[i].position, i); });
}

void Checker::execute(size_t number) {
  const CommittedCommand& committed = commands_[number];
  const auto& command = committed.command;
  follow_cluster(committed);
  if (!changes_the_tree(command.operation) && !leases(command.operation)) return;
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
  if (leases(command.operation)) {
    follow_lease(committed);
    return;
  }
  if (!committed.response && std::holds_alternative<PutPacked>(command.operation) &&
      !claimed_.contains(number)) {
    // It goes another way. When the pack took no more, that says nothing of the tree.
    if (!committed.response.error().is(Code::kUnavailable))
      compare(committed, apply(command.operation, {}));
    return;
  }
  explain_until(committed.position.prev());
  change_tree(committed, asked_by(committed));
  state_since_ = committed.position;
}

// Who asked for it: the one who was answered, or whoever may have.
std::vector<size_t> Checker::asked_by(const CommittedCommand& committed) {
  const auto number = at_position_.at(committed.position);
  if (const auto owner = claimed_.find(number); owner != claimed_.end()) return {owner->second};
  const auto sender = sent_by_.find({committed.command.client, committed.command.request});
  if (sender != sent_by_.end()) return {sender->second};
  std::vector<size_t> candidates;
  for (size_t i = 0; i < operations_.size(); ++i) {
    const Operation& operation = operations_[i];
    const bool open =
        operation.outcome == Outcome::kUnknown || operation.outcome == Outcome::kPending;
    if (!open || consumed_.contains(i) || !came_of(operation, committed.command)) continue;
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
  const auto* publication = std::get_if<Publish>(&operation);
  if (publication == nullptr) {
    compare(committed, apply(operation, asked));
  } else if (!lease_lost(committed, *publication)) {
    compare(committed, publish(*publication, asked));
    if (committed.response) end_upload(committed, publication->file);
  } else if (committed.response) {
    violations_.add(Oracle::kLinearizability, "publish at {} was done without a lease",
                    committed.position);
  }
}

void Checker::compare(const CommittedCommand& committed, const Result<>& expected) {
  if (agree(expected, committed.response)) return;
  violations_.add(Oracle::kLinearizability, "{} at {} was {}, the model says {}",
                  metadata::operation_name(committed.command.operation), committed.position,
                  told(committed.response), told(expected));
}

void Checker::follow_cluster(const CommittedCommand& committed) {
  if (!committed.response) return;
  const auto& operation = committed.command.operation;
  if (const auto* create = std::get_if<metadata::CreateCluster>(&operation)) {
    policy_ = create->policy;
    inline_bytes_ = create->inline_bytes;
  }
  const auto* announced = std::get_if<metadata::RegisterNode>(&operation);
  if (announced != nullptr && announced->kind == placement::NodeKind::kChunk)
    servers_.insert(std::get<metadata::NodeRegistered>(*committed.response).node);
}

void Checker::follow_lease(const CommittedCommand& committed) {
  const auto& operation = committed.command.operation;
  if (const auto* start = std::get_if<StartUpload>(&operation)) {
    start_upload(committed, *start);
  } else if (committed.response) {
    const auto* abandon = std::get_if<AbandonUpload>(&operation);
    end_upload(committed, abandon ? abandon->file : std::get<ExpireLease>(operation).file);
  }
}

void Checker::start_upload(const CommittedCommand& committed, const StartUpload& start) {
  const auto directory = tree_.start_upload(start.path, start.overwrite);
  const bool too_small = servers_.size() < start.policy.value_or(policy_).width();
  if (directory && too_small && !committed.response &&
      committed.response.error().is(Code::kPrecondition))
    return;
  compare(committed, directory ? Result<>() : fail(directory.error()));
  if (!directory || !committed.response) return;
  const auto& started = std::get<metadata::UploadStarted>(*committed.response);
  const Upload upload{.client = committed.command.client, .directory = *directory};
  if (!uploads_.emplace(started.file, upload).second)
    violations_.add(Oracle::kLinearizability, "the upload started at {} has the id of another",
                    committed.position);
}

void Checker::end_upload(const CommittedCommand& committed, metadata::FileHandle file) {
  const auto upload = uploads_.find(file);
  if (upload == uploads_.end() || upload->second.ended)
    violations_.add(Oracle::kLinearizability, "{} at {} of what is no upload was done",
                    metadata::operation_name(committed.command.operation), committed.position);
  else
    upload->second.ended = true;
}

bool Checker::lease_lost(const CommittedCommand& committed, const Publish& publish) const {
  const auto upload = uploads_.find(publish.file);
  return upload == uploads_.end() || upload->second.ended ||
         upload->second.client != committed.command.client;
}

void Checker::compare_answer(const Operation& told, const metadata::Response& response) {
  if (told.outcome == Outcome::kRefused && response)
    violations_.add(Oracle::kExactlyOnce, "refused, but it was applied: {}", describe(told));
  if (told.outcome == Outcome::kRefused && !response && told.code != response.error().code)
    violations_.add(Oracle::kLinearizability, "the log says {}: {}", response.error(),
                    describe(told));
  if (told.outcome == Outcome::kDone && !response)
    violations_.add(Oracle::kLinearizability, "done, but the log says {}: {}", response.error(),
                    describe(told));
}

Result<> Checker::apply(const metadata::Operation& command, const std::vector<size_t>& asked) {
  if (const auto* make = std::get_if<MakeDirectory>(&command))
    return tree_.make_directory(make->path, make->parents);
  if (const auto* small = std::get_if<PutInline>(&command)) return put(*small, asked);
  if (const auto* packed = std::get_if<PutPacked>(&command)) return put(*packed, asked);
  if (const auto* rename = std::get_if<Rename>(&command))
    return tree_.rename(rename->from, rename->to);
  if (const auto* remove = std::get_if<Remove>(&command))
    return tree_.remove(remove->path, remove->recursive);
  if (const auto* set = std::get_if<SetQuota>(&command))
    return tree_.set_quota(set->path, set->quota);
  if (const auto* set = std::get_if<SetAttributes>(&command))
    return tree_.set_attributes(set->path, {set->owner, set->mode, set->labels});
  return apply_to_files(command);
}

Result<> Checker::apply_to_files(const metadata::Operation& command) {
  if (const auto* copy = std::get_if<Copy>(&command))
    return tree_.copy(copy->from, copy->to, copy->condition == PublishCondition::kIfAbsent);
  if (const auto* truncate = std::get_if<Truncate>(&command)) {
    TRY_VOID(tree_.truncate(truncate->path, truncate->length));
    note_made(truncate->path);
    return {};
  }
  const auto& joined = std::get<Concatenate>(command);
  TRY_VOID(tree_.concatenate(joined.path, joined.sources, inline_bytes_));
  note_made(joined.path);
  return {};
}

std::optional<TreeModel::Version> Checker::version_of(PublishCondition condition,
                                                      const metadata::FileVersion& version) const {
  if (condition != PublishCondition::kIfVersion) return std::nullopt;
  // Who names one has read it before.
  const auto known = numbers_.find(version.file);
  const uint64_t number = known == numbers_.end() ? kNoNumber : known->second;
  return TreeModel::Version{.number = number, .changes = version.changes};
}

// A file has one id all its life, and no other file has it.
void Checker::check_id(const Operation& stat) {
  const uint64_t number = (*tree_.stat(stat.path))->number;
  const auto [by_id, new_id] = numbers_.try_emplace(stat.is.file, number);
  const auto [by_number, new_number] = ids_.try_emplace(number, stat.is.file);
  if (by_id->second != number || by_number->second != stat.is.file)
    violations_.add(Oracle::kLinearizability, "the id {} is or was that of another file: {}",
                    stat.is.file, describe(stat));
}

void Checker::note_made(const std::string& path) {
  const auto& contents = tree_.find(path)->contents;
  made_.insert(made_.end(), contents.begin(), contents.end());
}

// Whose bytes they are says where they come from.
template <class Put>
TreeModel::Published Checker::published(const Put& put, uint64_t length,
                                        const std::vector<size_t>& asked) const {
  TreeModel::Published file{.length = length,
                            .contents = {},
                            .in_blocks = !std::is_same_v<Put, PutInline>,
                            .if_absent = put.condition == PublishCondition::kIfAbsent,
                            .directory = {},
                            .version = version_of(put.condition, put.version)};
  for (const size_t i : asked) file.contents.push_back(pieces_of(operations_[i]));
  return file;
}

Result<> Checker::put(const PutInline& put, const std::vector<size_t>& asked) {
  TreeModel::Published file = published(put, put.content.size(), asked);
  if (asked.empty()) file.contents.emplace_back(content_of(put.content), 0);
  return tree_.publish(put.path, file);
}

Result<> Checker::put(const PutPacked& put, const std::vector<size_t>& asked) {
  return tree_.publish(put.path, published(put, put.length, asked));
}

Result<> Checker::publish(const Publish& publish, const std::vector<size_t>& asked) {
  TreeModel::Published file = published(publish, publish.length, asked);
  file.directory = uploads_.at(publish.file).directory;
  return tree_.publish(publish.path, file);
}

void Checker::answer_reads_below(LogIndex position) {
  for (; next_read_ < reads_.size(); ++next_read_) {
    const Operation& operation = operations_[reads_[next_read_]];
    if (operation.position >= position) return;
    const auto why = contradiction(operation);
    if (why) violations_.add(Oracle::kLinearizability, "{}: {}", describe(operation), *why);
    const bool names_version = operation.act == Act::kStat && operation.is.file;
    if (!why && operation.outcome == Outcome::kDone && names_version) check_id(operation);
  }
}

void Checker::explain_until(LogIndex position) {
  std::erase_if(floating_, [&](size_t i) {
    return position >= bounds_[i].low && state_since_ <= bounds_[i].high &&
           !contradiction(operations_[i]);
  });
}

std::optional<std::string> Checker::contradiction(const Operation& operation) const {
  const auto found = look(operation);
  if (operation.outcome == Outcome::kRefused) {
    if (!found && found.error().code == operation.code) return std::nullopt;
    return fmt::format("the model says {}", told(found));
  }
  if (!found) return fmt::format("the model says {}", found.error());
  const TreeModel::Entry* entry = *found;
  switch (operation.act) {
    case Act::kGet:
      if (may_read(*entry, operation.read)) return std::nullopt;
      return fmt::format("got {} bytes ({:016x}), which is not what stands there ({} bytes)",
                         operation.read.length, operation.read.digest, entry->length);
    case Act::kStat:
      if (entry->is_directory != operation.is_directory) return "it is of the other kind";
      if (!entry->is_directory && entry->length != operation.length)
        return fmt::format("length {}, not {}", operation.length, entry->length);
      if (operation.marks != entry->marks) return "its owner, mode or labels are others";
      if (!entry->is_directory && operation.is.changes != entry->changes)
        return fmt::format("{} changes, not {}", operation.is.changes, entry->changes);
      return std::nullopt;
    case Act::kList: {
      const std::vector<std::string> names = page_of(*entry, operation);
      if (names == operation.names) return std::nullopt;
      return fmt::format("listed {} names, there are {}", operation.names.size(), names.size());
    }
    case Act::kUse: {
      const metadata::Use use = tree_.use(operation.path)->use;
      if (operation.used == *tree_.use(operation.path)) return std::nullopt;
      return fmt::format("{} bytes and {} entries or another quota, not {} bytes and {} entries",
                         use.bytes, use.entries, operation.used.use.bytes,
                         operation.used.use.entries);
    }
    default: return std::nullopt;
  }
}

Result<const TreeModel::Entry*> Checker::look(const Operation& read) const {
  switch (read.act) {
    case Act::kGet: return tree_.get(read.path);
    case Act::kList: return tree_.list(read.path);
    default: return tree_.stat(read.path);
  }
}

void Checker::report_unexplained(size_t number) {
  violations_.add(Oracle::kLinearizability, "no state between {} and {} explains: {}",
                  bounds_[number].low, bounds_[number].high, describe(operations_[number]));
}

}  // namespace

std::vector<LogIndex> positions_in_log(const History& history,
                                       const std::vector<CommittedCommand>& commands) {
  std::map<RequestName, LogIndex> first;
  for (const CommittedCommand& committed : commands)
    if (committed.response && changes_the_tree(committed.command.operation))
      first.try_emplace({committed.command.client, committed.command.request}, committed.position);
  std::vector<LogIndex> positions;
  for (const Operation& operation : history.operations()) {
    LogIndex last;
    for (const RequestName& request : operation.requests)
      if (const auto found = first.find(request); found != first.end())
        last = std::max(last, found->second);
    positions.push_back(last);
  }
  return positions;
}

LoggedTree check_linearizability(const History& history,
                                 const std::vector<CommittedCommand>& commands,
                                 Violations& violations) {
  return Checker(history, commands, violations).run();
}

}  // namespace dogfs::sim
