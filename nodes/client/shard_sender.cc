#include "nodes/client/shard_sender.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "core/proto/chunk.pb.h"
#include "core/rpc/client.h"
#include "nodes/client/server_health.h"

namespace dogfs::nodes {
namespace {

// Small cells travel together, at the price of a copy; large ones as they are.
constexpr size_t kPieceBytes = 256 * limits::kKiB;
constexpr size_t kWindowBytes = 2 * limits::kMiB;
// Who pushes waits until less than half of this is queued (block_writer.cc), then pushes a batch.
constexpr size_t kQueueBytesMax = 8 * limits::kMiB;
constexpr Duration kCallLimit = 30s;
constexpr Duration kAbortLimit = 1s;
constexpr Duration kRetryPause = 100ms;
// For a server that failed, or held up others, in a block shortly before: the next ones do not wait
// for it as long again.
constexpr Duration kDoubtedPatience = 100ms;
static_assert(kWindowBytes >= 2 * kPieceBytes && kWindowBytes >= limits::kCellBytesMax &&
              kWindowBytes + limits::kCellBytesMax <= limits::kUploadWindowBytes);

}  // namespace

ShardSender::ShardSender(const Parts& parts, Target target, Duration patience, Event& changed)
    : env_(parts.env),
      rpc_(parts.rpc),
      health_(parts.health),
      copied_bytes_(parts.copied_bytes),
      target_(std::move(target)),
      doubted_(health_.doubtful(target_.server, env_.now())),
      patience_(doubted_ ? std::min(patience, kDoubtedPatience) : patience),
      changed_(changed),
      given_up_(env_),
      checksum_(target_.shard),
      last_progress_(env_.now()) {}

void ShardSender::push(chunk::CheckedBytes cell, uint32_t checksum) {
  checksum_.add_checksum(checksum, cell.bytes.size());
  if (state_ != State::kSending) return;
  queued_bytes_ += cell.bytes.size();
  CHECK(queued_bytes_ <= kQueueBytesMax, "{} bytes wait for {}", queued_bytes_, target_.server);
  cells_.push_back(std::move(cell));
  changed_.notify();
}

void ShardSender::end(uint64_t block_length) {
  block_length_ = block_length;
  changed_.notify();
}

void ShardSender::give_up(Error why) {
  if (state_ != State::kSending) return;
  state_ = State::kGivenUp;
  failure_ = std::move(why);
  cells_.clear();
  queued_bytes_ = 0;
  given_up_.set();
  changed_.notify();
}

void ShardSender::give_up_laggard(Error why) {
  if (state_ == State::kSending) {
    health_.failed(target_.server, env_.now());
    health_.lagged(target_.server, env_.now());
  }
  give_up(std::move(why));
}

Duration ShardSender::patience() const {
  const bool laggard = health_.laggard(target_.server, env_.now());
  return laggard ? std::min(patience_, kDoubtedPatience) : patience_;
}

Task<> ShardSender::run() {
  Result<void> sent;
  co_await nursery(env_, [&](Nursery& children) { return send_guarded(children, sent); });
  if (state_ == State::kGivenUp) {
    co_await abort();
    co_return;
  }
  if (sent) {
    state_ = State::kDurable;
    durable_at_ = env_.now();
    health_.answered(target_.server);
    changed_.notify();
    co_return;
  }
  give_up(std::move(sent).error());
  co_await abort();
}

// Sends in a child, so that giving up ends it wherever it waits.
Task<> ShardSender::send_guarded(Nursery& children, Result<void>& sent) {
  children.spawn(send_to_end(sent));
  co_await given_up_.wait();
}

Task<> ShardSender::send_to_end(Result<void>& sent) {
  sent = co_await send();
  given_up_.set();
}

Task<Result<void>> ShardSender::send() {
  // A shard that is small enough goes in one call.
  while (!block_length_ && queued_bytes_ < kPieceBytes) co_await changed_.wait();
  const bool whole = block_length_ && queued_bytes_ <= kPieceBytes;
  CO_TRY_VOID(co_await begin(whole));
  if (whole) co_return Result<void>();
  CO_TRY_VOID(co_await write_all());
  co_return co_await finish();
}

Task<Result<void>> ShardSender::begin(bool whole) {
  proto::ShardBeginRequest request;
  const auto& name = target_.shard.name;
  request.mutable_name()->set_block(name.block.value);
  request.mutable_name()->set_shard(name.shard);
  request.mutable_name()->set_generation(name.generation.value);
  request.set_k(target_.shape.k);
  request.set_m(target_.shape.m);
  request.set_cell_bytes(target_.shape.cell_bytes);
  request.set_expected_bytes(target_.expected_bytes);
  request.set_node(target_.server.value);
  chunk::CheckedBytes bytes;
  if (whole) {
    describe_end(*request.mutable_whole());
    if (!cells_.empty()) bytes = next_piece();
  }
  CO_TRY(reply, co_await call(rpc::Method::kShardBegin, rpc::serialize(request), std::move(bytes)));
  proto::ShardBeginReply begun;
  CO_TRY_VOID(rpc::parse(reply.message, begun));
  upload_ = begun.upload();
  co_return Result<void>();
}

void ShardSender::describe_end(proto::ShardEnd& end) const {
  end.set_block_length(*block_length_);
  end.set_checksum(checksum_.value());
}

Task<Result<void>> ShardSender::write_all() {
  co_await nursery(env_, [this](Nursery& children) { return stream(children); });
  if (write_failure_) co_return fail(*write_failure_);
  co_return Result<void>();
}

// Keeps up to a window of writes under way. The server applies them in order and answers them in
// order, so the window is a stretch of the shard.
Task<> ShardSender::stream(Nursery& children) {
  while (!write_failure_) {
    if (!cells_.empty() && (in_flight_ == 0 || in_flight_ + kPieceBytes <= kWindowBytes)) {
      chunk::CheckedBytes piece = next_piece();
      const uint64_t offset = sent_;
      sent_ += piece.bytes.size();
      in_flight_ += piece.bytes.size();
      children.spawn(write(offset, std::move(piece)));
    } else if (block_length_ && cells_.empty() && in_flight_ == 0) {
      co_return;
    } else {
      co_await changed_.wait();
    }
  }
}

chunk::CheckedBytes ShardSender::next_piece() {
  size_t count = 1;
  size_t bytes = cells_.front().bytes.size();
  while (count < cells_.size() && bytes + cells_[count].bytes.size() <= kPieceBytes)
    bytes += cells_[count++].bytes.size();
  if (count == 1) {
    chunk::CheckedBytes cell = std::move(cells_.front());
    cells_.pop_front();
    return cell;
  }
  copied_bytes_ += bytes;
  MutableBuffer piece(bytes);
  for (size_t at = 0; at < bytes; cells_.pop_front()) {
    const Buffer& cell = cells_.front().bytes;
    std::memcpy(piece.data() + at, cell.data(), cell.size());
    at += cell.size();
  }
  return {std::move(piece).freeze()};
}

Task<> ShardSender::write(uint64_t offset, chunk::CheckedBytes piece) {
  proto::ShardWriteRequest request;
  request.set_upload(upload_);
  request.set_offset(offset);
  const size_t bytes = piece.bytes.size();
  auto reply = co_await call(rpc::Method::kShardWrite, rpc::serialize(request), std::move(piece));
  in_flight_ -= bytes;
  if (!reply) {
    if (!write_failure_) write_failure_ = std::move(reply).error();
  } else if (state_ == State::kSending) {
    queued_bytes_ -= bytes;
  }
  changed_.notify();
}

Task<Result<void>> ShardSender::finish() {
  proto::ShardFinishRequest request;
  request.set_upload(upload_);
  describe_end(*request.mutable_end());
  auto reply = co_await call(rpc::Method::kShardFinish, rpc::serialize(request));
  if (reply) co_return Result<void>();
  if (!reply.error().is(Code::kNotFound)) co_return fail(std::move(reply).error());
  // The upload is forgotten: perhaps since it was finished, and the server was started anew.
  proto::ShardStatRequest question;
  question.mutable_name()->set_block(target_.shard.name.block.value);
  question.mutable_name()->set_shard(target_.shard.name.shard);
  question.mutable_name()->set_generation(target_.shard.name.generation.value);
  CO_TRY(known, co_await call(rpc::Method::kShardStat, rpc::serialize(question)));
  proto::ShardStatReply facts;
  CO_TRY_VOID(rpc::parse(known.message, facts));
  if (facts.checksum() != checksum_.value() || facts.block_length() != *block_length_)
    co_return fail(Code::kCorrupt, "{} is there with other bytes",
                   chunk::describe(target_.shard.name));
  co_return Result<void>();
}

// Best effort: what is not aborted is given up by the server after a while.
Task<> ShardSender::abort() {
  if (upload_ == 0) co_return;
  proto::ShardAbortRequest request;
  request.set_upload(upload_);
  co_await rpc_.call(target_.address, rpc::Method::kShardAbort, rpc::serialize(request),
                     kAbortLimit);
}

Task<Result<rpc::Reply>> ShardSender::call(rpc::Method method, Buffer message,
                                           chunk::CheckedBytes bulk) {
  const Instant begun = env_.now();
  for (;;) {
    auto reply =
        co_await rpc_.call(target_.address, method, message, kCallLimit, bulk.bytes, bulk.crc);
    if (reply) last_progress_ = env_.now();
    const bool again = !reply && worth_retrying(reply.error(), std::max(begun, last_progress_));
    if (!again) co_return reply;
    co_await env_.sleep(kRetryPause);
  }
}

bool ShardSender::worth_retrying(const Error& error, Instant since) {
  const bool transient = error.is(Code::kUnavailable) || error.is(Code::kUnknown);
  if (!transient) return false;
  health_.failed(target_.server, env_.now());
  // A server that failed already is not waited for at the beginning of every block.
  if (doubted_ && upload_ == 0) return false;
  return env_.now() - since + kRetryPause <= patience_;
}

}  // namespace dogfs::nodes
