#include "core/namespace/import.h"

#include <algorithm>
#include <memory>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/namespace/cluster.h"
#include "core/namespace/invariants.h"
#include "core/namespace/path.h"

namespace dogfs::metadata {
namespace {

// Servers may have joined, and clients too, after the export was made: ids begin well above.
constexpr uint32_t kNodesSkipped = limits::kNodesMax;
constexpr int kClientIncarnationShift = 40;

template <class... Kinds>
bool is_any(const Operation& operation) {
  return (std::holds_alternative<Kinds>(operation) || ...);
}

bool holds_nothing(const Counters& counters) {
  return counters.files == 0 && counters.directories == 1 && counters.uploads == 0 &&
         counters.blocks == 0 && counters.garbage_blocks == 0;
}

// A chunk server that joined has an id that the old cluster may have given, too.
Result<> check_no_servers(const Tables& tables) {
  for (const auto& [id, node] : tables.map().nodes()) {
    if (node.kind != placement::NodeKind::kChunk) continue;
    return fail(Code::kPrecondition,
                "chunk server {} has joined already, as node {}, which the export may name: found "
                "the cluster anew, and import before chunk servers join that are not of the export",
                node.name, id);
  }
  return {};
}

// As far as it is done: by this replica, or again, when it was not there from the beginning.
Result<ImportCheck*> check_so_far(Tables& tables, const SettingsRow& settings) {
  auto& check = tables.import_check();
  if (check == nullptr || check->steps() != settings.checked_steps) {
    check = std::make_shared<ImportCheck>();
  }
  while (check->steps() < settings.checked_steps) {
    TRY_VOID(check->step(tables, settings.imported));
  }
  return check.get();
}

Result<> check_asker(const EntryContext& entry) {
  if (entry.asker == nullptr) return {};
  return fail(Code::kDenied, "{} may not import", shown(entry.asker->user));
}

Result<> check_importing(const Tables& tables) {
  if (tables.settings().importing) return {};
  return fail(Code::kPrecondition, "no import has begun");
}

// Ids of this cluster's own incarnation are those that it will give.
Result<> check_id(const Tables& tables, uint64_t id) {
  const Incarnation current = tables.settings().settings.incarnation;
  if (incarnation_of(InodeId(id)) < current) return {};
  return fail(Code::kInvalid, "id {:x} is not of an incarnation before {}", id, current);
}

// Ids given from here on have never been given, neither here nor, up to `before` and below
// `next_node`, elsewhere.
Result<> raise_incarnation(SettingsRow& row, Incarnation before, uint32_t next_node) {
  const uint32_t incarnation = uint32_t{std::max(row.settings.incarnation, before).value} + 1;
  if (incarnation >= 1u << kIncarnationBits) {
    return fail(Code::kTooLarge, "there is no incarnation after {}", incarnation - 1);
  }
  row.settings.incarnation = Incarnation(static_cast<uint16_t>(incarnation));
  row.next_client = std::max(row.next_client, uint64_t{incarnation} << kClientIncarnationShift);
  const uint32_t room = UINT32_MAX - kNodesSkipped;
  row.next_node = std::min(std::max(row.next_node, next_node), room) + kNodesSkipped;
  return {};
}

// Chunk servers of the exported cluster, by ids that it gave: those of metadata servers are
// configured, here and there alike, and those from next_node on are still to be given.
Result<> check_server(const Tables& tables, const ImportedRow& row) {
  TRY(node, placement::decode_node(row.value));
  if (key::node(node.id) != row.key) {
    return fail(Code::kInvalid, "a row stands under the key of another");
  }
  const uint32_t end = tables.settings().next_node - kNodesSkipped;
  if (node.id.value < limits::kFirstAssignedNode || node.id.value >= end) {
    return fail(Code::kInvalid,
                "server {} has id {}, which the cluster did not give: {} to {} were",
                shown(node.name), node.id, limits::kFirstAssignedNode, end - 1);
  }
  const auto* known = tables.map().find(node.name);
  if (known == nullptr || known->kind == placement::NodeKind::kChunk) return {};
  return fail(Code::kInvalid, "server {} has the name of metadata server {}", shown(node.name),
              known->id);
}

// What a key says beside its id must be what the rest of the code takes for granted.
Result<> check_tail(const Tables& tables, const key::Parsed& parsed, const ImportedRow& row) {
  if (parsed.tag == Tag::kDentry) return check_name(parsed.tail);
  bool fits = true;
  if (parsed.tag == Tag::kOutbox && key::outbox_kind_of(parsed.tail) == OutboxKind::kGarbage) {
    fits = slot_of(BlockId(key::outbox_id_of(parsed.tail))) == slot_of(InodeId(parsed.id));
  }
  if (parsed.tag == Tag::kNode) return check_server(tables, row);
  if (fits) return {};
  return fail(Code::kInvalid, "a row stands under the key of another");
}

Result<> check_row(const Tables& tables, const ImportedRow& row) {
  const auto parsed = key::parse(row.key);
  if (!parsed || !is_exported(*parsed, row.value)) {
    return fail(Code::kInvalid, "a row with a key of {} bytes cannot be imported", row.key.size());
  }
  TRY_VOID(check_id(tables, parsed->id));
  if (parsed->tag == Tag::kFile || parsed->tag == Tag::kReferrer) {
    TRY_VOID(check_id(tables, key::file_of(parsed->tail).value));
  }
  TRY_VOID(check_tail(tables, *parsed, row));
  return Tables::check(*parsed, row.value);
}

// No primary of the old cluster may take another record: what took appends is to be sealed.
std::string sealing(const ImportedRow& row) {
  const auto key = key::parse(row.key);
  if (key->tag != Tag::kBlock || !peek_append(row.value)) return row.value;
  auto block = decode<BlockRow>(row.value);
  if (!block->unsealed()) return row.value;
  block->state = BlockState::kSealing;
  block->append->epoch = block->append->epoch.next();
  return encode(*block);
}

}  // namespace

bool is_exported(const key::Parsed& key, std::string_view value) {
  switch (key.tag) {
    case Tag::kDirectory:
    case Tag::kDentry:
    case Tag::kFile:
    case Tag::kBlock:
    case Tag::kReferrer:
    case Tag::kKnown:
    case Tag::kOutbox: return true;
    case Tag::kNode: {
      const auto node = placement::decode_node(value);
      return node && node->kind == placement::NodeKind::kChunk;
    }
    case Tag::kSession:
    case Tag::kSlot:
    case Tag::kSettings: return false;
  }
  return false;
}

Result<> check_not_importing(const Tables& tables, const Operation& operation) {
  if (!tables.settings().importing) return {};
  if (is_any<BeginImport, ImportRows, FinishImport, CreateCluster, RegisterNode, SetNodeState,
             SetNodeSpace, RegisterClient, ExpireSession, RaiseIncarnation, SetClusterVersion>(
          operation)) {
    return {};
  }
  return fail(Code::kUnavailable,
              "an import is under way; try later. If it was cut off, run it again");
}

Response apply(Tables& tables, const EntryContext& entry, const BeginImport& operation) {
  TRY_VOID(check_asker(entry));
  SettingsRow row = tables.settings();
  ClusterSettings& settings = row.settings;
  if (settings.cluster != operation.cluster) {
    return fail(Code::kPrecondition,
                "this is cluster {:016x}, the export is of {:016x}: its shards belong to that; "
                "found a cluster with its id",
                settings.cluster.value, operation.cluster.value);
  }
  // One that was cut off begins again: its rows are written over, and those of another export
  // would be found at the end.
  if (!row.importing) {
    if (!holds_nothing(tables.counters()) || tables.packs()) {
      return fail(Code::kPrecondition,
                  "the cluster holds files or directories; import into a new one");
    }
    TRY_VOID(check_no_servers(tables));
  }
  TRY_VOID(check_sizes({.cluster = operation.cluster,
                        .policy = operation.policy,
                        .block_bytes = operation.block_bytes,
                        .cell_bytes = operation.cell_bytes,
                        .inline_bytes = operation.inline_bytes}));
  TRY_VOID(raise_incarnation(row, operation.incarnation, operation.next_node));
  settings.policy = operation.policy;
  settings.block_bytes = operation.block_bytes;
  settings.cell_bytes = operation.cell_bytes;
  settings.inline_bytes = operation.inline_bytes;
  settings.trash_seconds = std::min(operation.trash_seconds, limits::kTrashSecondsMax);
  row.trash_clock = operation.trash_clock;
  row.importing = true;
  row.imported = 0;
  row.checked_steps = 0;
  tables.import_check().reset();
  tables.put(row);
  return Done{};
}

Response apply(Tables& tables, const EntryContext&, const RaiseIncarnation&) {
  SettingsRow row = tables.settings();
  TRY_VOID(raise_incarnation(row, row.settings.incarnation, row.next_node));
  tables.put(row);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const ImportRows& operation) {
  TRY_VOID(check_asker(entry));
  TRY_VOID(check_importing(tables));
  size_t bytes = 0;
  for (const ImportedRow& row : operation.rows) {
    bytes += row.key.size() + row.value.size();
    TRY_VOID(check_row(tables, row));
  }
  if (operation.rows.size() > limits::kImportRowsMax || bytes > limits::kImportBytesMax) {
    return fail(Code::kTooLarge, "{} rows with {} bytes at once, at most {} with {} are allowed",
                operation.rows.size(), bytes, limits::kImportRowsMax, limits::kImportBytesMax);
  }
  tables.import_check().reset();
  for (const ImportedRow& row : operation.rows) {
    const auto restored = tables.restore(row.key, sealing(row));
    CHECK(restored.has_value(), "a checked row is refused: {}", restored.error());
  }
  SettingsRow settings = tables.settings();
  settings.imported += operation.rows.size();
  settings.checked_steps = 0;
  tables.put(settings);
  return Done{};
}

Response apply(Tables& tables, const EntryContext& entry, const FinishImport& operation) {
  TRY_VOID(check_asker(entry));
  TRY_VOID(check_importing(tables));
  SettingsRow settings = tables.settings();
  if (settings.imported != operation.rows) {
    return fail(Code::kCorrupt, "{} rows were imported, not {}; import again", settings.imported,
                operation.rows);
  }
  TRY(check, check_so_far(tables, settings));
  TRY(more, check->step(tables, settings.imported));
  if (more) {
    settings.checked_steps = check->steps();
    tables.put(settings);
    return StepTaken{.entries = 0, .more = true};
  }
  tables.finish_restore();
  tables.import_check().reset();
  settings.checked_steps = 0;
  settings.importing = false;
  tables.put(settings);
  return Done{};
}

}  // namespace dogfs::metadata
