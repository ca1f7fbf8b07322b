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
constexpr std::string_view kPath = "/.trash";
constexpr size_t kClockDigits = 12;
constexpr std::string_view kHex = "0123456789abcdef";
constexpr uint32_t kVersion = 2;  // of clusters that have a trash

std::optional<InodeId> find_trash(const Tables& tables) {
  const auto entry = tables.dentry(kRootDirectory, kName);
  if (!entry || entry->kind != EntryKind::kDirectory) return std::nullopt;
  return entry->id;
}

Result<> check_no_file(const Tables& tables) {
  const auto entry = tables.dentry(kRootDirectory, kName);
  if (!entry || entry->kind == EntryKind::kDirectory) return {};
  return fail(Code::kPrecondition,
              "{} is a file, where the trash must be: move it away, or remove it forever", kPath);
}

// Who removes, as a name says it: letters, digits and some signs as they are, other bytes as %XX;
// nothing for the cluster's own.
std::string remover(const Asker* asker) {
  if (asker == nullptr) return "";
  std::string out = "~";
  for (const char c : std::string_view(asker->user).substr(0, limits::kUserNameBytesMax)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '@';
    out += plain ? std::string(1, c) : fmt::format("%{:02x}", static_cast<uint8_t>(c));
  }
  return out;
}
static_assert(3 * limits::kUserNameBytesMax + kClockDigits + 20 < limits::kNameBytesMax);

// As much of the name as fits, by whole characters.
std::string name_in_trash(const Tables& tables, const EntryContext& entry, std::string_view name) {
  std::string out = fmt::format("{:0{}x}-{:x}{}-", tables.settings().trash_clock, kClockDigits,
                                entry.index.value, remover(entry.asker));
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
  if (name.find_first_not_of(kHex) != kClockDigits || name[kClockDigits] != '-') {
    return std::nullopt;
  }
  uint64_t clock = 0;
  std::from_chars(name.data(), name.data() + kClockDigits, clock, 16);
  return clock;
}

// What remover() gave when the entry was removed.
std::string_view remover_of(std::string_view name) {
  name.remove_prefix(kClockDigits + 1);
  name.remove_prefix(std::min(name.find_first_not_of(kHex), name.size()));
  return name.substr(0, name.find('-'));
}

// A place in the order behind the name, which the trash did not give, and behind others of its kind
// up to where the next that it did give may be; nothing when there is no such place.
std::optional<std::string> behind_foreign(std::string_view name) {
  std::string out(name.substr(0, kClockDigits));
  const size_t digits = std::min(out.find_first_not_of(kHex), out.size());
  const int next = digits < name.size() ? static_cast<uint8_t>(name[digits]) : 0;
  out.resize(digits);
  if (digits == kClockDigits && next < '-') return out + "-";
  if (digits < kClockDigits && next < '0') return out + "0";
  if (digits < kClockDigits && next < 'a') return out + "a";
  while (out.ends_with('f')) out.pop_back();
  if (out.empty()) return std::nullopt;
  out.back() = kHex[kHex.find(out.back()) + 1];
  return out;
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
  std::optional<std::string> after = "";
  while (after && out.size() <= limits::kTrashStepMax) {
    auto found = tables.next_entry(trash, *after);
    if (!found) break;
    const auto clock = clock_of(found->name);
    after = clock ? found->name : behind_foreign(found->name);
    if (!clock) continue;
    const uint64_t age = settings.trash_clock - std::min(*clock, settings.trash_clock);
    if (age < settings.settings.trash_seconds) break;
    out.push_back(*std::move(found));
  }
  return out;
}

// Made, or taken from whoever made it when it was no trash yet.
InodeId own_trash(Tables& tables, EntryContext entry) {
  entry.asker = nullptr;
  const auto trash = find_trash(tables);
  if (!trash) return make_directory_below(tables, entry, kRootDirectory, kName);
  DirectoryRow row = *tables.directory(*trash);
  if (row.attributes.owner.empty()) return *trash;
  row.attributes.owner.clear();
  row.attributes.group.clear();
  row.attributes.mode.reset();
  tables.put(*trash, row);
  return *trash;
}

}  // namespace

Result<> check_not_in_trash(const Tables& tables, std::string_view path) {
  if (tables.settings().settings.cluster_version < kVersion) return {};
  const bool inside = path.starts_with(kPath) && path.substr(kPath.size()).starts_with('/');
  if (path != kPath && !inside) return {};
  return fail(Code::kInvalid, "{}: {} is kept for what is removed", shown(path), kPath);
}

Result<> check_not_trash(const Asker* asker, std::string_view path) {
  if (asker == nullptr || path != kPath) return {};
  return fail(Code::kDenied, "{} may not change {}, which is for all", shown(asker->user), kPath);
}

Result<> check_removed_by(const Asker* asker, const std::vector<std::string_view>& names,
                          std::string_view path) {
  if (asker == nullptr || names.size() < 2 || names[0] != kName || !clock_of(names[1])) return {};
  if (remover_of(names[1]) == remover(asker)) return {};
  return fail(Code::kDenied, "{} did not remove {}", shown(asker->user), shown(path));
}

Result<bool> goes_to_trash(const Tables& tables, const Resolved& target) {
  if (tables.settings().settings.trash_seconds == 0) return false;
  TRY_VOID(check_no_file(tables));
  const auto trash = find_trash(tables);
  if (!trash) return true;
  const auto& above = target.directories;
  const bool inside = std::ranges::find(above, *trash) != above.end();
  return !inside && target.entry->id != *trash;
}

void move_to_trash(Tables& tables, const EntryContext& entry, const Resolved& target) {
  const InodeId trash = own_trash(tables, entry);
  tables.erase_dentry(target.parent(), target.name);
  if (target.entry->kind == EntryKind::kDirectory) {
    DirectoryRow row = *tables.directory(target.entry->id);
    row.parent = trash;
    tables.put(target.entry->id, row);
  }
  tables.put(trash, name_in_trash(tables, entry, target.name), *target.entry);
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
  if (operation.seconds > 0) TRY_VOID(check_no_file(tables));
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
