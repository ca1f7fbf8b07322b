#include "core/wal/recovery.h"

#include <optional>

#include "core/base/mutation.h"
#include "core/env/env.h"
#include "core/wal/directory.h"
#include "core/wal/read_back.h"

namespace dogfs::wal {
namespace {

// A segment as it was read.
struct Loaded {
  uint64_t sequence = 0;
  std::unique_ptr<File> file;
  Buffer bytes;
};

class Recovery {
 public:
  Recovery(Env& env, Options options, Visitor visit)
      : env_(env), options_(std::move(options)), visit_(std::move(visit)) {}

  Task<Result<void>> read();
  // Makes it a log that can be written to.
  Task<Result<Recovered>> secure();

 private:
  Task<Result<std::vector<uint64_t>>> list_segments();
  Result<void> check_reach(const std::vector<uint64_t>& sequences) const;
  Task<Result<Loaded>> load(uint64_t sequence);
  // Reads one segment. False: it was never finished and holds nothing.
  Task<Result<bool>> take(uint64_t sequence, bool is_last);
  Result<void> follow(const SegmentHeader& header) const;
  Result<void> visit_frames();
  Task<Result<void>> secure_tail();
  Task<Result<void>> secure_extent();
  Reach reach() const { return recovered_.extent ? recovered_.extent->reach() : Reach{}; }
  std::unexpected<Error> damage() const;
  SegmentIdentity identity(uint64_t sequence) const {
    return {options_.cluster, options_.store, sequence};
  }

  Env& env_;
  const Options options_;
  Visitor visit_;
  Recovered recovered_;
  std::optional<uint64_t> unfinished_;  // a segment that holds nothing
  // The latest segment read.
  Loaded tail_;
  SegmentScan scan_;
};

Task<Result<std::vector<uint64_t>>> Recovery::list_segments() {
  CO_TRY(entries, co_await env_.disk().list(options_.directory));
  std::vector<uint64_t> sequences;  // sorted, as the names are
  for (const auto& entry : entries)
    if (const auto sequence = parse_segment_name(entry.name)) sequences.push_back(*sequence);
  CO_TRY_VOID(check_reach(sequences));
  co_return sequences;
}

// What the extent does not name may still be there, at both ends: a segment that was just being
// deleted, and one that was just being made.
Result<void> Recovery::check_reach(const std::vector<uint64_t>& sequences) const {
  const auto missing = [&](uint64_t sequence) {
    return fail(Code::kCorrupt, "{} is missing: the log is damaged",
                segment_path(options_, sequence));
  };
  for (size_t i = 1; i < sequences.size(); ++i)
    if (sequences[i] != sequences[i - 1] + 1) return missing(sequences[i - 1] + 1);
  if (!recovered_.extent) return {};
  const auto [first, last] = reach();
  if (first > last && sequences.empty()) return {};
  if (sequences.empty() || sequences.front() > first) return missing(first);
  if (sequences.back() < last) return missing(sequences.back() + 1);
  return {};
}

Task<Result<Loaded>> Recovery::load(uint64_t sequence) {
  CO_TRY(file, co_await env_.disk().open(segment_path(options_, sequence), OpenMode::kWrite));
  CO_TRY(size, co_await file->size());
  if (size > limits::kWalSegmentBytes)
    co_return fail(Code::kCorrupt, "{} has {} bytes, more than a segment",
                   segment_path(options_, sequence), size);
  auto bytes = co_await read_back(env_, *file, 0, size);
  if (!bytes) co_return fail(bytes.error().in(segment_path(options_, sequence)));
  co_return Loaded{sequence, std::move(file), std::move(*bytes)};
}

Task<Result<void>> Recovery::read() {
  CO_TRY(extent,
         co_await Extent::open(env_, {options_.directory, options_.cluster, options_.store}));
  recovered_.extent = std::move(extent);
  CO_TRY(sequences, co_await list_segments());
  for (const uint64_t sequence : sequences) {
    CO_TRY(finished, co_await take(sequence, sequence == sequences.back()));
    if (!finished) unfinished_ = sequence;
  }
  co_return Result<void>();
}

// Only now is it known that nothing is damaged, and that something may be cut off.
Task<Result<Recovered>> Recovery::secure() {
  if (unfinished_) CO_TRY_VOID(co_await env_.disk().remove(segment_path(options_, *unfinished_)));
  if (!recovered_.segments.empty()) CO_TRY_VOID(co_await secure_tail());
  CO_TRY_VOID(co_await env_.disk().sync_directory(options_.directory));
  CO_TRY_VOID(co_await secure_extent());
  co_return std::move(recovered_);
}

Task<Result<bool>> Recovery::take(uint64_t sequence, bool is_last) {
  CO_TRY(segment, co_await load(sequence));
  auto header = decode_segment_header(segment.bytes.view(), identity(sequence));
  if (!header) {
    // A segment is used only after its header and name are durable. One without a header, the
    // last, was being made when the process ended.
    const bool unfinished = header.error().is(Code::kCorrupt) && is_last &&
                            sequence > reach().last &&
                            !holds_frames(segment.bytes.view(), identity(sequence));
    if (unfinished) co_return false;
    co_return fail(header.error().in(segment_path(options_, sequence)));
  }
  // The extent is made before the first segment of this version.
  if (header->version >= kSegmentVersion && !recovered_.extent)
    co_return fail(Code::kCorrupt, "the extent of the log is missing: where it ends is not known");
  CO_TRY_VOID(follow(*header));
  tail_ = std::move(segment);
  scan_ = scan_segment(tail_.bytes.view(), identity(sequence), header->after);
  // What broke off was a torn tail only if nothing good says that it had been durable.
  if (scan_.claimed > scan_.last && !MUTANT("M7")) co_return damage();
  CO_TRY_VOID(visit_frames());
  co_return true;
}

// All before a segment was durable when it was made. What may be torn there is a marker.
Result<void> Recovery::follow(const SegmentHeader& header) const {
  if (recovered_.segments.empty() || header.after == scan_.last) return {};
  return damage();
}

std::unexpected<Error> Recovery::damage() const {
  return fail(Code::kCorrupt,
              "{} is damaged at offset {}, where LSN {} should be: what was promised there is lost",
              segment_path(options_, tail_.sequence), scan_.end, scan_.last.next());
}

Result<void> Recovery::visit_frames() {
  Segment& taken = recovered_.segments.emplace_back(Segment{tail_.sequence, {}});
  for (const Frame& frame : scan_.frames) {
    Lsn lsn = frame.header.first;
    for (const FrameRecord& record : frame.records) {
      const auto offset = as_bytes(record.payload).data() - tail_.bytes.data();
      TRY_VOID(visit_({record.group, lsn,
                       tail_.bytes.slice(static_cast<size_t>(offset), record.payload.size())}));
      taken.last_of_group[record.group] = lsn;
      lsn = lsn.next();
    }
  }
  recovered_.last = scan_.last;
  return {};
}

// Where the bytes begin that no later frame says are durable.
uint64_t unproven_from(const SegmentScan& scan) {
  Lsn proven;
  uint64_t from = scan.end;
  for (size_t i = scan.frames.size(); i-- > 0;) {
    const Frame& frame = scan.frames[i];
    if (frame.header.records > 0 && frame.header.last() <= proven) return from;
    proven = std::max(proven, frame.header.durable);
    from = frame.offset;
  }
  return 0;  // nothing proves the header, either
}

Task<Result<void>> Recovery::secure_tail() {
  if (!scan_.clean) {
    env_.log().info("{}: cut a torn tail of {} bytes after LSN {}",
                    segment_path(options_, tail_.sequence), tail_.bytes.size() - scan_.end,
                    scan_.last);
    CO_TRY_VOID(co_await tail_.file->truncate(scan_.end));
  }
  const uint64_t from = unproven_from(scan_);
  CO_TRY_VOID(co_await tail_.file->write(from, tail_.bytes.slice(from, scan_.end - from)));
  CO_TRY_VOID(co_await tail_.file->sync());
  recovered_.active = std::move(tail_.file);
  recovered_.end = scan_.end;
  recovered_.marked = scan_.frames.empty() || scan_.frames.back().header.records == 0;
  co_return Result<void>();
}

// A new segment may have been made before its place was written down. Without space for an extent
// the log goes on as it is: whoever makes its next segment makes the extent first.
Task<Result<void>> Recovery::secure_extent() {
  const auto& segments = recovered_.segments;
  const Reach found =
      segments.empty() ? Reach{} : Reach{segments.front().sequence, segments.back().sequence};
  if (recovered_.extent) {
    CO_TRY_VOID(co_await recovered_.extent->secure());
    const Reach known = reach();
    if (found.last <= known.last) co_return Result<void>();
    co_return co_await recovered_.extent->set({known.first, found.last});
  }
  auto made =
      co_await Extent::create(env_, {options_.directory, options_.cluster, options_.store}, found);
  if (!made && !made.error().is(Code::kNoSpace)) co_return fail(made.error());
  if (made) recovered_.extent = std::move(*made);
  co_return Result<void>();
}

}  // namespace

std::string segment_path(const Options& options, uint64_t sequence) {
  const auto name = segment_name(sequence);
  return options.directory.empty() ? name : options.directory + '/' + name;
}

Task<Result<Recovered>> recover(Env& env, Options options, Visitor visit) {
  CO_TRY_VOID(co_await make_durable_directory(env, options.directory));
  Recovery recovery(env, std::move(options), std::move(visit));
  CO_TRY_VOID(co_await recovery.read());
  co_return co_await recovery.secure();
}

Task<Result<void>> inspect(Env& env, Options options, Visitor visit) {
  Recovery recovery(env, std::move(options), std::move(visit));
  co_return co_await recovery.read();
}

}  // namespace dogfs::wal
