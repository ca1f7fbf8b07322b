#include "nodes/metadata/exports.h"

#include "core/base/limits.h"
#include "core/namespace/tables.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kIdleMax = 60s;
constexpr Duration kLookEvery = 10s;

metadata::BeginImport settings_of(const metadata::SettingsRow& row) {
  return {.cluster = row.settings.cluster,
          .incarnation = row.settings.incarnation,
          .policy = row.settings.policy,
          .block_bytes = row.settings.block_bytes,
          .cell_bytes = row.settings.cell_bytes,
          .inline_bytes = row.settings.inline_bytes,
          .trash_seconds = row.settings.trash_seconds,
          .trash_clock = row.trash_clock,
          .next_node = row.next_node};
}

}  // namespace

Task<> Exports::run() {
  for (;;) {
    co_await env_.sleep(kLookEvery);
    drop_idle();
  }
}

void Exports::drop_idle() {
  if (!group_.leading()) views_.clear();
  std::erase_if(views_, [&](const auto& view) { return env_.now() - view.second.used > kIdleMax; });
}

Result<std::map<uint64_t, Exports::View>::iterator> Exports::open() {
  drop_idle();
  if (views_.size() >= limits::kExportsMax)
    return fail(Code::kUnavailable, "{} exports are read already; try later", views_.size());
  View view{.snapshot = group_.freeze(),
            .settings = settings_of(group_.state().tables().settings()),
            .used = {}};
  uint64_t id = 0;
  while (id == 0 || views_.contains(id)) id = env_.random().next();
  return views_.emplace(id, std::move(view)).first;
}

Result<proto::ExportPart> Exports::part(const proto::ExportQuestion& question) {
  auto view = views_.find(question.id);
  if (question.id == 0) {
    TRY(opened, open());
    view = opened;
  }
  if (view == views_.end())
    return fail(Code::kNotFound, "this export is no longer held; begin again");
  view->second.used = env_.now();
  proto::ExportPart part{.id = view->first,
                         .position = question.position,
                         .rows = {},
                         .more = false,
                         .settings = view->second.settings};
  auto exported = view->second.snapshot.next_rows(part.position, limits::kExportPieceBytes);
  part.rows = std::move(exported.rows);
  part.more = exported.more;
  if (!part.more) views_.erase(view);
  return part;
}

}  // namespace dogfs::nodes
