#include "core/wal/wal.h"

#include <utility>

#include "core/base/mutation.h"
#include "core/env/env.h"

namespace dogfs::wal {
namespace {

// One record of one byte fits.
constexpr uint64_t kSegmentBytesMin =
    kSegmentHeaderBytes + kFrameHeaderBytes + kRecordHeaderBytes + 1;

// Under load the next batch comes sooner, and says the same: it should not have to wait for a
// marker.
constexpr Duration kQuietBeforeMarker = std::chrono::milliseconds(2);

// How often it is looked whether a disk that was full has space again.
constexpr Duration kRefillEvery = std::chrono::milliseconds(500);

}  // namespace

// Records that are written together. Shared with the tickets of those who wait for them.
struct Wal::Batch {
  explicit Batch(Env& env) : done(env) {}

  std::string frame = std::string(kFrameHeaderBytes, '\0');  // its header comes last
  size_t bytes = 0;                                          // of its records
  uint32_t records = 0;
  Lsn first;
  Lsn last;
  std::map<GroupId, Lsn> last_of_group;
  Event done;
  Result<void> result;
};

Wal::Wal(Env& env, Options options, Recovered recovered)
    : env_(env),
      options_(std::move(options)),
      segments_(std::make_move_iterator(recovered.segments.begin()),
                std::make_move_iterator(recovered.segments.end())),
      active_(std::move(recovered.active)),
      extent_(std::move(recovered.extent)),
      end_(recovered.end),
      taken_(recovered.last),
      durable_(recovered.last),
      marked_(recovered.marked),
      reserve_(env, options_.directory + ".reserve", options_.reserve_bytes),
      work_(env),
      room_(env) {}

Wal::~Wal() = default;

Task<Result<std::unique_ptr<Wal>>> Wal::open(Env& env, Options options, Visitor visit) {
  if (options.segment_bytes < kSegmentBytesMin || options.segment_bytes > limits::kWalSegmentBytes)
    co_return fail(Code::kInvalid, "segments of {} bytes, {} to {} are possible",
                   options.segment_bytes, kSegmentBytesMin, limits::kWalSegmentBytes);
  CO_TRY(recovered, co_await recover(env, options, std::move(visit)));
  co_return std::unique_ptr<Wal>(new Wal(env, std::move(options), std::move(recovered)));
}

// Taking records.

size_t Wal::batch_bytes_max() const {
  return std::min<uint64_t>(limits::kWalBatchBytesMax,
                            options_.segment_bytes - kSegmentHeaderBytes);
}

Wal::Batch& Wal::batch_with_room(size_t bytes) {
  if (queue_.empty() || queue_.back()->frame.size() + bytes > batch_bytes_max())
    queue_.push_back(std::make_shared<Batch>(env_));
  return *queue_.back();
}

// What fits into one batch goes into one, so that a full disk refuses all of it or nothing.
void Wal::keep_together(const std::vector<std::string>& records) {
  size_t bytes = 0;
  for (const auto& record : records) bytes += kRecordHeaderBytes + record.size();
  if (kFrameHeaderBytes + bytes <= batch_bytes_max()) batch_with_room(bytes);
}

Result<Wal::Ticket> Wal::append(GroupId group, std::vector<std::string> records) {
  if (failure_) return fail(*failure_);
  if (refused_.contains(group)) return fail(Code::kNoSpace, "the log's disk is full");
  if (queued_bytes_ >= limits::kWalQueueBytesMax)
    return fail(Code::kUnavailable, "{} bytes wait for the log's disk", queued_bytes_);
  for (const auto& record : records)
    if (record.size() > limits::kWalRecordBytesMax ||
        kFrameHeaderBytes + kRecordHeaderBytes + record.size() > batch_bytes_max())
      return fail(Code::kTooLarge, "a log record of {} bytes", record.size());
  Ticket ticket;
  ticket.group_ = group;
  ticket.first_ = taken_.next();
  ticket.last_ = taken_;
  if (records.empty()) return ticket;  // a batch without records would be no marker, nor a batch
  keep_together(records);
  for (const auto& record : records) {
    Batch& batch = batch_with_room(kRecordHeaderBytes + record.size());
    taken_ = taken_.next();
    if (batch.records++ == 0) batch.first = taken_;
    batch.last = taken_;
    batch.last_of_group[group] = taken_;
    append_record(batch.frame, group, record);
    batch.bytes += kRecordHeaderBytes + record.size();
    queued_bytes_ += kRecordHeaderBytes + record.size();
    ticket.batch_ = queue_.back();  // batches become durable in order: the last one decides
  }
  ticket.last_ = taken_;
  work_.set();
  return ticket;
}

Task<Result<void>> Wal::durable(Ticket ticket) {
  if (!ticket.batch_) co_return Result<void>();  // of no records
  co_await ticket.batch_->done.wait();
  const Result<void> result = ticket.batch_->result;
  if (result || !result.error().is(Code::kNoSpace)) co_return result;
  const auto refused = refused_.find(ticket.group_);
  if (refused != refused_.end() && ticket.last_ >= refused->second) refused_.erase(refused);
  co_return result;
}

Task<Result<void>> Wal::room() {
  while (!failure_ && queued_bytes_ >= limits::kWalQueueBytesMax) co_await room_.wait();
  if (failure_) co_return fail(*failure_);
  co_return Result<void>();
}

// Writing.

SegmentIdentity Wal::identity() const {
  return {options_.cluster, options_.store, segments_.back().sequence};
}

Task<> Wal::run() {
  Duration quiet(0);  // what was found when the log was opened is marked at once
  while (!failure_) {
    work_.reset();
    co_await delete_released();
    co_await refill();
    if (failure_) co_return;
    if (!queue_.empty()) {
      co_await write_next();
      quiet = kQuietBeforeMarker;
    } else if (marked_) {
      co_await wait_for_work();
    } else if (!co_await work_.wait_for(quiet)) {
      co_await mark_durable();
    }
  }
}

Task<> Wal::wait_for_work() {
  if (reserve_.is_whole())
    co_await work_.wait();
  else
    co_await work_.wait_until(refill_at_);
}

Task<> Wal::refill() {
  if (reserve_.is_whole() || env_.now() < refill_at_) co_return;
  const bool was_short = reserve_.is_short_of_space();
  const auto filled = co_await reserve_.fill();
  refill_at_ = env_.now() + kRefillEvery;
  if (filled && was_short) env_.log().info("the log's disk has space again");
  if (!filled && !was_short && reserve_.is_short_of_space())
    env_.log().error("the log's disk has no {} bytes to keep in reserve: {}",
                     options_.reserve_bytes, filled.error());
}

Task<> Wal::write_next() {
  auto batch = std::move(queue_.front());
  queue_.pop_front();
  const auto written = co_await write(batch);
  if (!written && written.error().is(Code::kNoSpace)) co_return refuse_waiting(batch, written);
  if (!written) co_return fail_for_good(batch, written.error());
  queued_bytes_ -= batch->bytes;
  announce(*batch, {});
  room_.notify();
}

// Nobody knows what an operation left that had to succeed: a full disk is no excuse for it.
Result<void> required(Result<void> result) {
  if (result) return result;
  return fail(Code::kIo, "{}", result.error().message);
}

Task<Result<void>> Wal::write(std::shared_ptr<Batch> batch) {
  const size_t size = batch->frame.size();
  if (!active_ || end_ + size > options_.segment_bytes)
    CO_TRY_VOID(co_await with_reserve(size, [this] { return begin_segment(); }));
  const ByteView payload = as_bytes(batch->frame).subspan(kFrameHeaderBytes);
  const FrameHeader header{.payload_bytes = static_cast<uint32_t>(payload.size()),
                           .records = batch->records,
                           .first = batch->first,
                           .durable = durable_,
                           .payload_crc = crc32c(payload)};
  batch->frame.replace(0, kFrameHeaderBytes, encode_frame_header(header, identity(), end_));
  if (MUTANT("M5")) announce(*batch, {});
  const Buffer frame = Buffer::take(std::move(batch->frame));
  CO_TRY_VOID(co_await with_reserve(size, [this, frame] { return write_frame(frame); }));
  end_ += size;
  durable_ = batch->last;
  marked_ = false;
  for (const auto& [group, last] : batch->last_of_group)
    segments_.back().last_of_group[group] = last;
  co_return Result<void>();
}

// Tries again, as long as the disk is full and the reserve has something to give.
template <class F>
Task<Result<void>> Wal::with_reserve(uint64_t bytes, F attempt) {
  for (;;) {
    Result<void> done = co_await attempt();
    if (done || !done.error().is(Code::kNoSpace)) co_return done;
    if (options_.reserve_bytes > 0 && !reserve_.is_short_of_space())
      env_.log().error("the log's disk is full; it goes on in its reserve");
    refill_at_ = env_.now() + kRefillEvery;
    if (!co_await reserve_.give(bytes)) co_return done;
  }
}

Task<Result<void>> Wal::write_frame(Buffer frame) {
  auto written = co_await active_->write_durably(end_, std::move(frame));
  if (!written && written.error().is(Code::kIo) && MUTANT("M6")) written = {};
  co_return co_await cut_off_unless(written);
}

// What a full disk left of a frame is cut off again.
Task<Result<void>> Wal::cut_off_unless(Result<void> written) {
  if (written || !written.error().is(Code::kNoSpace)) co_return written;
  CO_TRY_VOID(required(co_await active_->truncate(end_)));
  co_return written;
}

// All before the new segment is durable, and so are its header and name, and that it is there,
// before it is used.
Task<Result<void>> Wal::begin_segment() {
  if (!extent_) CO_TRY_VOID(co_await make_extent());
  const uint64_t sequence = segments_.empty() ? 1 : segments_.back().sequence + 1;
  auto filled = co_await fill_new_segment(sequence);
  if (filled || !filled.error().is(Code::kNoSpace)) co_return filled;
  // Without a header it would count as never finished; but it would take space.
  const auto removed = co_await env_.disk().remove(segment_path(options_, sequence));
  if (!removed && !removed.error().is(Code::kNotFound)) co_return required(removed);
  co_return filled;
}

Task<Result<void>> Wal::fill_new_segment(uint64_t sequence) {
  const SegmentHeader header{{options_.cluster, options_.store, sequence}, durable_};
  CO_TRY(file, co_await env_.disk().open(segment_path(options_, sequence), OpenMode::kCreate));
  CO_TRY_VOID(co_await file->write(0, Buffer::take(encode_segment_header(header))));
  CO_TRY_VOID(required(co_await file->sync()));
  CO_TRY_VOID(required(co_await env_.disk().sync_directory(options_.directory)));
  CO_TRY_VOID(required(co_await extent_->set({extent_->reach().first, sequence})));
  segments_.push_back({sequence, {}});
  active_ = std::move(file);
  end_ = kSegmentHeaderBytes;
  marked_ = true;  // by the header
  co_return Result<void>();
}

// There was no space for it when the log was opened.
Task<Result<void>> Wal::make_extent() {
  const Reach reach =
      segments_.empty() ? Reach{} : Reach{segments_.front().sequence, segments_.back().sequence};
  CO_TRY(made, co_await Extent::create(env_, {options_.directory, options_.cluster, options_.store},
                                       reach));
  extent_ = std::move(made);
  co_return Result<void>();
}

// With nothing else to write, a marker says that the latest batch was durable, so that its later
// damage is not taken for a torn tail. It is not synced: nothing depends on it.
Task<> Wal::mark_durable() {
  marked_ = true;
  if (end_ + kFrameHeaderBytes > options_.segment_bytes) co_return;
  const FrameHeader header{.first = durable_.next(), .durable = durable_};
  auto marker = Buffer::take(encode_frame_header(header, identity(), end_));
  const auto written = co_await cut_off_unless(co_await active_->write(end_, std::move(marker)));
  if (written)
    end_ += kFrameHeaderBytes;
  else if (!written.error().is(Code::kNoSpace))
    fail_for_good(nullptr, written.error());
}

// Outcomes.

void Wal::announce(Batch& batch, Result<void> result) {
  if (batch.done.is_set()) return;
  batch.result = std::move(result);
  batch.done.set();
}

void Wal::refuse_waiting(std::shared_ptr<Batch> written, const Result<void>& result) {
  env_.log().warning("the log refuses records: {}", result.error());
  const Lsn first = written->first;
  queue_.push_front(std::move(written));
  for (auto& batch : std::exchange(queue_, {})) {
    for (const auto& [group, last] : batch->last_of_group) refused_[group] = first;
    announce(*batch, result);
  }
  queued_bytes_ = 0;
  room_.notify();
}

void Wal::fail_for_good(std::shared_ptr<Batch> written, const Error& error) {
  failure_ = Error{Code::kIo, "the log has failed: " + error.message};
  env_.log().error("{}", *failure_);
  if (written) queue_.push_front(std::move(written));
  for (auto& batch : std::exchange(queue_, {})) announce(*batch, fail(*failure_));
  queued_bytes_ = 0;
  room_.notify();
}

// Letting go.

void Wal::release(GroupId group, Lsn keep_from) {
  Lsn& kept = keep_from_[group];
  kept = std::max(kept, keep_from);
  if (oldest_is_free()) work_.set();
}

std::vector<GroupId> Wal::holders_of_oldest() const {
  std::vector<GroupId> holders;
  if (segments_.empty()) return holders;
  for (const auto& [group, last] : segments_.front().last_of_group) {
    const auto kept = keep_from_.find(group);
    if (kept == keep_from_.end() || last >= kept->second) holders.push_back(group);
  }
  return holders;
}

bool Wal::oldest_is_free() const { return segments_.size() > 1 && holders_of_oldest().empty(); }

// One at a time, each made durable, so that after any crash no segment is missing in the middle;
// and written down before, so that none is missing at the beginning.
Task<> Wal::delete_released() {
  while (!failure_ && oldest_is_free()) {
    const uint64_t oldest = segments_.front().sequence;
    Result<void> removed;
    if (extent_ && extent_->reach().first <= oldest)
      removed = co_await extent_->set({oldest + 1, extent_->reach().last});
    if (!removed && removed.error().is(Code::kNoSpace)) co_return;  // later
    if (removed) removed = co_await env_.disk().remove(segment_path(options_, oldest));
    if (removed) removed = co_await env_.disk().sync_directory(options_.directory);
    if (!removed) co_return fail_for_good(nullptr, removed.error());
    segments_.pop_front();
  }
}

}  // namespace dogfs::wal
