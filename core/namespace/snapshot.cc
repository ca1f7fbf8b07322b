#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/limits.h"
#include "core/base/mutation.h"
#include "core/namespace/btree.h"
#include "core/namespace/import.h"
#include "core/namespace/state_machine.h"
#include "core/namespace/tables.h"

namespace dogfs::metadata {
namespace {

constexpr uint8_t kSnapshotFormat = 1;
constexpr char kBegun = 'k';  // in front of the last key, in a position that is not the start

void put_header(Encoder& out, LogIndex applied, const BTreeView& rows) {
  out.u8(kSnapshotFormat).id(applied).u64(rows.size()).u64(rows.digest());
}

// The rows without those of sessions: the planted bug M15.
BTreeView without_sessions(const BTreeView& rows) {
  BTree kept;
  for (auto at = rows.seek(""); at.valid(); at.next()) {
    if (key::parse(at.key())->tag != Tag::kSession) kept.put(at.key(), at.value());
  }
  return kept.freeze();
}

}  // namespace

struct Snapshot::Rows {
  BTreeView view;
};

Snapshot StateMachine::freeze() {
  BTreeView rows = tables_->freeze();
  if (MUTANT("M15")) rows = without_sessions(rows);
  Snapshot snapshot;
  snapshot.applied_ = applied_;
  snapshot.rows_ = std::make_shared<const Snapshot::Rows>(std::move(rows));
  return snapshot;
}

std::optional<std::string> Snapshot::next_piece(std::string& position, size_t bytes_max) const {
  CHECK(rows_ != nullptr, "a snapshot is made by StateMachine::freeze()");
  Encoder out;
  const bool start = position.empty();
  if (start) put_header(out, applied_, rows_->view);
  // Behind the last key: nothing sorts between it and itself with a zero byte.
  auto at = rows_->view.seek(start ? "" : position.substr(1) + std::string(1, '\0'));
  if (!start && !at.valid()) return std::nullopt;
  if (start) position = kBegun;
  bool any = start;
  for (; at.valid(); at.next()) {
    const size_t size = 2 * sizeof(uint32_t) + at.key().size() + at.value().size();
    if (any && out.size() + size > bytes_max) break;
    out.text(at.key()).text(at.value());
    position = kBegun;
    position += at.key();
    any = true;
  }
  return std::move(out).take();
}

Snapshot::Exported Snapshot::next_rows(std::string& position, size_t bytes_max) const {
  Exported out;
  size_t bytes = 0, seen = 0;
  auto at = rows_->view.seek(position.empty() ? "" : position.substr(1) + std::string(1, '\0'));
  for (; at.valid(); at.next()) {
    // Rows that are left away are work, too: a piece of sessions alone must end.
    if (bytes >= bytes_max || ++seen > limits::kImportRowsMax) break;
    position = kBegun;
    position += at.key();
    if (!is_exported(*key::parse(at.key()), at.value())) continue;
    bytes += at.key().size() + at.value().size();
    out.rows.push_back({std::string(at.key()), std::string(at.value())});
  }
  out.more = at.valid();
  return out;
}

StateMachine::Restore StateMachine::begin_restore() { return Restore(*this); }

StateMachine::Restore::Restore(StateMachine& machine)
    : machine_(&machine), tables_(std::make_unique<Tables>()) {}
StateMachine::Restore::~Restore() = default;
StateMachine::Restore::Restore(Restore&&) noexcept = default;

Result<> StateMachine::Restore::add(std::string_view piece) {
  Decoder in(piece);
  if (!started_) {
    const uint8_t format = in.u8();
    if (in.ok() && format != kSnapshotFormat) {
      return fail(Code::kUnsupported, "snapshot format {}, this build knows {}", format,
                  kSnapshotFormat);
    }
    applied_ = in.id<LogIndex>();
    rows_expected_ = in.u64();
    digest_expected_ = in.u64();
    started_ = in.ok();
  }
  while (in.ok() && !in.at_end()) {
    const auto key = in.text();
    const auto value = in.text();
    if (!in.ok()) break;
    if (key <= last_key_) return fail(Code::kCorrupt, "snapshot rows are out of order");
    last_key_ = key;
    TRY_VOID(tables_->restore(key, value));
  }
  if (!in.ok()) return fail(Code::kCorrupt, "a snapshot piece of {} bytes is cut", piece.size());
  return {};
}

Result<> StateMachine::Restore::complete() {
  const BTreeView& rows = tables_->rows();
  if (!started_ || rows.size() != rows_expected_ || rows.digest() != digest_expected_) {
    return fail(Code::kCorrupt, "a snapshot of {} rows came with {}", rows_expected_, rows.size());
  }
  tables_->finish_restore();
  complete_ = true;
  return {};
}

Result<> StateMachine::Restore::finish() {
  if (!complete_) TRY_VOID(complete());
  std::swap(machine_->tables_, tables_);
  if (!MUTANT("M9")) machine_->applied_ = applied_;
  return {};
}

}  // namespace dogfs::metadata
