#include "core/namespace/permissions.h"

#include <algorithm>
#include <tuple>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/namespace/path.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {
namespace {

constexpr uint16_t kModeMax = 07777;
constexpr uint16_t kDirectoryMode = 0755;
constexpr uint16_t kFileMode = 0644;

bool is_member(const Asker& asker, std::string_view group) {
  return !group.empty() && std::ranges::find(asker.groups, group) != asker.groups.end();
}

bool is_owner(const Asker& asker, const InodeAttributes& attributes) {
  return !attributes.owner.empty() && asker.user == attributes.owner;
}

bool may(const Asker& asker, const InodeAttributes& attributes, EntryKind kind, Access access) {
  if (attributes.owner.empty() && attributes.group.empty() && !attributes.mode) return true;
  const uint16_t mode =
      attributes.mode.value_or(kind == EntryKind::kDirectory ? kDirectoryMode : kFileMode);
  int shift = 0;
  if (is_member(asker, attributes.group)) shift = 3;
  if (is_owner(asker, attributes)) shift = 6;
  return (mode >> shift & static_cast<int>(access)) != 0;
}

std::string_view access_name(Access access) {
  switch (access) {
    case Access::kEnter: return "enter";
    case Access::kWrite: return "change";
    case Access::kRead: return "read";
  }
  return "use";
}

Result<> check_name_of(std::string_view what, std::string_view name) {
  if (name.size() <= limits::kUserNameBytesMax) return {};
  return fail(Code::kTooLarge, "the name of {} has {} bytes, at most {} are allowed", what,
              name.size(), limits::kUserNameBytesMax);
}

Result<> check_labels(const std::vector<Label>& labels) {
  size_t bytes = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const Label& label = labels[i];
    bytes += label.name.size() + label.value.size();
    if (label.kind < LabelKind::kXattr || label.kind > LabelKind::kTag) {
      return fail(Code::kInvalid, "there is no kind of label {}", static_cast<int>(label.kind));
    }
    if (label.name.empty() || label.name.size() > limits::kLabelNameBytesMax) {
      return fail(Code::kInvalid, "the name of a label has {} bytes, 1 to {} are allowed",
                  label.name.size(), limits::kLabelNameBytesMax);
    }
    if (i == 0) continue;
    const Label& before = labels[i - 1];
    if (std::tie(before.kind, before.name) >= std::tie(label.kind, label.name)) {
      return fail(Code::kInvalid, "the label {} is there twice, or out of order",
                  shown(label.name));
    }
  }
  if (labels.size() <= limits::kLabelsMax && bytes <= limits::kLabelsBytesMax) return {};
  return fail(Code::kTooLarge, "{} labels with {} bytes, at most {} with {} are allowed",
              labels.size(), bytes, limits::kLabelsMax, limits::kLabelsBytesMax);
}

// Where a label of that kind and name is or belongs.
auto label_place(std::vector<Label>& labels, const LabelChange& change) {
  return std::ranges::lower_bound(labels, std::tie(change.kind, change.name), {},
                                  [](const Label& l) { return std::tie(l.kind, l.name); });
}

void change_label(std::vector<Label>& labels, const LabelChange& change) {
  const auto place = label_place(labels, change);
  const bool there =
      place != labels.end() && place->kind == change.kind && place->name == change.name;
  if (there && change.value) place->value = *change.value;
  if (there && !change.value) labels.erase(place);
  if (!there && change.value) {
    labels.insert(place, {.kind = change.kind, .name = change.name, .value = *change.value});
  }
}

// What only the owner may change, and what nobody may.
Result<> check_ownership(const Asker& asker, const InodeAttributes& old,
                         const SetAttributes& operation) {
  const bool gives_away = operation.owner && *operation.owner != old.owner;
  if (gives_away && !(old.owner.empty() && *operation.owner == asker.user)) {
    return fail(Code::kDenied, "{} may not give {} to another owner", shown(asker.user),
                shown(operation.path));
  }
  if ((operation.mode || operation.group) && !old.owner.empty() && !is_owner(asker, old)) {
    return fail(Code::kDenied, "{} belongs to {}, not to {}", shown(operation.path),
                shown(old.owner), shown(asker.user));
  }
  if (operation.group && *operation.group != old.group && !is_member(asker, *operation.group)) {
    return fail(Code::kDenied, "{} is not in the group {}", shown(asker.user),
                shown(*operation.group));
  }
  return {};
}

}  // namespace

Result<> check_access(const Asker* asker, const InodeAttributes& attributes, EntryKind kind,
                      Access access, std::string_view path) {
  if (asker == nullptr || may(*asker, attributes, kind, access)) return {};
  return fail(Code::kDenied, "{} may not {} {}", shown(asker->user), access_name(access),
              shown(path));
}

Result<> check_directory(const Tables& tables, const Asker* asker, InodeId directory, Access access,
                         std::string_view path) {
  if (asker == nullptr) return {};
  const auto row = tables.directory(directory);
  CHECK(row.has_value(), "directory {} has a name and no row", directory);
  return check_access(asker, row->attributes, EntryKind::kDirectory, access, path);
}

Result<> check_attributes(const InodeAttributes& attributes) {
  TRY_VOID(check_name_of("an owner", attributes.owner));
  TRY_VOID(check_name_of("a group", attributes.group));
  if (attributes.mode.value_or(0) > kModeMax) {
    return fail(Code::kInvalid, "a mode of {:#o}, at most {:#o} is allowed", *attributes.mode,
                kModeMax);
  }
  return check_labels(attributes.labels);
}

InodeAttributes made_by(const Asker* asker, InodeAttributes attributes) {
  if (asker == nullptr) return attributes;
  if (attributes.owner.empty()) attributes.owner = asker->user;
  if (attributes.group.empty() && !asker->groups.empty()) attributes.group = asker->groups.front();
  return attributes;
}

Result<InodeAttributes> changed_attributes(const Asker* asker, EntryKind kind, InodeAttributes old,
                                           const SetAttributes& operation) {
  if (operation.labels.size() > limits::kLabelsMax) {
    return fail(Code::kTooLarge, "{} labels changed at once, at most {} are allowed",
                operation.labels.size(), limits::kLabelsMax);
  }
  if (asker != nullptr) {
    TRY_VOID(check_ownership(*asker, old, operation));
    const bool others = operation.modified || operation.accessed || !operation.labels.empty();
    if (others && !is_owner(*asker, old)) {
      TRY_VOID(check_access(asker, old, kind, Access::kWrite, operation.path));
    }
  }
  InodeAttributes out = std::move(old);
  if (operation.owner) out.owner = *operation.owner;
  if (operation.group) out.group = *operation.group;
  if (operation.mode) out.mode = operation.mode;
  if (operation.accessed) out.accessed = operation.accessed;
  for (const LabelChange& change : operation.labels) change_label(out.labels, change);
  TRY_VOID(check_attributes(out));
  return out;
}

}  // namespace dogfs::metadata
