// The snapshots of a RaftHost: written from a frozen state while commits go on, loaded at the
// start, streamed to members that are too far behind, and installed when a leader sends one. A
// snapshot file holds the pieces of the state, each with its length in front; its head is the
// SnapshotMeta.
#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/env/nursery.h"
#include "core/raft/record.h"
#include "nodes/metadata/raft_host.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kPieceBytes = limits::kSnapshotChunkBytes;
constexpr int kSendAttempts = 8;

Buffer framed(const std::string& piece) {
  Encoder out;
  out.text(piece);
  return Buffer::take(std::move(out).take());
}

// Feeds the pieces of a snapshot file to a state.
Task<Result<void>> feed(wal::SnapshotFile& file, ReplicatedState::Restoring& restoring) {
  std::string pending;
  for (uint64_t offset = 0; offset < file.size();) {
    CO_TRY(bytes, co_await file.read(offset, limits::kSnapshotPieceBytes));
    if (bytes.empty()) co_return fail(Code::kCorrupt, "a snapshot ends early");
    offset += bytes.size();
    pending += bytes.text();
    Decoder in(pending);
    size_t used = 0;
    for (auto piece = in.text(); in.ok(); piece = in.text()) {
      CO_TRY_VOID(restoring.add(piece));
      used = pending.size() - in.remaining();
    }
    pending.erase(0, used);
  }
  if (!pending.empty()) co_return fail(Code::kCorrupt, "a snapshot ends within a piece");
  co_return Result<void>();
}

Task<Result<uint32_t>> checksum_of(wal::SnapshotFile& file) {
  Crc32c checksum;
  for (uint64_t offset = 0; offset < file.size();) {
    CO_TRY(bytes, co_await file.read(offset, limits::kSnapshotPieceBytes));
    checksum.add(bytes.view());
    offset += bytes.size();
  }
  co_return checksum.value();
}

}  // namespace

// A snapshot being received.
struct RaftHost::Incoming {
  raft::SnapshotOffer offer;
  uint64_t file_bytes = 0;
  uint32_t file_checksum = 0;
  std::unique_ptr<wal::SnapshotWriter> writer;
  Crc32c checksum;
  bool busy = false;  // a piece is being written
};

RaftHost::RaftHost(Env& env, RaftHostOptions options, const RaftHostParts& parts,
                   raft::Recovered recovered)
    : env_(env),
      options_(std::move(options)),
      parts_(parts),
      persist_wanted_(env),
      send_wanted_(env),
      snapshot_wanted_(env),
      role_changed_(env),
      failed_(env) {
  core_.emplace(options_.raft, std::move(recovered), env.random().fork("raft"));
}

RaftHost::~RaftHost() = default;

Task<Result<void>> RaftHost::load_newest_snapshot() {
  const raft::SnapshotMeta meta = core_->log().snapshot();
  applied_ = meta.last.index;
  if (!applied_) co_return Result<void>();
  CO_TRY(file, co_await wal::SnapshotFile::open(env_, parts_.snapshots, applied_));
  CO_TRY(head, raft::decode_snapshot_meta(as_bytes(file->head())));
  if (head != meta)
    co_return fail(Code::kCorrupt, "the snapshot at {} is not the one that the log names",
                   applied_);
  const auto restoring = parts_.state.begin_restore();
  CO_TRY_VOID(co_await feed(*file, *restoring));
  co_return restoring->finish();
}

Task<> RaftHost::snapshot_loop() {
  for (;;) {
    while (log_bytes_ < options_.snapshot_after_bytes) co_await snapshot_wanted_.wait();
    if (auto written = co_await write_snapshot(); !written) {
      // The log goes on growing; the next attempt comes after as much again.
      env_.log().warning("group {}: snapshot: {}", core_->options().group, written.error());
      if (!written.error().is(Code::kNoSpace)) {
        fail_with(written.error().in("snapshot"));
        co_return;
      }
    }
  }
}

Task<Result<void>> RaftHost::write_snapshot() {
  const raft::SnapshotMeta meta = core_->snapshot_meta(applied_);
  const auto frozen = parts_.state.freeze();
  log_bytes_ = 0;
  CO_TRY(writer, co_await wal::SnapshotWriter::begin(env_, parts_.snapshots, meta.last.index,
                                                     raft::encode_snapshot_meta(meta)));
  while (auto piece = frozen->next_piece(kPieceBytes)) {
    if (auto taken = co_await writer->append(framed(*piece)); !taken) {
      co_await writer->discard();
      co_return taken;
    }
  }
  CO_TRY_VOID(co_await writer->publish());
  // A snapshot that a leader sent meanwhile may be newer.
  if (meta.last.index > core_->log().snapshot().last.index) step(raft::Compact{meta});
  co_return Result<void>();
}

Task<> RaftHost::send_snapshots_loop() {
  for (;;) {
    while (snapshots_to_send_.empty()) co_await send_wanted_.wait();
    const auto offer = std::move(snapshots_to_send_.front());
    snapshots_to_send_.pop_front();
    auto sent = co_await send_snapshot(offer);
    if (!sent)
      env_.log().info("snapshot {} to {}: {}", offer.snapshot.last, offer.envelope.to,
                      sent.error());
    step(raft::SnapshotSent{offer.envelope.to, sent.has_value()});
  }
}

Task<Result<void>> RaftHost::send_snapshot(raft::SnapshotOffer offer) {
  CO_TRY(file, co_await wal::SnapshotFile::open(env_, parts_.snapshots, offer.snapshot.last.index));
  CO_TRY(checksum, co_await checksum_of(*file));
  uint64_t offset = 0;
  for (int failures = 0; offset < file->size();) {
    CO_TRY(bytes, co_await file->read(offset, limits::kSnapshotPieceBytes));
    auto next = co_await parts_.peers.send_piece({.offer = offer,
                                                  .file_bytes = file->size(),
                                                  .file_checksum = checksum,
                                                  .offset = offset,
                                                  .bytes = std::move(bytes)});
    if (!leading()) co_return fail(Code::kNotLeader, "no longer the leader");
    if (next && *next > file->size()) co_return fail(Code::kInvalid, "the receiver wants more");
    if (next && *next > offset) failures = 0;
    if ((!next || *next <= offset) && ++failures > kSendAttempts)
      co_return fail(next ? Error{Code::kUnavailable, "the receiver makes no progress"}
                          : next.error());
    if (next)
      offset = *next;
    else
      co_await env_.sleep(options_.tick);
  }
  co_return Result<void>();
}

Task<Result<uint64_t>> RaftHost::receive_snapshot_piece(RaftPeers::Piece piece) {
  if (!started_ || failure_) co_return fail(Code::kUnavailable, "not ready");
  if (piece.offer.snapshot.last.index <= core_->log().snapshot().last.index)
    co_return piece.file_bytes;  // nothing to gain from it
  if (incoming_ && incoming_->busy) co_return fail(Code::kUnavailable, "busy with another piece");
  if (!incoming_ || incoming_->offer != piece.offer) {
    if (piece.offset != 0) co_return 0;
    CO_TRY_VOID(co_await begin_incoming(piece));
  }
  const auto incoming = incoming_;
  if (piece.offset != incoming->writer->size()) co_return incoming->writer->size();
  incoming->busy = true;
  incoming->checksum.add(piece.bytes.view());
  auto taken = co_await incoming->writer->append(std::move(piece.bytes));
  incoming->busy = false;
  if (taken && incoming->writer->size() >= incoming->file_bytes) taken = co_await install(incoming);
  if (!taken || incoming->writer->size() >= incoming->file_bytes)
    if (incoming_ == incoming) incoming_ = nullptr;
  if (!taken) co_return fail(taken.error());
  co_return incoming->writer->size();
}

Task<Result<void>> RaftHost::begin_incoming(RaftPeers::Piece piece) {
  auto incoming = std::make_shared<Incoming>();
  incoming->offer = piece.offer;
  incoming->file_bytes = piece.file_bytes;
  incoming->file_checksum = piece.file_checksum;
  incoming->busy = true;
  incoming_ = incoming;
  auto writer =
      co_await wal::SnapshotWriter::begin(env_, parts_.snapshots, piece.offer.snapshot.last.index,
                                          raft::encode_snapshot_meta(piece.offer.snapshot));
  if (!writer) {
    incoming_ = nullptr;
    co_return fail(writer.error());
  }
  incoming->writer = std::move(*writer);
  incoming->busy = false;
  co_return Result<void>();
}

Task<Result<void>> RaftHost::install(std::shared_ptr<Incoming> incoming) {
  incoming->busy = true;
  if (incoming->checksum.value() != incoming->file_checksum ||
      incoming->writer->size() != incoming->file_bytes)
    co_return fail(Code::kCorrupt, "the snapshot did not arrive as it was sent");
  CO_TRY_VOID(co_await incoming->writer->publish());
  CO_TRY(file, co_await wal::SnapshotFile::open(env_, parts_.snapshots,
                                                incoming->offer.snapshot.last.index));
  auto restoring = parts_.state.begin_restore();
  CO_TRY_VOID(co_await feed(*file, *restoring));
  installing_ = std::move(restoring);
  step(raft::SnapshotReceived{incoming->offer});
  installing_ = nullptr;
  co_return Result<void>();
}

void RaftHost::restore(const raft::SnapshotMeta& snapshot) {
  CHECK(installing_ != nullptr, "no snapshot is at hand for {}", snapshot.last);
  if (auto restored = installing_->finish(); !restored)
    return fail_with(restored.error().in("snapshot"));
  applied_ = snapshot.last.index;
  log_bytes_ = 0;
  env_.log().info("group {}: restored the snapshot at {}", core_->options().group, snapshot.last);
  if (parts_.observer != nullptr)
    parts_.observer->applied(core_->options().group, core_->self(), applied_,
                             parts_.state.digest());
  while (!accepted_.empty() && accepted_.begin()->first <= applied_) {
    accepted_.begin()->second.outcome->settle(
        fail(Code::kUnknown, "a snapshot took the place of the log entry"));
    accepted_.erase(accepted_.begin());
  }
}

}  // namespace dogfs::nodes
