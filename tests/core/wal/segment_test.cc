#include "core/wal/segment.h"

#include <rapidcheck.h>

#include "tests/doctest.h"

namespace dogfs::wal {
namespace {

const SegmentIdentity kIdentity{ClusterId(7), StoreId(8), 3};

// A segment of frames written one after the other, each when all before was durable.
class Writer {
 public:
  explicit Writer(SegmentIdentity identity = kIdentity) : identity_(identity) {
    bytes = encode_segment_header({identity, Lsn(0)});
  }
  void frame(const std::vector<std::string>& records) {
    std::string payload;
    for (const auto& record : records) append_record(payload, GroupId(1), record);
    const FrameHeader header{.payload_bytes = static_cast<uint32_t>(payload.size()),
                             .records = static_cast<uint32_t>(records.size()),
                             .first = last.next(),
                             .durable = last,
                             .payload_crc = crc32c(as_bytes(payload))};
    ends.push_back(bytes.size());
    bytes += encode_frame_header(header, identity_, bytes.size()) + payload;
    last = Lsn(last.value + records.size());
  }
  void marker() { frame({}); }

  std::string bytes;
  Lsn last;
  std::vector<size_t> ends;  // where each frame begins

 private:
  SegmentIdentity identity_;
};

SegmentScan scan(const std::string& bytes) {
  return scan_segment(as_bytes(bytes), kIdentity, Lsn(0));
}

TEST_CASE("what was written is read back") {
  Writer writer;
  writer.frame({"a", "", std::string(1000, 'b')});
  writer.marker();
  writer.frame({"c"});
  const auto found = scan(writer.bytes);
  CHECK(found.clean);
  CHECK_EQ(found.last, Lsn(4));
  CHECK_EQ(found.end, writer.bytes.size());
  REQUIRE_EQ(found.frames.size(), 3);
  CHECK_EQ(found.frames[0].records[2].payload, std::string(1000, 'b'));
  CHECK_EQ(found.frames[2].records[0].payload, "c");
  CHECK_EQ(found.frames[2].header.first, Lsn(4));
}

TEST_CASE("a log cut at any byte ends with its last whole frame and is never called damaged") {
  Writer writer;
  for (int i = 0; i < 4; ++i) writer.frame({std::string(10, 'x'), "y"});
  writer.ends.push_back(writer.bytes.size());
  for (size_t cut = kSegmentHeaderBytes; cut <= writer.bytes.size(); ++cut) {
    const auto found = scan(writer.bytes.substr(0, cut));
    size_t whole = 0;
    while (whole + 1 < writer.ends.size() && writer.ends[whole + 1] <= cut) ++whole;
    CHECK_EQ(found.frames.size(), whole);
    CHECK_EQ(found.end, writer.ends[whole]);
    CHECK_EQ(found.clean, writer.ends[whole] == cut);
    CHECK(found.claimed <= found.last);
  }
}

TEST_CASE("any bit flipped before something that was later written is called damage") {
  Writer writer;
  for (int i = 0; i < 3; ++i) writer.frame({"some bytes", "more"});
  writer.marker();
  const size_t promised = writer.ends.back();
  for (size_t at = kSegmentHeaderBytes; at < writer.bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = writer.bytes;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      const auto found = scan(bytes);
      const bool unused = found.clean;  // no field covers it
      CHECK_FALSE(unused);
      CHECK_EQ(found.claimed > found.last, at < promised);
    }
  }
}

TEST_CASE("lost sectors of the last batch are a torn tail, of an earlier one damage") {
  Writer writer;
  writer.frame({std::string(3000, 'a')});
  const size_t second = writer.bytes.size();
  writer.frame({std::string(3000, 'b')});
  for (size_t sector = 1; sector * 512 + 512 <= writer.bytes.size(); ++sector) {
    std::string bytes = writer.bytes;
    bytes.replace(sector * 512, 512, std::string(512, '\0'));
    const auto found = scan(bytes);
    CHECK_FALSE(found.clean);
    const bool earlier = sector * 512 < second;
    // The second's header is the only witness: when it is gone, too, nobody knows.
    const bool witness = second + kFrameHeaderBytes <= sector * 512 || second >= sector * 512 + 512;
    if (witness) CHECK_EQ(found.claimed > found.last, earlier);
  }
}

TEST_CASE("frames of another store, cluster, segment or place do not pass") {
  Writer writer;
  writer.frame({"mine"});
  for (const SegmentIdentity& other :
       {SegmentIdentity{ClusterId(1), StoreId(8), 3}, SegmentIdentity{ClusterId(7), StoreId(1), 3},
        SegmentIdentity{ClusterId(7), StoreId(8), 2}}) {
    Writer foreign(other);
    foreign.frame({"theirs"});
    CHECK(scan(foreign.bytes).frames.empty());
    CHECK_FALSE(scan(foreign.bytes).clean);
    CHECK_FALSE(decode_segment_header(as_bytes(foreign.bytes), kIdentity));
    CHECK_FALSE(holds_frames(as_bytes(foreign.bytes), kIdentity));
  }
  const std::string moved = writer.bytes + writer.bytes.substr(kSegmentHeaderBytes);
  const auto found = scan(moved);
  CHECK_EQ(found.frames.size(), 1);
  CHECK_FALSE(found.clean);
  CHECK(holds_frames(as_bytes(writer.bytes), kIdentity));
}

TEST_CASE("a header says why it is not taken") {
  const std::string good = encode_segment_header({kIdentity, Lsn(5)});
  CHECK_EQ(decode_segment_header(as_bytes(good), kIdentity)->after, Lsn(5));
  for (size_t at = 0; at < 52; ++at) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    CHECK_EQ(decode_segment_header(as_bytes(bytes), kIdentity).error().code, Code::kCorrupt);
  }
  CHECK_EQ(decode_segment_header(as_bytes(good.substr(0, 60)), kIdentity).error().code,
           Code::kCorrupt);
  const auto other = encode_segment_header({{ClusterId(7), StoreId(9), 3}, Lsn(5)});
  CHECK_EQ(decode_segment_header(as_bytes(other), kIdentity).error().code, Code::kPrecondition);
}

TEST_CASE("names of segments sort as their numbers do, and nothing else is one") {
  CHECK(segment_name(9) < segment_name(10));
  CHECK(segment_name(255) < segment_name(256));
  CHECK_EQ(parse_segment_name(segment_name(0xabcdef)), 0xabcdef);
  for (const char* name : {"wal-", "wal-00", "wal-00000000000000zz", "wal-000000000000000A",
                           "xal-0000000000000001", "wal-00000000000000001"})
    CHECK_FALSE(parse_segment_name(name));
}

TEST_CASE("random bytes never crash the scan and never pass") {
  CHECK(rc::check([](const std::string& noise) {
    Writer writer;
    writer.frame({"x"});
    const auto found = scan(writer.bytes + noise);
    RC_ASSERT(found.frames.size() == 1u);
    RC_ASSERT(found.clean == noise.empty());
  }));
}

}  // namespace
}  // namespace dogfs::wal
