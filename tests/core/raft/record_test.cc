#include "core/raft/record.h"

#include <rapidcheck.h>

#include "core/base/limits.h"
#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::raft {
namespace {

constexpr GroupId kGroup{7};

Member member(uint32_t node) { return {NodeId(node), StoreId(node * 100)}; }

Configuration three() { return {{member(1), member(2), member(3)}, {member(4)}, {member(1)}}; }

std::vector<Entry> entries(uint64_t first, const std::vector<uint64_t>& terms) {
  std::vector<Entry> list;
  for (const uint64_t term : terms) {
    const LogIndex index(first + list.size());
    list.push_back({index, Term(term), EntryKind::kNormal, Buffer::copy(fmt::format("{}", term))});
  }
  return list;
}

SnapshotMeta snapshot(uint64_t index, uint64_t term) {
  return {{LogIndex(index), Term(term)}, three()};
}

RecordBody draw_body(Random& random) {
  if (random.chance(1, 3)) return HardState{Term(random.next()), member(2)};
  if (random.chance(1, 2)) return SnapshotMeta{{LogIndex(random.next()), Term(3)}, three()};
  return entries(random.below(100) + 1, std::vector<uint64_t>(random.between(1, 5), 4));
}

TEST_CASE("records come back as they were, and name their group") {
  CHECK(rc::check([](uint64_t seed) {
    Random random(seed);
    const Record record{GroupId(static_cast<uint32_t>(random.next())), draw_body(random)};
    const auto back = decode_record(as_bytes(encode_record(record)));
    RC_ASSERT(back.has_value());
    RC_ASSERT((*back == record));
  }));
}

TEST_CASE("the bytes of a record are fixed: a change of format needs a new version") {
  std::string hex;
  for (const char c : encode_record({kGroup, HardState{Term(5), member(2)}})) {
    hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  }
  CHECK_EQ(hex,
           "02"
           "01"
           "07000000"
           "0500000000000000"
           "02000000"
           "c800000000000000");
}

TEST_CASE("every cut and every changed byte of a record is refused or decodes to a record") {
  for (const RecordBody& body : {RecordBody(HardState{Term(5), member(2)}),
                                 RecordBody(snapshot(9, 2)), RecordBody(entries(3, {1, 2, 2}))}) {
    const std::string bytes = encode_record({kGroup, body});
    for (size_t length = 0; length < bytes.size(); ++length) {
      CHECK_FALSE(decode_record(as_bytes(std::string_view(bytes).substr(0, length))).has_value());
    }
    CHECK_FALSE(decode_record(as_bytes(bytes + "x")).has_value());
    for (size_t i = 0; i < bytes.size(); ++i) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 0xff);
      const auto record = decode_record(as_bytes(changed));
      if (record) CHECK_EQ(encode_record(*record), changed);
    }
  }
  std::string newer = encode_record({kGroup, HardState{}});
  newer[0] = 3;
  CHECK_EQ(decode_record(as_bytes(newer)).error().code, Code::kUnsupported);
}

TEST_CASE("a large request is split into records that each fit the log") {
  PersistRequest request{.number = PersistNumber(1), .hard_state = HardState{Term(1), member(1)}};
  const Buffer payload = Buffer::copy(std::string(limits::kProposalBytesMax, 'x'));
  for (uint64_t i = 1; i <= 9; ++i) {
    request.entries.push_back({LogIndex(i), Term(1), EntryKind::kNormal, payload});
  }
  Replay replay;
  CHECK(replay.add(snapshot(0, 0)).has_value());
  const auto records = encode_records(kGroup, request);
  CHECK_EQ(records.size(), 4u);
  for (const std::string& bytes : records) {
    CHECK_LE(bytes.size(), limits::kWalRecordBytesMax);
    CHECK(replay.add(decode_record(as_bytes(bytes))->body).has_value());
  }
  CHECK((replay.state().entries == request.entries));
  CHECK((replay.state().hard_state == request.hard_state));
}

std::string replayed_terms(const std::vector<RecordBody>& bodies) {
  Replay replay;
  for (const RecordBody& body : bodies) {
    if (const auto added = replay.add(body); !added)
      return std::string(code_name(added.error().code));
  }
  std::string text = fmt::format("{}:", replay.state().snapshot.last);
  for (const Entry& entry : replay.state().entries) text += fmt::format(" {}", entry.term);
  return text;
}

TEST_CASE("replay rewrites from the first entry that changed, and forgets what a snapshot covers") {
  const HardState hard{Term(9), {}};
  CHECK_EQ(replayed_terms({hard, entries(1, {1, 1, 1}), entries(2, {2})}), "0@0: 1 2");
  CHECK_EQ(replayed_terms({hard, entries(1, {1, 1, 1}), entries(1, {1, 2})}), "0@0: 1 2");
  CHECK_EQ(replayed_terms({hard, entries(1, {1, 1, 1}), snapshot(2, 1)}), "2@1: 1");
  CHECK_EQ(replayed_terms({hard, entries(1, {1, 1, 1}), snapshot(2, 2)}), "2@2:");
  CHECK_EQ(replayed_terms({hard, entries(1, {1, 1, 1}), snapshot(8, 2), entries(9, {2})}),
           "8@2: 2");
  CHECK_EQ(replayed_terms({hard, snapshot(3, 1), entries(4, {1}), snapshot(3, 1)}), "3@1: 1");
}

TEST_CASE("a log whose beginning was forgotten reaches its snapshot, or is damaged") {
  const HardState hard{Term(9), {}};
  const auto whole = [](const std::vector<RecordBody>& bodies) {
    Replay replay;
    for (const RecordBody& body : bodies) REQUIRE(replay.add(body).has_value());
    const auto recovered = std::move(replay).take();
    if (!recovered) return std::string(code_name(recovered.error().code));
    std::string text = fmt::format("{}:", recovered->snapshot.last);
    for (const Entry& entry : recovered->entries)
      text += fmt::format(" {}@{}", entry.index, entry.term);
    return text;
  };
  // Entries from 5 on were kept when a snapshot at 4, 5 or 6 let go of what lay before.
  CHECK_EQ(whole({entries(5, {1, 1}), entries(7, {2}), hard, snapshot(5, 1)}), "5@1: 6@1 7@2");
  CHECK_EQ(whole({hard, entries(5, {1, 1}), hard, snapshot(4, 1)}), "4@1: 5@1 6@1");
  CHECK_EQ(whole({entries(5, {1, 1}), hard, snapshot(6, 1), entries(7, {2})}), "6@1: 7@2");
  CHECK_EQ(whole({entries(8, {1, 1}), entries(7, {2}), entries(8, {2}), hard, snapshot(7, 2)}),
           "7@2: 8@2");
  // An older snapshot's record is between them.
  CHECK_EQ(whole({entries(5, {1, 1}), hard, snapshot(3, 1), entries(7, {1}), hard, snapshot(6, 1)}),
           "6@1: 7@1");
  CHECK_EQ(whole({hard, snapshot(2, 1), entries(5, {1, 1}), hard, snapshot(5, 1)}), "5@1: 6@1");
  // Entries from before a leader's snapshot took the place of the whole log.
  CHECK_EQ(whole({entries(8, {1, 1}), hard, snapshot(5, 2)}), "5@2:");
  CHECK_EQ(whole({entries(6, {1, 1}), hard, snapshot(5, 2)}), "5@2:");
  // A leader of term 2 had 5@2 before them, so these follow it: 6 and 7 were here, and are lost.
  CHECK_EQ(whole({entries(8, {2, 2}), hard, snapshot(5, 2)}), "corrupt");
  CHECK_EQ(whole({hard, snapshot(2, 1), entries(5, {1, 1})}), "corrupt");
  CHECK_EQ(whole({hard, entries(2, {1, 1})}), "corrupt");
  CHECK_EQ(whole({entries(8, {2, 2}), hard, snapshot(5, 2), entries(6, {3})}), "5@2: 6@3");
  CHECK_EQ(whole({entries(5, {1, 1, 1}), hard, snapshot(6, 2), entries(7, {3})}), "6@2: 7@3");
  // Nothing that was not forgotten may be missing.
  CHECK_EQ(replayed_terms({hard, snapshot(2, 1), entries(3, {1}), entries(5, {1})}), "corrupt");
  CHECK_EQ(replayed_terms({entries(5, {3}), HardState{Term(2), {}}}), "corrupt");
}

TEST_CASE("an image that a crash cut short takes no acknowledged entry away") {
  const HardState hard{Term(9), {}};
  const std::vector<RecordBody> log = {hard, entries(1, {1, 1, 1, 2})};
  std::vector<RecordBody> cut = log;
  cut.insert(cut.end(),
             {hard, snapshot(1, 1), entries(2, {1})});  // 3 and 4 were in its next record
  CHECK_EQ(replayed_terms(cut), "1@1: 1 1 2");
}

TEST_CASE("replay refuses what cannot follow: the log is damaged") {
  const HardState hard{Term(9), {}};
  CHECK_EQ(replayed_terms({hard, entries(1, {1}), entries(3, {1})}), "corrupt");  // a gap
  CHECK_EQ(replayed_terms({hard, entries(1, {2, 1})}), "corrupt");  // a term goes down
  CHECK_EQ(replayed_terms({hard, entries(1, {2}), entries(2, {1})}), "corrupt");
  CHECK_EQ(replayed_terms({entries(1, {1})}), "corrupt");  // beyond the own term
  CHECK_EQ(replayed_terms({hard, snapshot(5, 10)}), "corrupt");
  CHECK_EQ(replayed_terms({hard, HardState{Term(8), {}}}), "corrupt");
  const HardState voted{Term(9), member(1)};
  CHECK_EQ(replayed_terms({hard, voted, voted}), "0@0:");
  CHECK_EQ(replayed_terms({voted, HardState{Term(9), member(2)}}), "corrupt");  // a second vote
  CHECK_EQ(replayed_terms({voted, hard}), "corrupt");
  CHECK_EQ(replayed_terms({hard, snapshot(5, 1), snapshot(4, 1)}), "corrupt");
  CHECK_EQ(replayed_terms({hard, snapshot(5, 1), entries(5, {1})}), "corrupt");  // was committed
}

TEST_CASE("the head of a snapshot file comes back, and garbage does not") {
  const std::string bytes = encode_snapshot_meta(snapshot(12, 3));
  CHECK((*decode_snapshot_meta(as_bytes(bytes)) == snapshot(12, 3)));
  CHECK_FALSE(decode_snapshot_meta(as_bytes(bytes.substr(1))).has_value());
  CHECK_FALSE(decode_configuration(as_bytes(std::string("xx"))).has_value());
  CHECK_FALSE(decode_configuration(as_bytes(encode_configuration({}))).has_value());
}

}  // namespace
}  // namespace dogfs::raft
