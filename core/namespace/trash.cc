#include "core/namespace/trash.h"

#include <algorithm>
#include <charconv>

#include "core/base/limits.h"
#include "core/namespace/directories.h"
#include "core/namespace/garbage.h"
#include "core/namespace/path.h"

namespace dogfs::metadata {
namespace {

constexpr std::string_view kName = ".trash";
constexpr size_t kClockDigits = 12;

std::optional<InodeId> find_trash(const Tables& tables) {
  const auto entry = tables.dentry(kRootDirectory, kName);
  if (!entry || entry->kind != EntryKind::kDirectory) return std::nullopt;
  return entry->id;
}

// As much of the name as fits, by whole characters.
std::string name_in_trash(const Tables& tables, const EntryContext& entry, std::string_view name) {
  std::string out =
      fmt::format("{:0{}x}-{:x}-", tables.settings().trash_clock, kClockDigits, entry.index.value);
  while (!name.empty()) {
    const size_t length = std::max<size_t>(1, utf8_length(name));
    if (out.size() + length > limits::kNameBytesMax) break;
    out += name.substr(0, length);
    name.remove_prefix(length);
  }
  return out;
}

// When the entry was removed; nothing for a name that somebody else gave.
std::optional<uint64_t> clock_of(std::string_view name) {
  uint64_t clock = 0;
  if (name.size() <= kClockDigits || name[kClockDigits] != '-') return std::nullopt;
  const char* const end = name.data() + kClockDigits;
  const auto read = std::from_chars(name.data(), end, clock, 16);
  return read.ec == std::errc() && read.ptr == end ? std::optional(clock) : std::nullopt;
}

void drop(Tables& tables, const EntryContext& entry, InodeId trash, const Tables::Entry& found) {
  tables.erase_dentry(trash, found.name);
  if (found.dentry.kind == EntryKind::kDirectory) {
    drop_tree(tables, entry, slot_of(trash), found.dentry.id);
  } else {
    drop_file(tables, entry, slot_of(trash), found.dentry.file());
  }
}

// Names that are due, in order, at most one more than a step may drop.
std::vector<Tables::Entry> due(const Tables& tables, InodeId trash) {
  const SettingsRow& settings = tables.settings();
  std::vector<Tables::Entry> out;
  std::string after;
  for (size_t seen = 0; seen <= limits::kRemoveStepMax; ++seen) {
    auto found = tables.next_entry(trash, after);
    if (!found || out.size() > limits::kTrashStepMax) break;
    after = found->name;
    const auto clock = clock_of(found->name);
    if (!clock) continue;
    const uint64_t age = settings.trash_clock - std::min(*clock, settings.trash_clock);
    if (age < settings.settings.trash_seconds) break;
    out.push_back(*std::move(found));
  }
  return out;
}

}  // namespace

bool move_to_trash(Tables& tables, const EntryContext& entry, const Resolved& target) {
  if (tables.settings().settings.trash_seconds == 0) return false;
  auto trash = find_trash(tables);
  if (!trash) {
    if (tables.dentry(kRootDirectory, kName)) return false;  // a file is in the way
    trash = make_directory_below(tables, entry, kRootDirectory, kName);
  }
  const auto& above = target.directories;
  const bool inside = std::ranges::find(above, *trash) != above.end();
  if (inside || target.entry->id == *trash) return false;
  tables.erase_dentry(target.parent(), target.name);
  if (target.entry->kind == EntryKind::kDirectory) {
    DirectoryRow row = *tables.directory(target.entry->id);
    row.parent = *trash;
    tables.put(target.entry->id, row);
  }
  tables.put(*trash, name_in_trash(tables, entry, target.name), *target.entry);
  return true;
}

bool trash_pending(const Tables& tables) {
  const auto trash = find_trash(tables);
  return trash && tables.next_entry(*trash, "").has_value();
}

Response apply(Tables& tables, const EntryContext& entry, const SetTrash& operation) {
  if (entry.asker != nullptr) {
    return fail(Code::kDenied, "{} may not change the trash", shown(entry.asker->user));
  }
  if (operation.seconds > limits::kTrashSecondsMax) {
    return fail(Code::kInvalid, "{} seconds in the trash, at most {} are allowed",
                operation.seconds, limits::kTrashSecondsMax);
  }
  SettingsRow settings = tables.settings();
  settings.settings.trash_seconds = operation.seconds;
  tables.put(settings);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const AdvanceTrash& operation) {
  SettingsRow settings = tables.settings();
  if (operation.from != settings.trash_clock) {
    return fail(Code::kPrecondition, "the clock of the trash stands at {}, not {}",
                settings.trash_clock, operation.from);
  }
  if (operation.to < operation.from || operation.to - operation.from > limits::kTrashSecondsMax) {
    return fail(Code::kInvalid, "the clock of the trash cannot go from {} to {}", operation.from,
                operation.to);
  }
  settings.trash_clock = operation.to;
  tables.put(settings);
  const auto trash = find_trash(tables);
  if (!trash) return StepTaken{};
  auto entries = due(tables, *trash);
  const bool more = entries.size() > limits::kTrashStepMax;
  entries.resize(std::min(entries.size(), limits::kTrashStepMax));
  for (const auto& found : entries) drop(tables, entry, *trash, found);
  return StepTaken{.entries = static_cast<uint32_t>(entries.size()), .more = more};
}

}  // namespace dogfs::metadata
