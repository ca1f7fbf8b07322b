#include "core/chunk/append_entry.h"

#include <rapidcheck.h>

#include "core/base/coding.h"
#include "core/base/limits.h"
#include "core/chunk/append_file.h"

#include "tests/core/chunk/append_world.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

const AppendBlock kBlock = kOrigin.block();

bool is_corrupt(ByteView bytes, const AppendBlock& block = kBlock) {
  const auto entry = decode_entry(block, bytes);
  return !entry && entry.error().is(Code::kCorrupt);
}

std::string flipped(std::string_view text, size_t byte, int bit) {
  std::string out(text);
  out[byte] = static_cast<char>(out[byte] ^ (1 << bit));
  return out;
}

// A sound checksum around any header and any bytes behind it.
std::string entry_with(uint8_t kind, uint64_t offset, uint32_t head_bytes, uint32_t data_bytes,
                       std::string_view rest) {
  Encoder body;
  body.u8(kind).u8(0).u16(0).id(Epoch(2)).u64(offset).u32(head_bytes).u32(data_bytes).raw(rest);
  const uint32_t checksum = Crc32c()
                                .add(kBlock.cluster.value)
                                .add(kBlock.block.value)
                                .add(kBlock.generation.value)
                                .add(as_bytes(body.bytes()))
                                .value();
  return Encoder().u32(checksum).raw(body.bytes()).bytes();
}

std::string record_head(uint32_t length) {
  return Encoder().u64(1).u64(2).u64(0).u32(length).bytes();
}

TEST_CASE("an entry says what was put into it") {
  const bool passed = rc::check([] {
    Random random(*rc::gen::arbitrary<uint64_t>());
    const uint64_t offset = random.below(limits::kBlockBytesMax);
    const DrawnEntry drawn = draw_entry(kOrigin, offset, random.below(1000), random);
    const auto header = peek_entry(drawn.entry.view());
    RC_ASSERT(header.has_value());
    RC_ASSERT(header->entry_bytes() == drawn.entry.size());
    RC_ASSERT(header->end() == offset + drawn.data.size());
    const auto entry = decode_entry(kBlock, drawn.entry.view());
    RC_ASSERT(entry.has_value());
    RC_ASSERT(entry->header.epoch == kOrigin.epoch);
    RC_ASSERT(entry->header.kind == AppendEntryKind::kRecords);
    RC_ASSERT((entry->records == drawn.records));
    RC_ASSERT(as_text(entry->data) == drawn.data);
  });
  CHECK(passed);
  const Buffer requests = encode_requests(kBlock, Epoch(2), "what went before");
  const auto entry = decode_entry(kBlock, requests.view());
  REQUIRE(entry);
  CHECK_EQ(entry->requests, "what went before");
  CHECK_EQ(entry->header.end(), 0u);
}

TEST_CASE("an entry with a flipped bit, too short or too long is corrupt") {
  Random random(1);
  const Buffer entry = draw_entry(kOrigin, 12, 1, random, 60).entry;
  for (size_t byte = 0; byte < entry.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit)
      REQUIRE(is_corrupt(as_bytes(flipped(entry.text(), byte, bit))));
    REQUIRE(is_corrupt(entry.slice(0, byte).view()));
  }
  CHECK(is_corrupt(as_bytes(std::string(entry.text()) + '\0')));
}

TEST_CASE("an entry of another block, generation or cluster is corrupt") {
  Random random(1);
  const Buffer entry = draw_entry(kOrigin, 12, 1, random).entry;
  CHECK_FALSE(is_corrupt(entry.view()));
  CHECK(is_corrupt(entry.view(), {ClusterId(8), kBlock.block, kBlock.generation}));
  CHECK(is_corrupt(entry.view(), {kBlock.cluster, BlockId(9), kBlock.generation}));
  CHECK(is_corrupt(entry.view(), {kBlock.cluster, kBlock.block, Generation(5)}));
}

TEST_CASE("an entry whose parts do not fit each other is corrupt, sound as its checksum is") {
  const std::string one = record_head(3);
  CHECK_FALSE(is_corrupt(as_bytes(entry_with(1, 0, 28, 3, one + "abc"))));
  const std::string bad[] = {
      entry_with(1, 0, 28, 3, one + "abcd"),         entry_with(1, 0, 28, 4, one + "abcd"),
      entry_with(1, 0, 27, 4, one + "abc"),          entry_with(1, 0, 29, 2, one + "abc"),
      entry_with(1, 0, 0, 31, one + "abc"),          entry_with(1, 0, UINT32_MAX, 3, one + "abc"),
      entry_with(1, 0, 28, UINT32_MAX, one + "abc"), entry_with(1, UINT64_MAX, 28, 3, one + "abc"),
      entry_with(2, 0, 28, 3, one + "abc"),          entry_with(2, 7, 31, 0, one + "abc"),
      entry_with(0, 0, 28, 3, one + "abc"),          entry_with(3, 0, 28, 3, one + "abc"),
  };
  for (size_t i = 0; i < std::size(bad); ++i) {
    CAPTURE(i);
    CHECK(is_corrupt(as_bytes(bad[i])));
  }
}

// Two entries may not begin at one offset: an entry is known by where it begins.
TEST_CASE("an entry of records has bytes") {
  CHECK(is_corrupt(as_bytes(entry_with(1, 5, 0, 0, ""))));
  CHECK(is_corrupt(as_bytes(entry_with(1, 5, 28, 0, record_head(0)))));
  const std::string beside = record_head(0) + record_head(3);
  CHECK_FALSE(is_corrupt(as_bytes(entry_with(1, 5, 56, 3, beside + "abc"))));
}

TEST_CASE("any bytes are refused or decoded without reading beyond them") {
  const bool passed = rc::check([] {
    const auto bytes = *rc::gen::arbitrary<std::string>();
    RC_ASSERT(is_corrupt(as_bytes(bytes)));
    const auto kind = *rc::gen::inRange<uint8_t>(0, 4);
    const auto head = *rc::gen::inRange<uint32_t>(0, 100);
    const auto data = *rc::gen::inRange<uint32_t>(0, 100);
    const std::string text = entry_with(kind, 0, head, data, bytes);
    const auto decoded = decode_entry(kBlock, as_bytes(text));
    if (decoded) RC_ASSERT(decoded->header.entry_bytes() == text.size());
  });
  CHECK(passed);
}

TEST_CASE("a log's header says whose it is; damaged, cut short or another's it is refused") {
  const std::string header = encode_append_header(kOrigin);
  CHECK_EQ(header.size(), kAppendHeaderBytes);
  const ShardIdentity& identity = kOrigin.identity;
  REQUIRE(decode_append_header(as_bytes(header), identity));
  CHECK((*decode_append_header(as_bytes(header), identity) == kOrigin));
  size_t covered = 0;
  for (size_t byte = 0; byte < kAppendSealOffset; ++byte) {
    const auto decoded = decode_append_header(as_bytes(flipped(header, byte, 3)), identity);
    if (decoded)
      CHECK((*decoded == kOrigin));
    else
      ++covered;
  }
  CHECK_EQ(covered, 76u);
  for (size_t size = 0; size < covered; ++size) {
    CAPTURE(size);
    CHECK_EQ(decode_append_header(as_bytes(header.substr(0, size)), identity).error().code,
             Code::kCorrupt);
  }
  for (const ShardIdentity& other : {ShardIdentity{ClusterId(8), identity.name},
                                     ShardIdentity{kCluster, {BlockId(1), 1, Generation(4)}},
                                     ShardIdentity{kCluster, {BlockId(0xa3), 2, Generation(4)}},
                                     ShardIdentity{kCluster, {BlockId(0xa3), 1, Generation(5)}}})
    CHECK_EQ(decode_append_header(as_bytes(header), other).error().code, Code::kCorrupt);
}

TEST_CASE("a seal holds at its epoch; what is left of one holds at every epoch") {
  CHECK_EQ(decode_append_seal(kOrigin, as_bytes(std::string(kAppendSealBytes, '\0'))), Epoch(0));
  const std::string seal = encode_append_seal(kOrigin, Epoch(5));
  CHECK_EQ(seal.size(), kAppendSealBytes);
  CHECK_EQ(decode_append_seal(kOrigin, as_bytes(seal)), Epoch(5));
  for (size_t byte = 0; byte < seal.size(); ++byte)
    CHECK(decode_append_seal(kOrigin, as_bytes(flipped(seal, byte, 1))) >= Epoch(5));
  CHECK_EQ(decode_append_seal(origin_of(4), as_bytes(seal)), Epoch(UINT64_MAX));
}

TEST_CASE("a batch's header holds for its place in its log") {
  const std::string header = encode_batch_header(kOrigin, 8192, 77);
  CHECK_EQ(decode_batch_header(kOrigin, 8192, as_bytes(header)), 77u);
  for (size_t byte = 0; byte < header.size(); ++byte)
    CHECK_FALSE(decode_batch_header(kOrigin, 8192, as_bytes(flipped(header, byte, 6))));
  for (size_t size = 0; size < header.size(); ++size)
    CHECK_FALSE(decode_batch_header(kOrigin, 8192, as_bytes(header.substr(0, size))));
  CHECK_FALSE(decode_batch_header(kOrigin, 8193, as_bytes(header)));
  CHECK_FALSE(decode_batch_header(origin_of(4), 8192, as_bytes(header)));
  AppendOrigin later_life = kOrigin;
  later_life.activation = 100;
  CHECK_FALSE(decode_batch_header(later_life, 8192, as_bytes(header)));
}

TEST_CASE("names of logs say what is in them, and only such names are believed") {
  CHECK_EQ(append_file_name(kOrigin.identity.name), "00000000000000a3-01-4.append");
  const bool passed = rc::check([] {
    const ShardName name{BlockId(*rc::gen::arbitrary<uint64_t>()),
                         *rc::gen::inRange<uint32_t>(0, 32),
                         Generation(*rc::gen::arbitrary<uint64_t>())};
    const std::string text = append_file_name(name);
    RC_ASSERT(parse_append_file_name(text) == name);
    RC_ASSERT(!parse_append_file_name(text + ".new"));
    RC_ASSERT(!parse_append_file_name(file_name(name)));
  });
  CHECK(passed);
  for (const char* bad : {"", ".append", "x.append", "00000000000000A3-01-4.append"})
    CHECK_FALSE(parse_append_file_name(bad));
}

}  // namespace
}  // namespace dogfs::chunk
