// Export and import of the whole namespace.
#include "core/proto/namespace.pb.h"
#include "core/proto/namespace_codec.h"
#include "core/proto/namespace_fields.h"

namespace dogfs::proto {
namespace {

constexpr size_t kPositionBytesMax = 1024;  // a key and a byte

}  // namespace

void put(const metadata::BeginImport& op, BeginImport& out) {
  out.set_cluster(op.cluster.value);
  out.set_incarnation(op.incarnation.value);
  out.set_policy(op.policy.code());
  out.set_block_bytes(op.block_bytes);
  out.set_cell_bytes(op.cell_bytes);
  out.set_inline_bytes(op.inline_bytes);
  out.set_trash_seconds(op.trash_seconds);
  out.set_trash_clock(op.trash_clock);
  out.set_next_node(op.next_node);
}

Result<metadata::BeginImport> read(const BeginImport& from) {
  TRY(policy, checked_policy(from.policy()));
  if (from.incarnation() > UINT16_MAX) {
    return fail(Code::kInvalid, "there is no incarnation {}", from.incarnation());
  }
  return metadata::BeginImport{
      .cluster = ClusterId(from.cluster()),
      .incarnation = Incarnation(static_cast<uint16_t>(from.incarnation())),
      .policy = policy,
      .block_bytes = from.block_bytes(),
      .cell_bytes = from.cell_bytes(),
      .inline_bytes = from.inline_bytes(),
      .trash_seconds = from.trash_seconds(),
      .trash_clock = from.trash_clock(),
      .next_node = from.next_node()};
}

void put(const metadata::ImportedRow& row, ImportedRow& out) {
  out.set_key(row.key);
  out.set_value(row.value);
}

Result<std::vector<metadata::ImportedRow>> read_rows(
    const google::protobuf::RepeatedPtrField<ImportedRow>& from) {
  TRY_VOID(checked_count(from.size(), limits::kImportRowsMax, "rows"));
  std::vector<metadata::ImportedRow> out;
  out.reserve(static_cast<size_t>(from.size()));
  for (const auto& row : from) out.push_back({row.key(), row.value()});
  return out;
}

std::string encode_export(const ExportQuestion& question) {
  ExportRequest out;
  out.set_export_id(question.id);
  out.set_position(question.position);
  return out.SerializeAsString();
}

Result<ExportQuestion> decode_export(std::string_view bytes) {
  TRY(message, parsed<ExportRequest>(bytes, "question for an export"));
  if (message.position().size() > kPositionBytesMax) {
    return fail(Code::kTooLarge, "a position of {} bytes", message.position().size());
  }
  return ExportQuestion{.id = message.export_id(), .position = message.position()};
}

std::string encode_export_part(const ExportPart& part) {
  ExportReply out;
  out.set_export_id(part.id);
  out.set_position(part.position);
  out.set_more(part.more);
  for (const auto& row : part.rows) put(row, *out.add_rows());
  put(part.settings, *out.mutable_settings());
  return out.SerializeAsString();
}

Result<ExportPart> decode_export_part(std::string_view bytes) {
  TRY(message, parsed<ExportReply>(bytes, "part of an export"));
  TRY(rows, read_rows(message.rows()));
  TRY(settings, read(message.settings()));
  return ExportPart{.id = message.export_id(),
                    .position = message.position(),
                    .rows = std::move(rows),
                    .more = message.more(),
                    .settings = settings};
}

}  // namespace dogfs::proto
