#include "core/chunk/shard_file.h"

#include <set>
#include <string>

#include <rapidcheck.h>

#include "core/base/coding.h"
#include "core/chunk/store_identity.h"

#include "tests/doctest.h"

namespace dogfs::chunk {
namespace {

constexpr ClusterId kCluster{77};
const ShardName kName{BlockId(0x1234), 3, Generation(2)};

struct Encoded {
  ShardFacts facts;
  std::string tail;
};

Encoded encode(StripeShape shape, uint64_t block_length) {
  const auto layout = ec::StripeLayout::create(shape, block_length).value();
  ShardChecksum checksum({kCluster, kName});
  std::vector<uint32_t> cells;
  for (uint64_t stripe = 0; stripe < layout.stripe_count(); ++stripe)
    cells.push_back(
        checksum.add_cell(as_bytes(std::string(layout.cell_bytes(stripe), char('a' + stripe)))));
  const ShardFacts facts{kName, shape, block_length, layout.shard_length(), checksum.value()};
  return {facts, encode_tail(kCluster, facts, cells)};
}

ByteView footer_of(const std::string& tail) { return as_bytes(tail).last(kShardFooterBytes); }
ByteView table_of(const std::string& tail) {
  return as_bytes(tail).first(tail.size() - kShardFooterBytes);
}

TEST_CASE("facts and checksums come back from the end of a file") {
  for (const uint64_t length : {0, 1, 3, 4, 5, 31, 32, 33, 64, 65, 100}) {
    const auto [facts, tail] = encode({4, 2, 8}, length);
    CHECK_EQ(tail.size() + facts.shard_length, facts.file_bytes());
    const auto read = decode_footer(footer_of(tail), {kCluster, kName});
    REQUIRE(read);
    CHECK((*read == facts));
    CHECK_EQ(decode_table(table_of(tail), kCluster, facts).value().size(), facts.cell_count());
  }
}

TEST_CASE("every flipped bit of table and footer is found") {
  const auto [facts, tail] = encode({4, 2, 8}, 100);
  for (size_t bit = 0; bit < 8 * tail.size(); ++bit) {
    std::string damaged = tail;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const bool footer = decode_footer(footer_of(damaged), {kCluster, kName}).has_value();
    const bool table = decode_table(table_of(damaged), kCluster, facts).has_value();
    CHECK_FALSE((footer && table));
  }
}

TEST_CASE("a footer in the place of another shard, block, generation or cluster is corrupt") {
  const auto tail = encode({4, 2, 8}, 100).tail;
  const auto code = [&](ClusterId cluster, ShardName name) {
    return decode_footer(footer_of(tail), {cluster, name}).error().code;
  };
  CHECK_EQ(code(ClusterId(78), kName), Code::kCorrupt);
  CHECK_EQ(code(kCluster, {BlockId(0x1235), 3, Generation(2)}), Code::kCorrupt);
  CHECK_EQ(code(kCluster, {BlockId(0x1234), 2, Generation(2)}), Code::kCorrupt);
  CHECK_EQ(code(kCluster, {BlockId(0x1234), 3, Generation(1)}), Code::kCorrupt);
}

TEST_CASE("a later format is named as such, not as damage") {
  const std::string tail = encode({4, 2, 8}, 100).tail;
  std::string footer = tail.substr(tail.size() - kShardFooterBytes);
  footer.replace(footer.size() - 12, 4, Encoder().u32(2).bytes());
  footer.replace(0, 4, Encoder().u32(crc32c(as_bytes(footer).subspan(4))).bytes());
  CHECK_EQ(decode_footer(as_bytes(footer), {kCluster, kName}).error().code, Code::kUnsupported);
}

TEST_CASE("facts that contradict themselves are corrupt though their checksum is right") {
  const auto good = encode({4, 2, 8}, 100).facts;
  const auto code = [](ShardFacts facts) {
    const std::string tail =
        encode_tail(kCluster, facts, std::vector<uint32_t>(facts.cell_count()));
    const auto read = decode_footer(footer_of(tail), {kCluster, facts.name});
    return read ? Code::kExists : read.error().code;
  };
  ShardFacts facts = good;
  CHECK_EQ(code(facts), Code::kExists);
  facts.block_length = 120;
  CHECK_EQ(code(facts), Code::kCorrupt);
  facts = good;
  facts.shape.k = 0;
  CHECK_EQ(code(facts), Code::kCorrupt);
  facts = good;
  facts.shape.m = 40;
  CHECK_EQ(code(facts), Code::kCorrupt);
  facts = good;
  facts.name.shard = 6;
  CHECK_EQ(code(facts), Code::kCorrupt);
}

TEST_CASE("a cell's checksum differs with each part of its identity, its offset and its bytes") {
  const std::string bytes = "the same bytes";
  std::set<uint32_t> seen;
  const auto add = [&](ClusterId cluster, ShardName name, uint64_t offset, std::string_view text) {
    CHECK(seen.insert(cell_checksum({cluster, name}, offset, as_bytes(text))).second);
  };
  add(kCluster, kName, 0, bytes);
  add(kCluster, kName, 8, bytes);
  add(kCluster, kName, 0, "the same byte!");
  add(ClusterId(1), kName, 0, bytes);
  add(kCluster, {BlockId(1), 3, Generation(2)}, 0, bytes);
  add(kCluster, {BlockId(0x1234), 2, Generation(2)}, 0, bytes);
  add(kCluster, {BlockId(0x1234), 3, Generation(3)}, 0, bytes);
}

TEST_CASE("a shard's checksum is the same from bytes and from checksums, and covers its length") {
  ShardChecksum from_bytes({kCluster, kName}), from_checksums({kCluster, kName});
  for (const std::string cell : {"aaaaaaaa", "bbbbbbbb", "ccc"})
    from_checksums.add_checksum(from_bytes.add_cell(as_bytes(cell)), cell.size());
  CHECK_EQ(from_bytes.value(), from_checksums.value());
  const uint32_t before = from_bytes.value();
  from_bytes.add_checksum(0, 0);
  CHECK_NE(from_bytes.value(), before);
}

TEST_CASE("names of files say what is in them, and only such names are believed") {
  const bool passed = rc::check([] {
    const ShardName name{BlockId(*rc::gen::arbitrary<uint64_t>()),
                         *rc::gen::inRange<uint32_t>(0, 32),
                         Generation(*rc::gen::arbitrary<uint64_t>())};
    const auto number = *rc::gen::arbitrary<uint64_t>();
    RC_ASSERT(parse_file_name(file_name(name)) == name);
    RC_ASSERT(!parse_temporary_name(file_name(name)));
    RC_ASSERT(parse_temporary_name(temporary_name(name, number)) == number);
    RC_ASSERT(!parse_file_name(temporary_name(name, number)));
  });
  CHECK(passed);
  CHECK_EQ(file_name(kName), "0000000000001234-03-2.shard");
  for (const char* bad :
       {"", ".shard", "identity", "0000000000001234-03-.shard", "0000000000001234-3-2.shard",
        "0000000000001234-03-02.shard", "000000000000123g-03-2.shard", "0000000000001234-03-2.shar",
        "0000000000001234_03-2.shard", "0000000000001234-03-2A.shard"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_file_name(bad));
    CHECK_FALSE(parse_temporary_name(fmt::format("{}.1.writing", bad)));
  }
  CHECK_FALSE(parse_temporary_name("0000000000001234-03-2.shard.writing"));
}

TEST_CASE("an identity comes back whole or not at all") {
  const StoreIdentity identity{ClusterId(1), NodeId(2), StoreId(3)};
  const std::string bytes = encode_identity(identity);
  CHECK((decode_identity(as_bytes(bytes)).value() == identity));
  for (size_t length = 0; length < bytes.size(); ++length)
    CHECK_EQ(decode_identity(as_bytes(bytes.substr(0, length))).error().code, Code::kCorrupt);
  CHECK_EQ(decode_identity(as_bytes(bytes + "x")).error().code, Code::kCorrupt);
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    CHECK_FALSE(decode_identity(as_bytes(damaged)));
  }
}

}  // namespace
}  // namespace dogfs::chunk
