// What inodes carry, and who asks: the parts of commands and answers that say it.
#include "core/proto/namespace.pb.h"
#include "core/proto/namespace_fields.h"

namespace dogfs::proto {
namespace {

using metadata::LabelKind;

Result<LabelKind> checked_kind(const Label& label) {
  return checked_enum(label.kind(), LabelKind::kXattr, LabelKind::kTag, "kind of label");
}

Result<std::string> checked_text(const std::string& text, size_t most, std::string_view what) {
  if (text.size() <= most) return text;
  return fail(Code::kTooLarge, "{} of {} bytes, at most {} are allowed", what, text.size(), most);
}

Result<uint16_t> checked_mode(uint32_t mode) {
  if (mode <= UINT16_MAX) return static_cast<uint16_t>(mode);
  return fail(Code::kInvalid, "there is no mode {:#o}", mode);
}

Result<metadata::LabelChange> read_change(const Label& from) {
  TRY(kind, checked_kind(from));
  TRY(name, checked_text(from.name(), limits::kLabelNameBytesMax, "a label's name"));
  TRY(value, checked_text(from.value(), limits::kLabelsBytesMax, "a label"));
  metadata::LabelChange out{.kind = kind, .name = std::move(name), .value = {}};
  if (from.has_value()) out.value = std::move(value);
  return out;
}

}  // namespace

void put(const metadata::FileVersion& version, FileVersion& out) {
  out.set_file(version.file.value);
  out.set_changes(version.changes);
}

metadata::FileVersion version_of(const FileVersion& message) {
  return {InodeId(message.file()), message.changes()};
}

void put(const metadata::Quota& quota, Quota& out) {
  if (quota.bytes) out.set_bytes(*quota.bytes);
  if (quota.entries) out.set_entries(*quota.entries);
}

metadata::Quota quota_of(const Quota& message) {
  metadata::Quota quota;
  if (message.has_bytes()) quota.bytes = message.bytes();
  if (message.has_entries()) quota.entries = message.entries();
  return quota;
}

void put(const metadata::Asker& asker, Asker& out) {
  out.set_user(asker.user);
  for (const auto& group : asker.groups) out.add_groups(group);
}

Result<metadata::Asker> read(const Asker& from) {
  TRY_VOID(checked_count(from.groups_size(), limits::kGroupsPerAskerMax, "groups"));
  TRY(user, checked_text(from.user(), limits::kUserNameBytesMax, "a user's name"));
  metadata::Asker out{.user = std::move(user), .groups = {}};
  for (const auto& group : from.groups()) {
    TRY(name, checked_text(group, limits::kUserNameBytesMax, "a group's name"));
    out.groups.push_back(std::move(name));
  }
  return out;
}

void put(const metadata::InodeAttributes& attributes, InodeAttributes& out) {
  out.set_owner(attributes.owner);
  out.set_group(attributes.group);
  if (attributes.mode) out.set_mode(*attributes.mode);
  if (attributes.accessed) out.set_accessed(attributes.accessed->nanoseconds);
  for (const auto& label : attributes.labels) {
    auto& row = *out.add_labels();
    row.set_kind(static_cast<uint32_t>(label.kind));
    row.set_name(label.name);
    row.set_value(label.value);
  }
}

Result<metadata::InodeAttributes> read(const InodeAttributes& from) {
  TRY_VOID(checked_count(from.labels_size(), limits::kLabelsMax, "labels"));
  metadata::InodeAttributes out;
  TRY(owner, checked_text(from.owner(), limits::kUserNameBytesMax, "an owner's name"));
  TRY(group, checked_text(from.group(), limits::kUserNameBytesMax, "a group's name"));
  out.owner = std::move(owner);
  out.group = std::move(group);
  if (from.has_mode()) {
    TRY(mode, checked_mode(from.mode()));
    out.mode = mode;
  }
  if (from.has_accessed()) out.accessed = WallTime{from.accessed()};
  for (const auto& row : from.labels()) {
    TRY(label, read_change(row));
    out.labels.push_back({.kind = label.kind,
                          .name = std::move(label.name),
                          .value = std::move(label.value).value_or("")});
  }
  return out;
}

void put(const metadata::SetAttributes& op, SetAttributes& out) {
  out.set_path(op.path);
  if (op.version) put(*op.version, *out.mutable_version());
  if (op.owner) out.set_owner(*op.owner);
  if (op.group) out.set_group(*op.group);
  if (op.mode) out.set_mode(*op.mode);
  if (op.modified) out.set_modified(op.modified->nanoseconds);
  if (op.accessed) out.set_accessed(op.accessed->nanoseconds);
  for (const auto& change : op.labels) {
    auto& row = *out.add_labels();
    row.set_kind(static_cast<uint32_t>(change.kind));
    row.set_name(change.name);
    if (change.value) row.set_value(*change.value);
  }
}

Result<metadata::SetAttributes> read(const SetAttributes& from) {
  TRY_VOID(checked_count(from.labels_size(), limits::kLabelsMax, "labels"));
  TRY(path, checked_path(from.path()));
  TRY(owner, checked_text(from.owner(), limits::kUserNameBytesMax, "an owner's name"));
  TRY(group, checked_text(from.group(), limits::kUserNameBytesMax, "a group's name"));
  TRY(mode, checked_mode(from.mode()));
  metadata::SetAttributes out;
  out.path = std::move(path);
  if (from.has_version()) out.version = version_of(from.version());
  if (from.has_owner()) out.owner = std::move(owner);
  if (from.has_group()) out.group = std::move(group);
  if (from.has_mode()) out.mode = mode;
  if (from.has_modified()) out.modified = WallTime{from.modified()};
  if (from.has_accessed()) out.accessed = WallTime{from.accessed()};
  for (const auto& row : from.labels()) {
    TRY(change, read_change(row));
    out.labels.push_back(std::move(change));
  }
  return out;
}

}  // namespace dogfs::proto
