#include "core/chunk/append_log.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/mutation.h"

namespace dogfs::chunk {
namespace {

constexpr Duration kWitnessAfter = 2ms;
constexpr std::string_view kNewSuffix = ".new";
// A batch at least.
constexpr size_t kVerifiedAtOnce = limits::kAppendBatchBytesMax + kAppendBatchHeaderBytes;

std::string log_path(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + '/' + name;
}

}  // namespace

AppendLog::AppendLog(Env& env, std::string path, AppendOrigin origin)
    : env_(env), path_(std::move(path)), origin_(origin), changed_(env), work_(env), ended_(env) {}

Task<Result<std::shared_ptr<AppendLog>>> AppendLog::create(Env& env, DirectorySync& names,
                                                           std::string directory,
                                                           AppendOrigin origin) {
  const std::string path = log_path(directory, append_file_name(origin.identity.name));
  const std::string temporary = path + std::string(kNewSuffix);
  std::shared_ptr<AppendLog> log(new AppendLog(env, path, origin));
  CO_TRY(file, co_await env.disk().open(temporary, OpenMode::kAlways));
  log->file_ = std::move(file);
  CO_TRY_VOID(co_await log->file_->write(0, Buffer::take(encode_append_header(origin))));
  CO_TRY_VOID(co_await log->file_->sync());
  const auto before = names.mark();
  auto named = co_await env.disk().rename(temporary, path);
  if (named) named = co_await names.sync(before);
  if (!named) {
    (void)co_await env.disk().remove(path);
    co_return fail(std::move(named).error());
  }
  co_return log;
}

Task<Result<std::shared_ptr<AppendLog>>> AppendLog::open(Env& env, std::string directory,
                                                         ShardIdentity identity) {
  const std::string path = log_path(directory, append_file_name(identity.name));
  CO_TRY(file, co_await env.disk().open(path, OpenMode::kWrite));
  CO_TRY(scan, co_await scan_append_file(*file, identity));
  std::shared_ptr<AppendLog> log(new AppendLog(env, path, scan.origin));
  log->file_ = std::move(file);
  log->places_ = std::move(scan.places);
  log->end_ = scan.end;
  log->durable_length_ = log->taken_length_ = scan.length;
  log->sealed_ = log->sealing_ = log->to_seal_ = scan.sealed;
  log->witnessed_ = log->places_.empty() || (scan.witnessed && scan.clean);
  CO_TRY_VOID(co_await log->secure(std::move(scan)));
  co_return log;
}

// What an earlier life failed to sync may be in the page cache alone, so whatever nothing proves
// durable is written again.
Task<Result<void>> AppendLog::secure(AppendScan scan) {
  if (!scan.clean) CO_TRY_VOID(co_await file_->truncate(scan.end));
  CO_TRY_VOID(co_await file_->write(0, std::move(scan.header)));
  const uint64_t from = scan.end - scan.unproven.size();
  if (from < scan.end) CO_TRY_VOID(co_await file_->write(from, std::move(scan.unproven)));
  co_return co_await file_->sync();
}

Task<> AppendLog::run(std::shared_ptr<AppendLog> self) {
  struct Close {
    AppendLog& log;
    ~Close() {
      log.close();
      log.ended_.set();
    }
  } at_end{*self};
  co_await self->write_loop();
  self->waiting_.clear();
}

void AppendLog::close() { fail_with({Code::kUnavailable, "the log was closed"}); }

// The first failure stays.
void AppendLog::fail_with(Error error) {
  if (!failure_) failure_ = std::move(error);
  work_.set();
  changed_.notify();
}

// Without space the seal, or else all that waits, is refused, and the log goes on when there is
// some.
void AppendLog::refuse(bool the_seal, Error error) {
  refusal_ = std::move(error);
  changed_.notify();
  if (the_seal) return void(to_seal_ = sealed_);
  waiting_.clear();
  waiting_bytes_ = 0;
  taken_length_ = durable_length_;
  ++refusals_;
}

// One write or sync at a time: one that fails spoils what others write meanwhile, also when theirs
// seem to succeed.
Task<> AppendLog::write_loop() {
  while (!failure_) {
    Result<void> written;
    const bool sealing = to_seal_ > sealed_;
    if (sealing) {
      written = co_await write_seal();
    } else if (!waiting_.empty()) {
      written = co_await write_batch();
    } else if (witnessed_) {
      co_await work_.wait();
    } else if (!co_await work_.wait_for(kWitnessAfter)) {
      co_await write_witness();
    }
    if (waiting_.empty() && to_seal_ <= sealed_) work_.reset();
    if (written)
      changed_.notify();
    else if (!written.error().is(Code::kNoSpace))
      fail_with(std::move(written).error());
    else
      refuse(sealing, std::move(written).error());
  }
}

Task<Result<void>> AppendLog::write_seal() {
  const Epoch epoch = to_seal_;
  if (!MUTANT("M40"))
    CO_TRY_VOID(co_await file_->write_durably(kAppendSealOffset,
                                              Buffer::take(encode_append_seal(origin_, epoch))));
  sealed_ = epoch;
  co_return Result<void>();
}

Task<Result<void>> AppendLog::write_batch() {
  size_t count = 0;
  size_t bytes = 0;
  while (count < waiting_.size() &&
         (count == 0 || bytes + waiting_[count].entry.size() + kAppendBatchHeaderBytes <=
                            limits::kAppendBatchBytesMax))
    bytes += waiting_[count++].entry.size();
  MutableBuffer batch(kAppendBatchHeaderBytes + bytes);
  const std::string header = encode_batch_header(origin_, end_, static_cast<uint32_t>(bytes));
  std::memcpy(batch.data(), header.data(), header.size());
  size_t at = header.size();
  std::vector<AppendPlace> places;
  for (size_t i = 0; i < count; ++i) {
    const Buffer& entry = waiting_[i].entry;
    std::memcpy(batch.data() + at, entry.data(), entry.size());
    places.push_back({end_ + at, waiting_[i].header});
    at += entry.size();
  }
  CO_TRY_VOID(co_await file_->write_durably(end_, std::move(batch).freeze()));
  end_ += at;
  durable_length_ = places.back().header.end();
  places_.insert(places_.end(), places.begin(), places.end());
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
  waiting_bytes_ -= bytes;
  witnessed_ = false;
  co_return Result<void>();
}

// A batch without entries, not synced: it says that the one before was durable. The next one goes
// over it: behind it, the next one could be durable without it.
Task<> AppendLog::write_witness() {
  const auto written =
      co_await file_->write(end_, Buffer::take(encode_batch_header(origin_, end_, 0)));
  if (!written) env_.log().warning("{}: no witness: {}", path_, written.error());
  witnessed_ = true;
}

Result<void> AppendLog::check_next(const AppendEntryHeader& header) {
  if (header.offset != taken_length_)
    return fail(Code::kPrecondition, "{} has {} bytes, the entry begins at {}",
                describe(origin_.identity.name), taken_length_, header.offset);
  if (header.end() > limits::kBlockBytesMax ||
      places_.size() + waiting_.size() >= limits::kAppendLogEntriesMax)
    return fail(Code::kTooLarge, "{} is full", describe(origin_.identity.name));
  if (waiting_bytes_ + header.entry_bytes() > limits::kAppendQueueBytesMax)
    return fail(Code::kUnavailable, "{} bytes wait for the disk", waiting_bytes_);
  return {};
}

Task<Result<void>> AppendLog::append(std::vector<Buffer> entries, Epoch epoch,
                                     uint64_t activation) {
  if (failure_) co_return fail(*failure_);
  const Epoch fence = MUTANT("M38") ? Epoch(0) : sealing_;
  const bool of_primary = epoch == origin_.epoch && activation == origin_.activation;
  if (epoch < fence || !of_primary || epoch == Epoch(0))
    co_return fail(Code::kPrecondition, "{} is sealed, or another primary's",
                   describe(origin_.identity.name));
  if (damage_) co_return fail(*damage_);
  co_return co_await take_all(std::move(entries));
}

Task<Result<void>> AppendLog::catch_up(std::vector<Buffer> entries) {
  if (sealed_ == Epoch(0))
    co_return fail(Code::kPrecondition, "{} is not sealed", describe(origin_.identity.name));
  co_return co_await take_all(std::move(entries));
}

Task<Result<void>> AppendLog::take_all(std::vector<Buffer> entries) {
  if (entries.empty()) co_return Result<void>();
  size_t last = 0;
  for (Buffer& entry : entries) {
    CO_TRY(index, take(std::move(entry)));
    last = std::max(last, index);
  }
  co_return co_await wait_until_durable(last, header_of(last).checksum);
}

// Of an entry that is durable or waits.
const AppendEntryHeader& AppendLog::header_of(size_t index) const {
  return index < places_.size() ? places_[index].header : waiting_[index - places_.size()].header;
}

// The entry's index; it is on its way to the disk, or was there before.
Result<size_t> AppendLog::take(Buffer entry) {
  if (failure_) return fail(*failure_);
  TRY(decoded, decode_entry(origin_.block(), entry.view()));
  const AppendEntryHeader header = decoded.header;
  const size_t taken = places_.size() + waiting_.size();
  for (size_t i = taken; i-- > 0 && header_of(i).offset >= header.offset;) {
    const AppendEntryHeader& known = header_of(i);
    if (known.offset != header.offset || known.kind != header.kind) continue;
    if (known.checksum == header.checksum || MUTANT("M41")) return i;
    return fail(Code::kExists, "{} has another entry at {}", describe(origin_.identity.name),
                header.offset);
  }
  if (header.kind == AppendEntryKind::kRequests && taken > 0)
    return fail(Code::kPrecondition, "{} has begun", describe(origin_.identity.name));
  TRY_VOID(check_next(header));
  waiting_bytes_ += entry.size();
  waiting_.push_back({std::move(entry), header});
  taken_length_ = header.end();
  work_.set();
  return taken;
}

// The entry was taken as the log's with this index; after a refusal that may be another.
Task<Result<void>> AppendLog::wait_until_durable(size_t index, uint32_t checksum) {
  const uint64_t refusals = refusals_;
  while (!failure_ && index >= places_.size() && refusals == refusals_) co_await changed_.wait();
  const bool same = index < places_.size() && places_[index].header.checksum == checksum;
  if (same || (MUTANT("M41") && index < places_.size())) co_return Result<void>();
  co_return fail(failure_ ? *failure_ : refusal_);
}

Task<Result<uint64_t>> AppendLog::seal(Epoch epoch) {
  // From here on nothing more is taken. What was taken before is waited for: it may be
  // acknowledged yet.
  sealing_ = std::max(sealing_, epoch);
  if (failure_) co_return fail(*failure_);
  to_seal_ = std::max(to_seal_, epoch);
  work_.set();
  const size_t taken = places_.size() + waiting_.size();
  const uint64_t refusals = refusals_;
  const auto is_open = [&] {
    const bool to_be_sealed = sealed_ < epoch && to_seal_ >= epoch;
    return to_be_sealed || (places_.size() < taken && refusals == refusals_);
  };
  while (!failure_ && is_open()) co_await changed_.wait();
  if (failure_) co_return fail(*failure_);
  if (sealed_ < epoch) co_return fail(refusal_);
  co_return durable_length_;
}

// The entry with this byte of the block.
std::optional<size_t> AppendLog::index_at(uint64_t offset) const {
  const auto behind = std::ranges::upper_bound(
      places_, offset, {}, [](const AppendPlace& place) { return place.header.offset; });
  if (behind == places_.begin()) return std::nullopt;
  return static_cast<size_t>(std::distance(places_.begin(), behind)) - 1;
}

// The last of the entries from `first` on that are read at one time.
size_t AppendLog::last_together(size_t first) const {
  size_t last = first;
  size_t bytes = places_[first].header.entry_bytes();
  while (last + 1 < places_.size()) {
    bytes += kAppendBatchHeaderBytes + places_[last + 1].header.entry_bytes();
    if (bytes > limits::kAppendBatchBytesMax) break;
    ++last;
  }
  return last;
}

Error AppendLog::found_damage(uint64_t position) const {
  if (doubt_) doubt_();
  return {Code::kCorrupt, fmt::format("{} is damaged at {}", path_, position)};
}

// These entries, verified; there may be headers of batches between them.
Task<Result<std::vector<Buffer>>> AppendLog::read_entries(size_t first, size_t last) {
  const uint64_t begin = places_[first].position;
  const uint64_t end = places_[last].position + places_[last].header.entry_bytes();
  CO_TRY(bytes, co_await file_->read(begin, end - begin));
  if (bytes.size() != end - begin) co_return fail(found_damage(begin));
  std::vector<Buffer> entries;
  for (size_t i = first; i <= last; ++i) {
    const AppendPlace& place = places_[i];
    entries.push_back(bytes.slice(place.position - begin, place.header.entry_bytes()));
    const auto decoded = decode_entry(origin_.block(), entries.back().view());
    if (!decoded || decoded->header.checksum != place.header.checksum)
      co_return fail(found_damage(place.position));
  }
  co_return entries;
}

Task<Result<Buffer>> AppendLog::read(uint64_t offset, size_t length) {
  if (length > limits::kShardReadBytesMax)
    co_return fail(Code::kTooLarge, "a read of {} bytes; the most is {}", length,
                   limits::kShardReadBytesMax);
  if (offset > durable_length_ || length > durable_length_ - offset)
    co_return fail(Code::kInvalid, "{} bytes at {} of {}, which has {}", length, offset,
                   describe(origin_.identity.name), durable_length_);
  MutableBuffer out(length);
  for (size_t filled = 0; filled < length;) {
    const size_t first = *index_at(offset + filled);
    const size_t last = std::min(last_together(first), *index_at(offset + length - 1));
    CO_TRY(entries, co_await read_entries(first, last));
    for (size_t i = first; i <= last; ++i) {
      const AppendEntryHeader& header = places_[i].header;
      const uint64_t from = offset + filled - header.offset;
      const uint64_t to = std::min(offset + length, header.end()) - header.offset;
      const size_t data_at = kAppendEntryHeaderBytes + header.head_bytes;
      std::memcpy(out.data() + filled, entries[i - first].data() + data_at + from, to - from);
      filled += to - from;
    }
  }
  co_return std::move(out).freeze();
}

Task<Result<std::vector<Buffer>>> AppendLog::entries_from(uint64_t offset) {
  const auto first = std::ranges::find_if(
      places_, [&](const AppendPlace& place) { return place.header.offset >= offset; });
  if (first == places_.end() && offset == durable_length_) co_return std::vector<Buffer>();
  if (first == places_.end() || first->header.offset != offset)
    co_return fail(Code::kInvalid, "no entry begins at {}", offset);
  const auto begin = static_cast<size_t>(std::distance(places_.begin(), first));
  co_return co_await read_entries(begin, last_together(begin));
}

Task<Result<AppendRequests>> AppendLog::requests(uint64_t length) {
  if (length > durable_length_)
    co_return fail(Code::kInvalid, "the requests of {} bytes of {}, which has {}", length,
                   describe(origin_.identity.name), durable_length_);
  const auto present = static_cast<size_t>(std::ranges::count_if(
      places_, [&](const AppendPlace& place) { return place.header.end() <= length; }));
  AppendRequests requests(origin_.ordinal);
  Result<void> handed_over;
  const auto visit = [&](const AppendEntry& entry) {
    if (entry.header.kind == AppendEntryKind::kRequests) {
      auto before = AppendRequests::decode(entry.requests);
      if (before) requests = *std::move(before);
      if (!before) handed_over = fail(before.error());
    }
    if (entry.header.end() > length) return;
    uint64_t at = origin_.file_offset + entry.header.offset;
    for (const AppendedRecord& record : entry.records) {
      requests.add(origin_.ordinal, record, at);
      at += record.length;
    }
  };
  CO_TRY(scan, co_await scan_append_file(*file_, origin_.identity, visit));
  CO_TRY_VOID(handed_over);
  // What was damaged since looks like the end. It is not: a record that is left out here would be
  // kept once more.
  if (scan.length < length || scan.places.size() < present)
    co_return fail(Code::kCorrupt, "{} is damaged at {}", path_, scan.end);
  co_return requests;
}

// --- Scrubbing ---

// The seal may be being written: then it is one that was there, or one of every epoch.
Task<Result<void>> AppendLog::verify_header() {
  const Epoch sealed = sealed_;
  CO_TRY(header, co_await file_->read(0, kAppendHeaderBytes));
  CO_TRY(origin, decode_append_header(header.view(), origin_.identity));
  const bool whole = header.size() == kAppendHeaderBytes && origin == origin_;
  if (whole && decode_append_seal(
                   origin_, header.view().subspan(kAppendSealOffset, kAppendSealBytes)) >= sealed)
    co_return Result<void>();
  co_return fail(Code::kCorrupt, "{} is damaged in its header", path_);
}

// Whether these bytes at that place are those entries, as they were when they became durable.
bool AppendLog::match_entries(uint64_t at, ByteView entries, size_t first, size_t last) const {
  for (size_t i = first; i < last; ++i) {
    const size_t bytes = places_[i].header.entry_bytes();
    if (places_[i].position != at || bytes > entries.size()) return false;
    const auto decoded = decode_entry(origin_.block(), entries.first(bytes));
    if (!decoded || decoded->header.checksum != places_[i].header.checksum) return false;
    at += bytes;
    entries = entries.subspan(bytes);
  }
  return entries.empty();
}

// How many bytes at that place are good batches, whole ones; `next` is the entry they begin with,
// and then the one behind them.
size_t AppendLog::match_batches(uint64_t at, ByteView bytes, size_t& next) const {
  size_t taken = 0;
  while (bytes.size() - taken > kAppendBatchHeaderBytes) {
    const ByteView rest = bytes.subspan(taken);
    const auto payload =
        decode_batch_header(origin_, at + taken, rest.first(kAppendBatchHeaderBytes));
    if (!payload || *payload == 0 || *payload > rest.size() - kAppendBatchHeaderBytes) break;
    const uint64_t begin = at + taken + kAppendBatchHeaderBytes;
    const auto behind =
        std::ranges::lower_bound(places_, begin + *payload, {}, &AppendPlace::position);
    const auto last = static_cast<size_t>(std::distance(places_.begin(), behind));
    if (!match_entries(begin, rest.subspan(kAppendBatchHeaderBytes, *payload), next, last)) break;
    next = last;
    taken += kAppendBatchHeaderBytes + *payload;
  }
  return taken;
}

// The next batch goes behind what was durable at the beginning, so nothing is read that is being
// written.
Task<Result<void>> AppendLog::verify(Pause pause) {
  const size_t count = places_.size();
  const uint64_t end = end_;
  CO_TRY_VOID(co_await verify_header());
  uint64_t at = kAppendHeaderBytes;
  for (size_t next = 0; next < count;) {
    const size_t length = std::min<uint64_t>(kVerifiedAtOnce, end - at);
    CO_TRY(bytes, co_await file_->read(at, length));
    const size_t good = match_batches(at, bytes.view(), next);
    if (good == 0) co_return fail(Code::kCorrupt, "{} is damaged at {}", path_, at);
    at += good;
    if (pause) co_await pause(good);
  }
  co_return Result<void>();
}

void AppendLog::condemn(Error damage) {
  if (!damage_) damage_ = std::move(damage);
}

}  // namespace dogfs::chunk
