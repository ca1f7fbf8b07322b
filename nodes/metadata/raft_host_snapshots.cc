// The snapshots of a RaftHost: written from a frozen state while commits go on, loaded at the
// start, streamed to members that are too far behind, and installed when a leader sends one. A
// snapshot file holds the pieces of the state, each with its length in front; its head is the
// SnapshotMeta.
#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/env/compute.h"
#include "core/env/nursery.h"
#include "core/raft/record.h"
#include "nodes/metadata/raft_host.h"

namespace dogfs::nodes {
namespace {

constexpr size_t kPieceBytes = limits::kSnapshotChunkBytes;
constexpr int kSendAttempts = 8;

constexpr uint64_t kLogShare = 4;
constexpr uint64_t kDelayUnit = 1024;  // of snapshot_delay_

// Destroyed within one turn of the event loop, some 100 us; and how long the loop has for others
// before the next.
constexpr size_t kForgottenAtOnce = 1000;
constexpr Duration kBetweenForgotten = std::chrono::milliseconds(1);

// How often it is looked whether a snapshot that is offered again has been written.
constexpr Duration kUntilWrittenAnew = std::chrono::milliseconds(500);

// How many times as long as it worked on a piece the writer of a snapshot rests.
constexpr int kPausesPerPiece = 5;

// The next piece of a state with its length in front; nothing behind the last.
std::optional<Buffer> framed_piece(ReplicatedState::Frozen& frozen) {
  const auto piece = frozen.next_piece(kPieceBytes);
  if (!piece) return std::nullopt;
  Encoder out;
  out.text(*piece);
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
};

RaftHost::RaftHost(Env& env, RaftHostOptions options, const RaftHostParts& parts,
                   raft::Recovered recovered)
    : env_(env),
      options_(std::move(options)),
      parts_(parts),
      persist_wanted_(env),
      send_wanted_(env),
      snapshot_wanted_(env),
      requests_wanted_(env),
      role_changed_(env),
      failed_(env) {
  core_.emplace(options_.raft, std::move(recovered), env.random().fork("raft"));
  hard_state_ = core_->hard_state();
  draw_snapshot_delay();
  // Where in the log the recovered entries stand is not known: all of it is kept for them.
  if (core_->last().index) written_.push_back({core_->last().index, wal::Lsn(1)});
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
  snapshot_bytes_ = file->size();
  CO_TRY(restoring, co_await read_state(*file));
  co_return restoring->finish();
}

// The state that the file holds, complete: only to be finished.
Task<Result<std::shared_ptr<ReplicatedState::Restoring>>> RaftHost::read_state(
    wal::SnapshotFile& file) {
  std::shared_ptr<ReplicatedState::Restoring> restoring = parts_.state.begin_restore();
  CO_TRY_VOID(co_await feed(file, *restoring));
  CO_TRY_VOID(co_await offload(env_, file.size(), [restoring] { return restoring->complete(); }));
  co_return std::move(restoring);
}

// One task writes snapshot files, this server's own and a leader's, one step at a time: they share
// the unfinished file. It is the host's task, since what began on the disk must not be cut off when
// the call that brought a piece is cancelled.
Task<> RaftHost::snapshot_loop() {
  for (;;) {
    if (arrival_) {
      co_await take_piece();
    } else if (!snapshot_is_due()) {
      co_await snapshot_wanted_.wait();
    } else if (auto written = co_await write_snapshot(); !written) {
      // The log goes on growing; the next attempt comes after as much again.
      env_.log().warning("group {}: snapshot: {}", core_->options().group, written.error());
      if (written.error().is(Code::kNoSpace)) continue;
      fail_with(written.error().in("snapshot"));
      co_return;
    }
  }
}

// After as much log as was asked for; of a large state, a part of its size: it is not written over
// and over for the sake of little news.
bool RaftHost::snapshot_is_due() const {
  if (newest_is_spoiled_) return true;
  const uint64_t after = std::max(options_.snapshot_after_bytes, snapshot_bytes_ / kLogShare);
  return log_bytes_ >= after + after / kDelayUnit * snapshot_delay_;
}

void RaftHost::draw_snapshot_delay() { snapshot_delay_ = env_.random().below(kDelayUnit / 2); }

Task<Result<void>> RaftHost::write_snapshot() {
  incoming_ = nullptr;  // its unfinished file is written over; the sender begins again
  const raft::SnapshotMeta meta = core_->snapshot_meta(applied_);
  log_bytes_ = 0;
  draw_snapshot_delay();
  const auto written = co_await write_pieces(parts_.state.freeze(), meta.last.index,
                                             raft::encode_snapshot_meta(meta));
  newest_is_spoiled_ = false;  // or found to be so once more
  CO_TRY_VOID(written);
  step(raft::Compact{meta});
  co_await forget(std::exchange(forgotten_, {}));
  co_return Result<void>();
}

// Entries were made by this thread, one by one, and go so: another thread that frees them all at
// once leaves the allocator a long turn of its own in this one.
Task<> RaftHost::forget(std::deque<raft::Entry> entries) {
  while (entries.size() > kForgottenAtOnce) {
    entries.erase(entries.begin(), entries.begin() + kForgottenAtOnce);
    co_await env_.sleep(kBetweenForgotten);
  }
}

// What has a great many parts is destroyed off the event loop.
template <class T>
Task<> RaftHost::let_go(T unwanted) {
  co_await offload(env_, 0, [gone = std::make_shared<T>(std::move(unwanted))]() mutable {
    gone.reset();
    return true;
  });
}

Task<Result<void>> RaftHost::write_pieces(std::shared_ptr<ReplicatedState::Frozen> frozen,
                                          LogIndex index, std::string head) {
  CO_TRY(writer,
         co_await wal::SnapshotWriter::begin(env_, parts_.snapshots, index, std::move(head)));
  Result<void> written;
  while (written) {
    const Instant begun = env_.now();
    auto piece = co_await offload(env_, kPieceBytes, [frozen] { return framed_piece(*frozen); });
    if (!piece) break;
    written = co_await writer->append(std::move(*piece));
    // Commits come first: they share disk and processors with this.
    co_await env_.sleep((env_.now() - begun) * kPausesPerPiece);
  }
  co_await let_go(std::move(frozen));
  if (written) written = co_await writer->publish();
  if (written) snapshot_bytes_ = writer->size();
  if (!written) co_await writer->discard();
  co_return written;
}

Task<> RaftHost::send_snapshots_loop() {
  for (;;) {
    while (snapshots_to_send_.empty()) co_await send_wanted_.wait();
    const auto offer = std::move(snapshots_to_send_.front());
    snapshots_to_send_.pop_front();
    // A core that does not lead that term any more has forgotten the offer.
    if (!leading() || core_->term() != offer.envelope.term) continue;
    auto sent = co_await send_snapshot(offer);
    sending_ = {};
    if (!sent)
      env_.log().info("snapshot {} to {}: {}", offer.snapshot.last, offer.envelope.to,
                      sent.error());
    while (newest_is_spoiled_) co_await env_.sleep(kUntilWrittenAnew);
    if (leading() && core_->term() == offer.envelope.term)
      step(raft::SnapshotSent{offer.envelope.to, sent.has_value()});
  }
}

// What was read of the snapshot at `index`. If that is spoiled, another one is written at once: the
// state is at hand, and the log may not grow by as much as brings the next one for long.
template <class T>
Result<T> RaftHost::own(LogIndex index, Result<T> read) {
  // One that has a successor may be gone.
  if (read || newest_is_spoiled_ || index != core_->log().snapshot().last.index) return read;
  env_.log().warning("group {}: the own snapshot at {} is spoiled, another one is written: {}",
                     core_->options().group, index, read.error());
  newest_is_spoiled_ = true;
  snapshot_wanted_.notify();
  return read;
}

Task<Result<void>> RaftHost::send_snapshot(raft::SnapshotOffer offer) {
  const LogIndex index = offer.snapshot.last.index;
  CO_TRY(file, own(index, co_await wal::SnapshotFile::open(env_, parts_.snapshots, index)));
  CO_TRY(checksum, own(index, co_await checksum_of(*file)));
  uint64_t offset = 0;
  for (int failures = 0; offset < file->size();) {
    sending_ = {offer.envelope.to, offset, file->size()};
    CO_TRY(bytes, own(index, co_await file->read(offset, limits::kSnapshotPieceBytes)));
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
  const raft::Envelope& envelope = piece.offer.envelope;
  if (envelope.group != core_->options().group || envelope.to != core_->self())
    co_return fail(Code::kPrecondition, "a snapshot of group {} for member {}", envelope.group,
                   envelope.to);
  if (envelope.term < core_->term())
    co_return fail(Code::kPrecondition, "term {} is over", envelope.term);
  if (piece.offer.snapshot.last.index <= core_->commit())
    co_return piece.file_bytes;  // nothing to gain from it
  if (arrival_) co_return fail(Code::kUnavailable, "busy with another piece");
  const auto arrival = std::make_shared<Arrival>(env_, std::move(piece));
  arrival_ = arrival;
  snapshot_wanted_.notify();
  co_await arrival->next.done.wait();
  co_return std::move(*arrival->next.result);
}

Task<> RaftHost::take_piece() {
  const auto arrival = arrival_;
  auto next = co_await write_piece(std::move(arrival->piece));
  // What a failed write or sync left, nobody knows: final, as for the log.
  const Error error = next ? Error{} : next.error();
  if (std::exchange(arrival_, nullptr)) arrival->next.settle(std::move(next));
  if (error.is(Code::kIo)) fail_with(error.in("snapshot"));
}

Task<Result<uint64_t>> RaftHost::write_piece(RaftPeers::Piece piece) {
  if (!incoming_ || incoming_->offer != piece.offer) {
    if (piece.offset != 0) co_return 0;
    CO_TRY_VOID(co_await begin_incoming(piece));
  }
  wal::SnapshotWriter& writer = *incoming_->writer;
  if (piece.offset != writer.size()) co_return writer.size();
  incoming_->checksum.add(piece.bytes.view());
  auto taken = co_await writer.append(std::move(piece.bytes));
  if (taken && writer.size() < incoming_->file_bytes) co_return writer.size();
  if (taken) taken = co_await install();
  if (!taken) co_await incoming_->writer->discard();
  incoming_ = nullptr;
  if (!taken) co_return fail(taken.error());
  co_return piece.file_bytes;
}

Task<Result<void>> RaftHost::begin_incoming(RaftPeers::Piece piece) {
  incoming_ = nullptr;
  CO_TRY(writer, co_await wal::SnapshotWriter::begin(
                     env_, parts_.snapshots, piece.offer.snapshot.last.index,
                     raft::encode_snapshot_meta(piece.offer.snapshot)));
  incoming_ = std::make_unique<Incoming>();
  incoming_->offer = piece.offer;
  incoming_->file_bytes = piece.file_bytes;
  incoming_->file_checksum = piece.file_checksum;
  incoming_->writer = std::move(writer);
  co_return Result<void>();
}

Task<Result<void>> RaftHost::install() {
  if (incoming_->checksum.value() != incoming_->file_checksum ||
      incoming_->writer->size() != incoming_->file_bytes)
    co_return fail(Code::kCorrupt, "the snapshot did not arrive as it was sent");
  CO_TRY_VOID(co_await incoming_->writer->publish());
  CO_TRY(file, co_await wal::SnapshotFile::open(env_, parts_.snapshots,
                                                incoming_->offer.snapshot.last.index));
  CO_TRY(restoring, co_await read_state(*file));
  installing_ = std::move(restoring);
  step(raft::SnapshotReceived{incoming_->offer});
  co_await let_go(std::exchange(installing_, nullptr));  // with the state that it replaced
  co_return Result<void>();
}

void RaftHost::restore(const raft::SnapshotMeta& snapshot) {
  CHECK(installing_ != nullptr, "no snapshot is at hand for {}", snapshot.last);
  if (auto restored = installing_->finish(); !restored)
    return fail_with(restored.error().in("snapshot"));
  applied_ = snapshot.last.index;
  log_bytes_ = 0;
  snapshot_bytes_ = incoming_->file_bytes;
  env_.log().info("group {}: restored the snapshot at {}", core_->options().group, snapshot.last);
  if (parts_.observer != nullptr)
    parts_.observer->applied(core_->options().group, core_->self(), applied_,
                             parts_.state.digest());
  while (!accepted_.empty() && accepted_.front().position.index <= applied_) {
    accepted_.front().then(fail(Code::kUnknown, "a snapshot took the place of the log entry"));
    accepted_.pop_front();
  }
}

}  // namespace dogfs::nodes
