#include "core/namespace/quota.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/namespace/packs.h"
#include "core/namespace/path.h"
#include "core/namespace/resolve.h"

namespace dogfs::metadata {
namespace {

Result<> check_amount(std::string_view what, const std::optional<uint64_t>& most, uint64_t used,
                      uint64_t more, uint64_t less) {
  if (!most || more <= less) return {};
  const uint64_t grown = more - less;
  if (used <= *most && grown <= *most - used) return {};
  return fail(
      Code::kNoSpace,
      "the quota of {} {} is full: {} used, {} more asked for; remove something or raise it", *most,
      what, used, grown);
}

Result<> check_one(const Tables& tables, InodeId directory, const Growth& growth) {
  const auto row = tables.directory(directory);
  CHECK(row.has_value(), "directory {} has no row", directory);
  const Use used = tables.use(directory);
  TRY_VOID(
      check_amount("bytes", row->quota.bytes, used.bytes, growth.more.bytes, growth.less.bytes));
  return check_amount("files and directories", row->quota.entries, used.entries,
                      growth.more.entries, growth.less.entries);
}

std::vector<InodeId> upwards(const Tables& tables, InodeId directory) {
  std::vector<InodeId> out;
  for (; directory && out.size() <= tables.counters().directories;
       directory = tables.parent(directory)) {
    out.push_back(directory);
  }
  return out;
}

}  // namespace

Result<> check_quota(const Tables& tables, InodeId directory, const Growth& growth) {
  if (!tables.any_quota()) return {};
  for (const InodeId here : upwards(tables, directory)) {
    TRY_VOID(check_one(tables, here, growth));
  }
  return {};
}

Result<> check_quota_of_moves(const Tables& tables, const std::vector<Move>& moves, InodeId to,
                              const Use& less) {
  if (!tables.any_quota()) return {};
  std::vector<std::vector<InodeId>> sources;
  for (const Move& move : moves) sources.push_back(upwards(tables, move.from));
  for (const InodeId here : upwards(tables, to)) {
    Growth growth{.more = {}, .less = less};
    for (size_t i = 0; i < moves.size(); ++i) {
      if (std::ranges::find(sources[i], here) != sources[i].end()) continue;
      growth.more.bytes += moves[i].what.bytes;
      growth.more.entries += moves[i].what.entries;
    }
    TRY_VOID(check_one(tables, here, growth));
  }
  return {};
}

Response apply(Tables& tables, const EntryContext& entry, const SetQuota& operation) {
  if (entry.asker != nullptr) {
    return fail(Code::kDenied, "{} may not set quotas", shown(entry.asker->user));
  }
  TRY_VOID(check_not_in_packs(tables, operation.path));
  TRY(target, resolve(tables, operation.path));
  if (!target.entry) {
    return fail(Code::kNotFound, "there is no directory {}", shown(operation.path));
  }
  if (target.entry->kind != EntryKind::kDirectory) {
    return fail(Code::kPrecondition, "{} is a file, not a directory", shown(operation.path));
  }
  DirectoryRow row = *tables.directory(target.entry->id);
  row.quota = operation.quota;
  tables.put(target.entry->id, row);
  return Done{};
}

}  // namespace dogfs::metadata
