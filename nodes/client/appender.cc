#include "nodes/client/appender.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/proto/append.pb.h"
#include "core/rpc/client.h"
#include "nodes/client/append_replica.h"
#include "nodes/client/client.h"
#include "nodes/client/session.h"

namespace dogfs::nodes {
namespace {

constexpr Duration kRecordLimit = 5s;
constexpr Duration kPrimaryPatience = 1s;  // then a primary that does not answer is in doubt
constexpr Duration kAppendRetryPause = 50ms;
constexpr Duration kOpenPause = 20ms;

bool is_final(const Error& error) {
  return !error.is(Code::kUnavailable) && !error.is(Code::kUnknown) &&
         !error.is(Code::kPrecondition);
}

}  // namespace

// One record on its way.
struct Appender::Attempt {
  const Buffer record;
  uint64_t request;
  const Instant deadline;
  uint64_t first_tried = 0;  // ordinal of a block
  bool doubtful = false;     // some attempt may have stored it
  std::optional<Result<Appended>> done;
};

Appender::Appender(const Parts& parts, std::string path, AppendOptions options)
    : parts_(parts),
      path_(std::move(path)),
      options_(std::move(options)),
      sealer_({parts.env, parts.rpc, parts.calls}),
      writer_(parts.env.random().next()),
      changed_(parts.env) {}

Task<Result<void>> Appender::open() {
  CO_TRY_VOID(
      co_await place(parts_.env.now() + options_.limit.value_or(parts_.options.operation_limit)));
  co_return Result<void>();
}

// --- Where to append ---

// All who wait for a place wait for the same.
Task<Result<Appender::Place>> Appender::place(Instant deadline) {
  struct Leave {
    Appender& appender;
    ~Leave() {
      appender.looking_ = false;
      appender.changed_.notify();
    }
  };
  while (looking_) co_await changed_.wait();
  if (!place_) {
    looking_ = true;
    const Leave leave{*this};
    CO_TRY_VOID(co_await find_place(deadline));
  }
  co_return place_;
}

Task<Result<void>> Appender::find_place(Instant deadline) {
  for (;;) {
    if (closed_) {
      CO_TRY_VOID(co_await sealer_.seal(file_, *closed_, deadline - parts_.env.now()));
      closed_.reset();
    }
    auto opened = co_await open_block();
    if (opened) {
      file_ = opened->file;
      place_ = std::make_shared<const metadata::AppendOpened>(std::move(*opened));
      first_failure_.reset();
      co_return Result<void>();
    }
    if (!opened.error().is(Code::kUnavailable) || parts_.env.now() + kOpenPause >= deadline)
      co_return fail(std::move(opened).error());
    CO_TRY_VOID(co_await find_sealing());
    if (!closed_) co_await parts_.env.sleep(kOpenPause);
  }
}

Task<Result<metadata::AppendOpened>> Appender::open_block() {
  metadata::OpenAppend open{.path = path_,
                            .create = options_.create && !known(),
                            .policy = options_.policy,
                            .attributes = options_.attributes,
                            .avoid = {}};
  if (silent_) open.avoid.push_back(silent_);
  CO_TRY(opened, co_await parts_.session.execute_for<metadata::AppendOpened>(std::move(open)));
  if (known() && opened.value.file != file_)
    co_return fail(Code::kNotFound, "{} is another file now", path_);
  if (opened.value.block.shards.empty())
    co_return fail(Code::kCorrupt, "the metadata server opened a block without replicas");
  co_return std::move(opened.value);
}

// Whether somebody began to seal the file's last block, and did not end.
Task<Result<void>> Appender::find_sealing() {
  auto located = co_await parts_.session.query_for<metadata::FileLocation>(
      metadata::LocateQuery{.path = path_, .file = {}, .offset = UINT64_MAX, .length = 0});
  const bool passing = !located && (located.error().is(Code::kUnavailable) ||
                                    (located.error().is(Code::kNotFound) && !known()));
  if (passing) co_return Result<void>();
  if (!located) co_return fail(std::move(located).error());
  const auto& location = located->value;
  if (known() && location.file != file_)
    co_return fail(Code::kNotFound, "{} is another file now", path_);
  const bool sealing = !location.blocks.empty() && location.blocks.back().open_end() &&
                       location.blocks.back().state == metadata::LocatedState::kSealing;
  if (!sealing) co_return Result<void>();
  file_ = location.file;
  closed_ = location.blocks.back().block;
  co_return Result<void>();
}

void Appender::close(const Place& place) {
  if (place_ != place) return;  // somebody else did
  closed_ = place->block.block;
  place_.reset();
}

// --- A record ---

Task<Result<uint64_t>> Appender::append(Buffer record) {
  CO_TRY(appended, co_await store(std::move(record)));
  co_return appended.offset;
}

Task<Result<Appended>> Appender::store(Buffer record) {
  struct Leave {
    Appender& appender;
    const uint64_t& request;
    ~Leave() {
      appender.under_way_.erase(request);
      appender.changed_.notify();
    }
  };
  if (record.empty()) co_return fail(Code::kInvalid, "an empty record");
  if (record.size() > limits::kAppendRecordBytesMax)
    co_return fail(Code::kTooLarge, "a record of {} bytes; the most is {}", record.size(),
                   limits::kAppendRecordBytesMax);
  while (under_way_.size() >= limits::kRecordsInFlightMax) co_await changed_.wait();
  Attempt attempt{.record = std::move(record),
                  .request = ++last_request_,
                  .deadline = parts_.env.now() + limit()};
  under_way_.insert(attempt.request);
  const Leave leave{*this, attempt.request};
  while (!attempt.done) co_await try_once(attempt);
  co_return *attempt.done;
}

// As another record, which no block before has.
void Appender::begin_anew(Attempt& attempt, const metadata::AppendOpened& here) {
  under_way_.erase(attempt.request);
  attempt.request = ++last_request_;
  under_way_.insert(attempt.request);
  attempt.first_tried = here.ordinal;
}

Appended Appender::stored(const metadata::AppendOpened& here, uint64_t offset) {
  return {.offset = offset,
          .block = here.block.block,
          .block_offset = offset - std::min(offset, here.block.file_offset)};
}

Duration Appender::limit() const { return options_.limit.value_or(parts_.options.append_limit); }

Task<> Appender::try_once(Attempt& attempt) {
  auto found = co_await place(attempt.deadline);
  const bool late = parts_.env.now() >= attempt.deadline;
  if (!found || late) {
    Error error = found ? Error{Code::kUnavailable, "not in time"} : std::move(found).error();
    if (attempt.doubtful) error = {Code::kUnknown, "the record may be stored: " + error.message};
    attempt.done = fail(std::move(error));
    co_return;
  }
  const Place& here = *found;
  if (attempt.first_tried == 0) attempt.first_tried = here->ordinal;
  if (options_.anew && attempt.first_tried != here->ordinal) begin_anew(attempt, *here);
  auto reply = co_await send(attempt, here);
  if (!reply) co_return co_await after_failure(attempt, here, std::move(reply).error());
  first_failure_.reset();
  silent_ = NodeId();
  using proto::AppendRecordReply;
  switch (reply->message.outcome()) {
    case AppendRecordReply::kStored:
      attempt.done = stored(*here, reply->message.file_offset());
      break;
    case AppendRecordReply::kBusy: co_await parts_.env.sleep(kAppendRetryPause); break;
    case AppendRecordReply::kClosed: close(here); break;
    default:
      attempt.done =
          fail(Code::kUnknown, "it was tried so long ago that nobody knows whether it is stored");
  }
}

Task<Result<rpc::Answer<proto::AppendRecordReply>>> Appender::send(Attempt& attempt, Place here) {
  const metadata::PlacedShard& primary = here->block.shards.front();
  const auto address = Address::parse(primary.address);
  if (!address) co_return fail(Code::kUnavailable, "\"{}\" is no address", primary.address);
  proto::AppendRecordRequest request;
  *request.mutable_primary() =
      append_replica(here->block.block, here->block.generation, primary.index, primary.node);
  request.set_home(here->file.home.value);
  request.set_file(here->file.file.value);
  request.set_epoch(here->epoch.value);
  request.set_writer(writer_);
  request.set_request(attempt.request);
  request.set_acknowledged_below(*under_way_.begin());
  request.set_first_tried(attempt.first_tried);
  const Duration left = attempt.deadline - parts_.env.now();
  co_return co_await parts_.rpc.call<proto::AppendRecordReply>(
      *address, rpc::Method::kAppendRecord, std::move(request), std::min(kRecordLimit, left),
      attempt.record);
}

Task<> Appender::after_failure(Attempt& attempt, Place here, Error error) {
  if (error.is(Code::kUnknown)) attempt.doubtful = true;
  if (is_final(error)) {
    attempt.done = fail(std::move(error));
    co_return;
  }
  const Instant now = parts_.env.now();
  if (place_ == here && !first_failure_) first_failure_ = now;
  const bool patient = first_failure_ && now - *first_failure_ < kPrimaryPatience;
  if (patient && !error.is(Code::kPrecondition)) {
    co_await parts_.env.sleep(kAppendRetryPause);
    co_return;
  }
  silent_ = here->block.shards.front().node;
  close(here);
}

}  // namespace dogfs::nodes
