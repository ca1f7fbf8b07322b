#include "sim/check/tree_model.h"

#include <algorithm>
#include <utility>

namespace dogfs::sim {

std::vector<std::string> path_names(std::string_view path) {
  std::vector<std::string> names;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const size_t end = std::min(path.find('/'), path.size());
    if (end > 0) names.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return names;
}

bool lies_within(std::string_view path, std::string_view ancestor) {
  if (ancestor == "/" || path == ancestor) return true;
  return path.starts_with(ancestor) && path[ancestor.size()] == '/';
}

bool may_read(const TreeModel::Entry& file, const Content& read) {
  return std::ranges::any_of(file.contents, [&](const Pieces& each) { return each.are(read); });
}

const TreeModel::Entry* TreeModel::find(std::string_view path) const {
  const Entry* entry = &root_;
  for (const std::string& name : path_names(path)) {
    const auto child = entry->children.find(name);
    if (child == entry->children.end()) return nullptr;
    entry = &child->second;
  }
  return entry;
}

Result<TreeModel::Entry*> TreeModel::parent_of(std::string_view path) {
  TRY(parent, std::as_const(*this).parent_of(path));
  return const_cast<Entry*>(parent);
}

TreeModel::Entry& TreeModel::make_child(Entry& parent, const std::string& name) {
  const auto [child, is_new] = parent.children.try_emplace(name);
  if (is_new) child->second.number = ++made_;
  return child->second;
}

Result<const TreeModel::Entry*> TreeModel::parent_of(std::string_view path) const {
  auto names = path_names(path);
  if (names.empty()) return fail(Code::kInvalid, "the root");
  names.pop_back();
  const Entry* entry = &root_;
  for (const std::string& name : names) {
    const auto child = entry->children.find(name);
    if (child == entry->children.end()) return fail(Code::kNotFound, "{}", path);
    entry = &child->second;
    if (!entry->is_directory) return fail(Code::kPrecondition, "{}: a file is in the way", path);
  }
  return entry;
}

TreeModel::Chain TreeModel::directories_to(std::string_view path) const {
  Chain chain{&root_};
  auto names = path_names(path);
  if (!names.empty()) names.pop_back();
  for (const std::string& name : names) {
    const auto child = chain.back()->children.find(name);
    if (child == chain.back()->children.end() || !child->second.is_directory) break;
    chain.push_back(&child->second);
  }
  return chain;
}

namespace {

metadata::Use use_of(const TreeModel::Entry& entry);

metadata::Use use_below(const TreeModel::Entry& directory) {
  metadata::Use sum;
  for (const auto& [name, child] : directory.children) {
    const metadata::Use use = use_of(child);
    sum.bytes += use.bytes;
    sum.entries += use.entries;
  }
  return sum;
}

// What it counts for in the directories above it.
metadata::Use use_of(const TreeModel::Entry& entry) {
  if (!entry.is_directory) return {.bytes = entry.length, .entries = 1};
  metadata::Use use = use_below(entry);
  ++use.entries;
  return use;
}

bool exceeds(const std::optional<uint64_t>& most, uint64_t used, uint64_t more, uint64_t less) {
  return most && more > less && (used > *most || more - less > *most - used);
}

constexpr metadata::Use kOneEntry{.bytes = 0, .entries = 1};

}  // namespace

Result<> TreeModel::check_quotas(const Chain& to, const std::vector<Move>& moves,
                                 const metadata::Use& less) const {
  if (!any_quota_) return {};
  for (const Entry* directory : to) {
    metadata::Use more;
    for (const Move& move : moves) {
      if (std::ranges::count(move.from, directory) > 0) continue;
      more.bytes += move.what.bytes;
      more.entries += move.what.entries;
    }
    const metadata::Use used = use_below(*directory);
    if (exceeds(directory->quota.bytes, used.bytes, more.bytes, less.bytes) ||
        exceeds(directory->quota.entries, used.entries, more.entries, less.entries))
      return fail(Code::kNoSpace, "a quota is full");
  }
  return {};
}

Result<> TreeModel::set_attributes(std::string_view path, const MarkChanges& change) {
  TRY(found, std::as_const(*this).stat(path));
  Entry& entry = const_cast<Entry&>(*found);
  entry.marks.owner = change.owner.value_or(entry.marks.owner);
  if (change.mode) entry.marks.mode = change.mode;
  for (const auto& label : change.labels) {
    const std::pair name{label.kind, label.name};
    if (label.value)
      entry.marks.labels[name] = *label.value;
    else
      entry.marks.labels.erase(name);
  }
  if (!entry.is_directory) ++entry.changes;
  return {};
}

Result<> TreeModel::set_quota(std::string_view path, const metadata::Quota& quota) {
  TRY(directory, std::as_const(*this).list(path));
  const_cast<Entry*>(directory)->quota = quota;
  any_quota_ = any_quota_ || quota.bytes || quota.entries;
  return {};
}

Result<metadata::DirectoryUse> TreeModel::use(std::string_view path) const {
  TRY(entry, stat(path));
  return metadata::DirectoryUse{.use = entry->is_directory ? use_below(*entry) : use_of(*entry),
                                .quota = entry->quota};
}

Result<> TreeModel::make_directory(std::string_view path, bool parents) {
  const auto names = path_names(path);
  if (const Entry* there = find(path); there != nullptr) {
    if (parents && there->is_directory) return {};
    return fail(Code::kExists, "{}", path);
  }
  if (!parents) {
    TRY(parent, parent_of(path));
    TRY_VOID(check_quotas(directories_to(path), {{{}, kOneEntry}}, {}));
    make_child(*parent, names.back());
    return {};
  }
  const Entry* entry = &root_;
  for (const std::string& name : names) {  // refused as a whole: look before changing anything
    const auto child = entry->children.find(name);
    if (child == entry->children.end()) break;
    entry = &child->second;
    if (!entry->is_directory) return fail(Code::kPrecondition, "{}: a file is in the way", path);
  }
  const Chain above = directories_to(path);
  const metadata::Use missing{.bytes = 0, .entries = names.size() + 1 - above.size()};
  TRY_VOID(check_quotas(above, {{{}, missing}}, {}));
  Entry* made = &root_;
  for (const std::string& name : names) made = &make_child(*made, name);
  return {};
}

Result<> TreeModel::rename(std::string_view from, std::string_view to) {
  TRY(source_parent, parent_of(from));
  const bool onto_root = path_names(to).empty();
  auto target_found = parent_of(to);
  if (!target_found && !onto_root) return fail(std::move(target_found).error());
  const std::string source_name = path_names(from).back();
  const auto source = source_parent->children.find(source_name);
  if (source == source_parent->children.end()) return fail(Code::kNotFound, "{}", from);
  if (onto_root) return fail(Code::kExists, "the root");
  Entry* const target_parent = *target_found;
  const std::string target_name = path_names(to).back();
  if (from == to) return {};
  const bool is_directory = source->second.is_directory;
  if (is_directory && lies_within(to, from)) return fail(Code::kInvalid, "{} into itself", from);
  const auto target = target_parent->children.find(target_name);
  if (target != target_parent->children.end()) {
    const Entry& replaced = target->second;
    if (replaced.is_directory != is_directory) return fail(Code::kExists, "{}", to);
    if (!replaced.children.empty()) return fail(Code::kPrecondition, "{} is not empty", to);
  }
  const metadata::Use less =
      target == target_parent->children.end() ? metadata::Use() : use_of(target->second);
  TRY_VOID(
      check_quotas(directories_to(to), {{directories_to(from), use_of(source->second)}}, less));
  auto moved = source_parent->children.extract(source);
  target_parent->children.insert_or_assign(target_name, std::move(moved.mapped()));
  return {};
}

Result<> TreeModel::remove(std::string_view path, bool recursive) {
  TRY(parent, parent_of(path));
  const auto entry = parent->children.find(path_names(path).back());
  if (entry == parent->children.end()) return fail(Code::kNotFound, "{}", path);
  if (!recursive && !entry->second.children.empty())
    return fail(Code::kPrecondition, "{} is not empty", path);
  parent->children.erase(entry);
  return {};
}

Result<> TreeModel::copy(std::string_view from, std::string_view to, bool if_absent) {
  TRY(source, get(from));
  const Published copied{.length = source->length,
                         .contents = source->contents,
                         .in_blocks = source->in_blocks,
                         .if_absent = if_absent,
                         .directory = {},
                         .version = {},
                         .marks = source->marks};
  if (from != to) return publish(to, copied);
  return fail(if_absent ? Code::kExists : Code::kInvalid, "{} onto itself", from);
}

namespace {

bool is_of(const TreeModel::Entry& file, const TreeModel::Version& version) {
  return version.number.value_or(file.number) == file.number && version.changes == file.changes;
}

}  // namespace

Result<> TreeModel::publish(std::string_view path, const Published& file) {
  if (path_names(path).empty()) return fail(Code::kExists, "the root");
  TRY(parent, parent_of(path));
  auto& children = parent->children;
  const std::string name = path_names(path).back();
  const auto there = children.find(name);
  if (there != children.end() && there->second.is_directory)
    return fail(Code::kExists, "{} is a directory", path);
  if (there != children.end() && file.if_absent) return fail(Code::kExists, "{}", path);
  if (file.version && (there == children.end() || !is_of(there->second, *file.version)))
    return fail(Code::kPrecondition, "{} has not that version", path);
  if (file.directory && *file.directory != parent->number)
    return fail(Code::kPrecondition, "the directory of {} is another one", path);
  TRY_VOID(check_quotas(directories_to(path), {{{}, {.bytes = file.length, .entries = 1}}},
                        there == children.end() ? metadata::Use() : use_of(there->second)));
  Entry entry;
  entry.is_directory = false;
  entry.length = file.length;
  entry.contents = file.contents;
  entry.in_blocks = file.in_blocks && file.length > 0;
  entry.number = ++made_;
  entry.marks = file.marks;
  children.insert_or_assign(name, std::move(entry));
  return {};
}

Result<> TreeModel::truncate(std::string_view path, uint64_t length) {
  TRY(found, std::as_const(*this).get(path));
  if (length > found->length) return fail(Code::kInvalid, "{} has {} bytes", path, found->length);
  Entry& file = const_cast<Entry&>(*found);
  for (Pieces& bytes : file.contents) bytes.cut(length);
  if (length < file.length) ++file.changes;
  file.length = length;
  file.in_blocks = file.in_blocks && length > 0;
  return {};
}

namespace {

// Any of these may be followed by any of those.
TreeModel::Candidates joined(const TreeModel::Candidates& first,
                             const TreeModel::Candidates& second) {
  TreeModel::Candidates all;
  for (const Pieces& begin : first) {
    for (const Pieces& end : second) {
      all.push_back(begin);
      all.back().append(end);
    }
  }
  return all;
}

}  // namespace

Result<> TreeModel::concatenate(std::string_view path, const std::vector<std::string>& sources,
                                uint64_t inline_bytes) {
  TRY(target, std::as_const(*this).get(path));
  if (sources.empty()) return fail(Code::kInvalid, "nothing to join");
  std::vector<const Entry*> parts{target};
  std::vector<Move> moves;
  for (const std::string& source : sources) {
    TRY(part, std::as_const(*this).get(source));
    if (std::ranges::count(parts, part) > 0) return fail(Code::kInvalid, "{} twice", source);
    parts.push_back(part);
    moves.push_back({directories_to(source), {.bytes = part->length, .entries = 0}});
  }
  Entry whole = *target;
  ++whole.changes;
  whole.contents = {Pieces()};
  whole.length = 0;
  bool small = false, large = false;
  for (const Entry* part : parts) {
    whole.contents = joined(whole.contents, part->contents);
    whole.length += part->length;
    small = small || (part->length > 0 && !part->in_blocks);
    large = large || part->in_blocks;
  }
  if (small && large) return fail(Code::kPrecondition, "small and large ones do not join");
  whole.in_blocks = large;
  if (!large && whole.length > inline_bytes)
    return fail(Code::kTooLarge, "{} bytes of small files", whole.length);
  TRY_VOID(check_quotas(directories_to(path), moves, {}));
  const_cast<Entry&>(*target) = std::move(whole);
  for (const std::string& source : sources)
    (*parent_of(source))->children.erase(path_names(source).back());
  return {};
}

Result<uint64_t> TreeModel::start_upload(std::string_view path, bool overwrite) const {
  if (path_names(path).empty()) return fail(Code::kExists, "the root");
  TRY(parent, parent_of(path));
  const auto there = parent->children.find(path_names(path).back());
  if (there != parent->children.end() && (there->second.is_directory || !overwrite))
    return fail(Code::kExists, "{}", path);
  TRY_VOID(check_quotas(directories_to(path), {{{}, kOneEntry}},
                        there == parent->children.end() ? metadata::Use() : use_of(there->second)));
  return parent->number;
}

Result<const TreeModel::Entry*> TreeModel::stat(std::string_view path) const {
  const auto names = path_names(path);
  if (names.empty()) return &root_;
  TRY(parent, parent_of(path));
  const auto entry = parent->children.find(names.back());
  if (entry == parent->children.end()) return fail(Code::kNotFound, "there is no {}", path);
  return &entry->second;
}

Result<const TreeModel::Entry*> TreeModel::list(std::string_view path) const {
  TRY(entry, stat(path));
  if (!entry->is_directory) return fail(Code::kPrecondition, "{} is a file", path);
  return entry;
}

Result<const TreeModel::Entry*> TreeModel::get(std::string_view path) const {
  TRY(entry, stat(path));
  if (entry->is_directory) return fail(Code::kPrecondition, "{} is a directory", path);
  return entry;
}

}  // namespace dogfs::sim
