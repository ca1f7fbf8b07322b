#include "sim/world/disk_content.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/base/check.h"

namespace dogfs::sim {
namespace {

// The part of [offset, offset + length) that lies in [begin, end).
struct Overlap {
  uint64_t begin;
  uint64_t end;
  Overlap(uint64_t offset, uint64_t length, uint64_t low, uint64_t high)
      : begin(std::max(offset, low)), end(std::min(offset + length, high)) {}
  bool empty() const { return begin >= end; }
};

}  // namespace

Result<Buffer> DiskContent::read(uint64_t offset, size_t length, DiskFaultCounts& counts) const {
  if (offset >= size_) return Buffer();
  length = std::min<uint64_t>(length, size_ - offset);
  const uint64_t end = offset + length;
  for (auto i = unreadable_.lower_bound(offset / kSectorBytes);
       i != unreadable_.end() && *i * kSectorBytes < end; ++i) {
    if (masked(*i)) continue;
    counts.take_effect(DiskFault::kLatentError);
    return fail(Code::kIo, "sector {} cannot be read", *i);
  }
  MutableBuffer out = MutableBuffer::zeroed(length);
  const Overlap durable(0, durable_.size(), offset, end);
  if (!durable.empty())
    std::memcpy(out.data() + (durable.begin - offset), durable_.data() + durable.begin,
                durable.end - durable.begin);
  for (const Change& change : changes_) {
    if (change.kind == Kind::kTruncate && change.offset < end) {
      const uint64_t from = std::max(change.offset, offset);
      std::memset(out.data() + (from - offset), 0, end - from);
    }
    if (change.kind != Kind::kWrite) continue;
    const Overlap part(change.offset, change.bytes.size(), offset, end);
    if (!part.empty())
      std::memcpy(out.data() + (part.begin - offset),
                  change.bytes.data() + (part.begin - change.offset), part.end - part.begin);
  }
  const auto rotten = rotten_.lower_bound(offset);
  if (rotten != rotten_.end() && *rotten < end) counts.take_effect(DiskFault::kBitRot);
  return std::move(out).freeze();
}

// A sector is not read from the platter while the page cache holds all of it.
bool DiskContent::masked(uint64_t sector) const {
  return std::ranges::any_of(changes_, [&](const Change& change) {
    return change.kind == Kind::kWrite && change.offset <= sector * kSectorBytes &&
           change.end() >= (sector + 1) * kSectorBytes;
  });
}

void DiskContent::write(uint64_t offset, Buffer bytes) {
  size_ = std::max(size_, offset + bytes.size());
  changes_.push_back(Change{.kind = Kind::kWrite, .offset = offset, .bytes = std::move(bytes)});
}

void DiskContent::write_misdirected(uint64_t offset, Buffer bytes,
                                    std::weak_ptr<DiskContent> target, uint64_t target_offset) {
  write(offset, std::move(bytes));
  changes_.back().misdirected = true;
  changes_.back().target = std::move(target);
  changes_.back().target_offset = target_offset;
}

void DiskContent::truncate(uint64_t size) {
  size_ = size;
  changes_.push_back(Change{.kind = Kind::kTruncate, .offset = size, .bytes = {}});
}

void DiskContent::sync(uint64_t mark, DiskFaultCounts& counts) {
  if (mark <= first_change_) return;  // another sync was faster
  const size_t covered = std::min<uint64_t>(mark - first_change_, changes_.size());
  for (size_t i = 0; i < covered; ++i) make_durable(changes_[i], counts);
  changes_.erase(changes_.begin(), changes_.begin() + static_cast<ptrdiff_t>(covered));
  first_change_ += covered;
}

void DiskContent::fail_sync(uint64_t mark, Random& random, DiskFaultCounts& counts) {
  if (mark <= first_change_) return;
  const size_t covered = std::min<uint64_t>(mark - first_change_, changes_.size());
  const size_t written = random.below(covered + 1);
  for (size_t i = written; i < covered; ++i) {
    if (changes_[i].kind != Kind::kWrite || changes_[i].dropped) continue;
    changes_[i].dropped = true;
    counts.inject(DiskFault::kDroppedPages);
  }
  sync(first_change_ + written, counts);
}

bool DiskContent::has_dropped_pages() const {
  return std::ranges::any_of(changes_, [](const Change& change) { return change.dropped; });
}

void DiskContent::evict(DiskFaultCounts& counts) {
  for (Change& change : changes_) {
    if (!change.dropped) continue;
    counts.take_effect(DiskFault::kDroppedPages);
    change = Change{.kind = Kind::kGrow, .offset = change.end(), .bytes = {}};
  }
}

void DiskContent::make_durable(const Change& change, DiskFaultCounts& counts) {
  if (change.kind == Kind::kTruncate) return resize_durable(change.offset);
  if (change.kind == Kind::kGrow || change.dropped) {
    if (change.dropped) counts.take_effect(DiskFault::kDroppedPages);
    return resize_durable(std::max<uint64_t>(durable_.size(), change.end()));
  }
  if (change.misdirected) {
    resize_durable(std::max<uint64_t>(durable_.size(), change.end()));
    note_misdirected(change.offset, change.bytes.size());
    counts.take_effect(DiskFault::kMisdirectedWrite);
    const auto target = change.target.lock();
    if (!target || target->durable_.size() <= change.target_offset) return;
    const size_t room = target->durable_.size() - change.target_offset;
    const size_t landed = std::min(change.bytes.size(), room);
    target->put_durable(change.target_offset, change.bytes.view().first(landed));
    target->note_misdirected(change.target_offset, landed);
    return;
  }
  put_durable(change.offset, change.bytes.view());
}

void DiskContent::put_durable(uint64_t offset, ByteView bytes) {
  const uint64_t end = offset + bytes.size();
  if (end > durable_.size()) durable_.resize(end);
  std::copy(bytes.begin(), bytes.end(), durable_.begin() + static_cast<ptrdiff_t>(offset));
  rotten_.erase(rotten_.lower_bound(offset), rotten_.lower_bound(end));
  misdirected_.erase(misdirected_.lower_bound(offset), misdirected_.lower_bound(end));
  // A sector written only in part is read first, so it stays unreadable.
  const uint64_t first_whole = (offset + kSectorBytes - 1) / kSectorBytes;
  const uint64_t end_whole = end / kSectorBytes;
  if (first_whole < end_whole)
    unreadable_.erase(unreadable_.lower_bound(first_whole), unreadable_.lower_bound(end_whole));
}

void DiskContent::resize_durable(uint64_t size) {
  durable_.resize(size);
  rotten_.erase(rotten_.lower_bound(size), rotten_.end());
  misdirected_.erase(misdirected_.lower_bound(size), misdirected_.end());
  unreadable_.erase(unreadable_.lower_bound((size + kSectorBytes - 1) / kSectorBytes),
                    unreadable_.end());
}

void DiskContent::note_misdirected(uint64_t offset, uint64_t length) {
  for (uint64_t i = 0; i < length; ++i) misdirected_.insert(misdirected_.end(), offset + i);
}

void DiskContent::rot(uint64_t offset, uint32_t bit) {
  CHECK(offset < durable_.size());
  durable_[offset] = static_cast<char>(durable_[offset] ^ (1 << (bit % 8)));
  rotten_.insert(offset);
}

// How far each sector, and the length, came on the way to the platter: the first so many of
// changes_ count. A dropped truncate hides all later writes: they went to sectors that the journal
// does not know of.
struct DiskContent::Outcome {
  size_t lengths_kept = 0;
  std::map<uint64_t, size_t> writes_kept;  // by touched sector
};

DiskContent::Outcome DiskContent::draw_outcome(Random& random) const {
  enum Style : uint8_t { kAll, kNothing, kPrefix, kEachForItself };
  // Writes are torn where each sector fares for itself, so half of the losses are of that style.
  const auto style = random.chance(1, 2) ? kEachForItself : static_cast<Style>(random.below(3));
  const size_t count = changes_.size();
  const size_t prefix = style == kAll ? count : style == kNothing ? 0 : random.below(count + 1);
  Outcome outcome;
  outcome.lengths_kept = style == kEachForItself && random.chance(3, 4) ? count : prefix;
  size_t cap = outcome.lengths_kept;
  while (cap < count && changes_[cap].kind != Kind::kTruncate) ++cap;
  size_t drawn = prefix;
  for (const Change& change : changes_) {
    if (change.kind != Kind::kWrite) continue;
    for (uint64_t s = change.offset / kSectorBytes; s * kSectorBytes < change.end(); ++s) {
      if (outcome.writes_kept.contains(s)) continue;
      // Runs of sectors often share their fate, as neighbours in a queue do.
      if (style == kEachForItself && random.chance(1, 3)) drawn = random.below(count + 1);
      outcome.writes_kept[s] = std::min(drawn, cap);
    }
  }
  return outcome;
}

std::string DiskContent::replay_sector(uint64_t sector, size_t writes_kept,
                                       size_t lengths_kept) const {
  const uint64_t begin = sector * kSectorBytes;
  std::string bytes(kSectorBytes, '\0');
  if (begin < durable_.size()) {
    const std::string_view old = std::string_view(durable_).substr(begin, kSectorBytes);
    std::ranges::copy(old, bytes.begin());
  }
  for (size_t i = 0; i < changes_.size(); ++i) {
    const Change& change = changes_[i];
    if (change.kind == Kind::kTruncate && i < lengths_kept &&
        change.offset < begin + kSectorBytes) {
      const uint64_t keep = std::max(change.offset, begin) - begin;
      std::fill(bytes.begin() + static_cast<ptrdiff_t>(keep), bytes.end(), '\0');
    }
    if (change.kind != Kind::kWrite || i >= writes_kept || change.dropped || change.misdirected)
      continue;
    const Overlap part(change.offset, change.bytes.size(), begin, begin + kSectorBytes);
    if (!part.empty())
      std::memcpy(bytes.data() + (part.begin - begin),
                  change.bytes.data() + (part.begin - change.offset), part.end - part.begin);
  }
  return bytes;
}

uint64_t DiskContent::replay_size(size_t lengths_kept) const {
  uint64_t size = durable_.size();
  for (size_t i = 0; i < lengths_kept; ++i) {
    const Change& change = changes_[i];
    size = change.kind == Kind::kTruncate ? change.offset : std::max(size, change.end());
  }
  return size;
}

void DiskContent::power_loss(Random& random, DiskFaultCounts& counts) {
  evict(counts);
  if (!changes_.empty()) {
    const Outcome outcome = draw_outcome(random);
    count_losses(outcome, counts);
    std::map<uint64_t, std::string> sectors;
    for (const auto [sector, kept] : outcome.writes_kept)
      sectors[sector] = replay_sector(sector, kept, outcome.lengths_kept);
    // Truncates first: what they cut off must not come back with a length that grew again.
    for (size_t i = 0; i < outcome.lengths_kept; ++i)
      if (changes_[i].kind == Kind::kTruncate && changes_[i].offset < durable_.size())
        resize_durable(changes_[i].offset);
    const uint64_t size = replay_size(outcome.lengths_kept);
    resize_durable(size);
    for (const auto& [sector, bytes] : sectors) {
      const uint64_t begin = sector * kSectorBytes;
      if (begin >= size || outcome.writes_kept.at(sector) == 0) continue;
      const std::string_view part = std::string_view(bytes).substr(0, size - begin);
      if (part != std::string_view(durable_).substr(begin, kSectorBytes))
        put_durable(begin, as_bytes(part));
    }
    first_change_ += changes_.size();
    changes_.clear();
  }
  size_ = durable_.size();
}

void DiskContent::count_losses(const Outcome& outcome, DiskFaultCounts& counts) const {
  const uint64_t size = replay_size(outcome.lengths_kept);
  for (size_t i = 0; i < changes_.size(); ++i) {
    const Change& change = changes_[i];
    if (change.kind != Kind::kWrite || change.bytes.empty()) continue;
    counts.inject(DiskFault::kLostWrite);
    counts.inject(DiskFault::kTornWrite);
    size_t kept = 0;
    size_t touched = 0;
    for (uint64_t s = change.offset / kSectorBytes; s * kSectorBytes < change.end(); ++s) {
      ++touched;
      const bool visible = std::max(s * kSectorBytes, change.offset) < size;
      if (i < outcome.writes_kept.at(s) && visible) ++kept;
    }
    if (kept == 0) counts.take_effect(DiskFault::kLostWrite);
    if (kept > 0 && kept < touched) counts.take_effect(DiskFault::kTornWrite);
  }
}

}  // namespace dogfs::sim
