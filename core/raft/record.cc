#include "core/raft/record.h"

#include <algorithm>

#include "core/base/coding.h"
#include "core/base/limits.h"

namespace dogfs::raft {
namespace {

enum class RecordKind : uint8_t { kHardState = 1, kSnapshot = 2, kEntries = 3 };

// Version, kind, group and count stand before the entries; see README.md.
constexpr size_t kRecordHeadBytes = 64;
constexpr size_t kRecordEntriesBytes = limits::kWalRecordBytesMax - kRecordHeadBytes;
static_assert(limits::kProposalBytesMax + kEntryOverheadBytes <= kRecordEntriesBytes);

void put_member(Encoder& out, const Member& member) { out.id(member.node).id(member.store); }

Member get_member(Decoder& in) {
  const auto node = in.id<NodeId>();
  return {node, in.id<StoreId>()};
}

void put_members(Encoder& out, const std::vector<Member>& members) {
  out.u16(static_cast<uint16_t>(members.size()));
  for (const Member& member : members) put_member(out, member);
}

std::vector<Member> get_members(Decoder& in) {
  std::vector<Member> members;
  const size_t count = in.u16();
  for (size_t i = 0; i < count && in.ok(); ++i) members.push_back(get_member(in));
  return members;
}

void put_configuration(Encoder& out, const Configuration& configuration) {
  put_members(out, configuration.voters);
  put_members(out, configuration.learners);
  put_members(out, configuration.outgoing);
  put_members(out, configuration.target);
}

Configuration get_configuration(Decoder& in) {
  Configuration configuration;
  configuration.voters = get_members(in);
  configuration.learners = get_members(in);
  configuration.outgoing = get_members(in);
  configuration.target = get_members(in);
  return configuration;
}

void put_position(Encoder& out, LogPosition position) { out.id(position.index).id(position.term); }

LogPosition get_position(Decoder& in) {
  const auto index = in.id<LogIndex>();
  return {index, in.id<Term>()};
}

void put_body(Encoder& out, const HardState& hard_state) {
  out.id(hard_state.term);
  put_member(out, hard_state.voted_for);
}

void put_body(Encoder& out, const SnapshotMeta& snapshot) {
  put_position(out, snapshot.last);
  put_configuration(out, snapshot.configuration);
}

void put_body(Encoder& out, const std::vector<Entry>& entries) {
  out.id(entries.front().index).u32(static_cast<uint32_t>(entries.size()));
  for (const Entry& entry : entries) {
    out.id(entry.term).u8(static_cast<uint8_t>(entry.kind)).text(entry.payload.text());
  }
}

RecordKind kind_of(const HardState&) { return RecordKind::kHardState; }
RecordKind kind_of(const SnapshotMeta&) { return RecordKind::kSnapshot; }
RecordKind kind_of(const std::vector<Entry>&) { return RecordKind::kEntries; }

SnapshotMeta get_snapshot(Decoder& in) {
  const LogPosition last = get_position(in);
  return {last, get_configuration(in)};
}

bool is_entry_kind(uint8_t kind) {
  return kind >= static_cast<uint8_t>(EntryKind::kNormal) &&
         kind <= static_cast<uint8_t>(EntryKind::kConfiguration);
}

Result<std::vector<Entry>> get_entries(Decoder& in) {
  LogIndex index = in.id<LogIndex>();
  const size_t count = in.u32();
  if (count == 0 || !index) return fail(Code::kCorrupt, "an entry record without entries");
  std::vector<Entry> entries;
  for (size_t i = 0; i < count && in.ok(); ++i, index = index.next()) {
    const auto term = in.id<Term>();
    const uint8_t kind = in.u8();
    const auto payload = in.text();
    if (!in.ok()) break;
    if (!is_entry_kind(kind)) {
      return fail(Code::kUnsupported, "log entry {} is of the unknown kind {}", index, kind);
    }
    entries.push_back({index, term, static_cast<EntryKind>(kind), Buffer::copy(payload)});
  }
  return entries;
}

Result<RecordBody> get_body(uint8_t kind, Decoder& in) {
  switch (static_cast<RecordKind>(kind)) {
    case RecordKind::kHardState: {
      const auto term = in.id<Term>();
      return HardState{term, get_member(in)};
    }
    case RecordKind::kSnapshot: {
      SnapshotMeta snapshot = get_snapshot(in);
      if (!snapshot.configuration.valid()) {
        return fail(Code::kCorrupt, "snapshot record with an impossible configuration");
      }
      return snapshot;
    }
    case RecordKind::kEntries: return get_entries(in);
  }
  return fail(Code::kUnsupported, "raft record of the unknown kind {}", kind);
}

bool is_valid_entry(const Entry& entry, const LogPosition& before, Term term_max) {
  if (entry.index != before.index.next()) return false;
  if (entry.term < before.term || entry.term > term_max) return false;
  return entry.kind != EntryKind::kConfiguration ||
         decode_configuration(entry.payload.view()).has_value();
}

}  // namespace

std::string encode_record(const Record& record) {
  Encoder out;
  std::visit(
      [&](const auto& body) {
        out.u8(kRecordVersion).u8(static_cast<uint8_t>(kind_of(body))).id(record.group);
        put_body(out, body);
      },
      record.body);
  CHECK(out.size() <= limits::kWalRecordBytesMax, "a record of {} bytes", out.size());
  return std::move(out).take();
}

Result<Record> decode_record(ByteView bytes) {
  Decoder in(bytes);
  const uint8_t version = in.u8();
  const uint8_t kind = in.u8();
  const auto group = in.id<GroupId>();
  if (!in.ok()) return fail(Code::kCorrupt, "raft record of only {} bytes", bytes.size());
  if (version != kRecordVersion) {
    return fail(Code::kUnsupported, "raft record of version {}; this build knows {}", version,
                kRecordVersion);
  }
  TRY(body, get_body(kind, in));
  if (!in.at_end()) return fail(Code::kCorrupt, "raft record of kind {} has a wrong length", kind);
  return Record{group, std::move(body)};
}

std::vector<std::string> encode_records(GroupId group, const PersistRequest& request) {
  std::vector<std::string> records;
  if (request.hard_state) records.push_back(encode_record({group, *request.hard_state}));
  if (request.snapshot) records.push_back(encode_record({group, *request.snapshot}));
  std::vector<Entry> batch;
  size_t bytes = 0;
  for (const Entry& entry : request.entries) {
    if (!batch.empty() && bytes + entry_bytes(entry) > kRecordEntriesBytes) {
      records.push_back(encode_record({group, std::exchange(batch, {})}));
      bytes = 0;
    }
    bytes += entry_bytes(entry);
    batch.push_back(entry);
  }
  if (!batch.empty()) records.push_back(encode_record({group, std::move(batch)}));
  return records;
}

std::string encode_configuration(const Configuration& configuration) {
  Encoder out;
  put_configuration(out, configuration);
  return std::move(out).take();
}

Result<Configuration> decode_configuration(ByteView bytes) {
  Decoder in(bytes);
  Configuration configuration = get_configuration(in);
  if (!in.at_end() || configuration.empty() || !configuration.valid()) {
    return fail(Code::kCorrupt, "a configuration of {} bytes is not one", bytes.size());
  }
  return configuration;
}

std::string encode_snapshot_meta(const SnapshotMeta& snapshot) {
  Encoder out;
  put_body(out, snapshot);
  return std::move(out).take();
}

Result<SnapshotMeta> decode_snapshot_meta(ByteView bytes) {
  Decoder in(bytes);
  SnapshotMeta snapshot = get_snapshot(in);
  if (!in.at_end() || !snapshot.configuration.valid()) {
    return fail(Code::kCorrupt, "{} bytes do not name a snapshot", bytes.size());
  }
  return snapshot;
}

LogPosition Replay::last() const {
  return state_.entries.empty() ? state_.snapshot.last : state_.entries.back().position();
}

Result<> Replay::add(const RecordBody& body) {
  if (const auto* entries = std::get_if<std::vector<Entry>>(&body)) return add_entries(*entries);
  if (const auto* snapshot = std::get_if<SnapshotMeta>(&body)) return add_snapshot(*snapshot);
  return add_hard_state(std::get<HardState>(body));
}

bool Replay::adrift() const {
  return !state_.entries.empty() &&
         state_.entries.front().index != state_.snapshot.last.index.next();
}

// Whatever went before a snapshot that stands for it went after that one's record was durable, and
// a leader's snapshot took away what it does not follow (add_snapshot).
Result<Recovered> Replay::take() && {
  if (adrift()) {
    return fail(Code::kCorrupt, "raft log has lost what stood between snapshot {} and entry {}",
                state_.snapshot.last, state_.entries.front().index);
  }
  return std::move(state_);
}

Result<> Replay::add_hard_state(const HardState& hard_state) {
  const HardState& before = state_.hard_state;
  const Term reached = state_.entries.empty() ? Term() : state_.entries.back().term;
  if (hard_state.term < std::max(before.term, reached)) {
    return fail(Code::kCorrupt, "raft log goes back from term {} to {}",
                std::max(before.term, reached), hard_state.term);
  }
  if (hard_state.term == before.term && before.voted_for &&
      hard_state.voted_for != before.voted_for) {
    return fail(Code::kCorrupt, "raft log votes twice in term {}, for {} and {}", before.term,
                before.voted_for, hard_state.voted_for);
  }
  state_.hard_state = hard_state;
  return {};
}

Result<> Replay::add_entries(const std::vector<Entry>& entries) {
  const LogIndex first = entries.front().index;
  auto& held = state_.entries;
  const bool begins = !std::exchange(any_entries_, true);
  const bool floats = first > state_.snapshot.last.index.next() &&
                      (begins || (!held.empty() && first < held.front().index));
  if (first <= state_.snapshot.last.index || (!floats && first > last().index.next())) {
    return fail(Code::kCorrupt, "raft log continues at entry {} after snapshot {} and entry {}",
                first, state_.snapshot.last.index, last().index);
  }
  if (!held.empty() && first < held.front().index) held.clear();
  // Of an image, entries are written again that are there already. What follows them stays: it may
  // be acknowledged, and a crash may have kept the image's next record out of the log.
  const auto place = [&](const Entry& entry) {
    return entry.index.value - (held.empty() ? first : held.front().index).value;
  };
  const auto changed = std::ranges::find_if_not(entries, [&](const Entry& entry) {
    return place(entry) < held.size() && held[place(entry)].position() == entry.position();
  });
  if (changed == entries.end()) return {};
  if (place(*changed) < held.size()) held.resize(place(*changed));
  // The hard state that belongs to the first entries may have been forgotten before them.
  const bool forgotten = !state_.hard_state.term && (floats || adrift());
  const Term term_max = forgotten ? Term(limits::kRaftTermMax) : state_.hard_state.term;
  for (const Entry& entry : std::ranges::subrange(changed, entries.end())) {
    const LogPosition before = floats && held.empty() ? LogPosition{first.prev(), Term()} : last();
    if (!is_valid_entry(entry, before, term_max)) {
      return fail(Code::kCorrupt, "raft log entry {}@{} cannot follow {} in term {}", entry.index,
                  entry.term, before, state_.hard_state.term);
    }
    held.push_back(entry);
  }
  return {};
}

Result<> Replay::add_snapshot(const SnapshotMeta& snapshot) {
  const LogPosition before = state_.snapshot.last;
  if (snapshot.last.index < before.index) {
    return fail(Code::kCorrupt, "raft log goes back from snapshot {} to {}", before, snapshot.last);
  }
  if (snapshot.last.term > state_.hard_state.term) {
    return fail(Code::kCorrupt, "raft snapshot {} is beyond term {}", snapshot.last,
                state_.hard_state.term);
  }
  // A log that does not contain the snapshot's position diverged from it: all of it goes.
  auto& entries = state_.entries;
  const auto behind = std::ranges::upper_bound(entries, snapshot.last.index, {}, &Entry::index);
  const bool held = behind != entries.begin() ? std::prev(behind)->position() == snapshot.last
                    : adrift()                ? entries.front().term >= snapshot.last.term
                                              : snapshot.last == before;
  entries.erase(entries.begin(), held ? behind : entries.end());
  state_.snapshot = snapshot;
  return {};
}

}  // namespace dogfs::raft
