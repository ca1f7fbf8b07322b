#include <array>
#include <set>
#include <string>
#include <vector>

#include "core/base/buffer.h"
#include "core/base/checksum.h"
#include "core/base/checksum_combine.h"
#include "core/base/coding.h"
#include "core/base/digest.h"
#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs {
namespace {

TEST_CASE("crc32c gives the published vectors of RFC 3720 B.4") {
  CHECK_EQ(crc32c({}), 0u);
  CHECK_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  CHECK_EQ(crc32c(as_bytes(std::string(32, '\0'))), 0x8a9136aau);
  CHECK_EQ(crc32c(as_bytes(std::string(32, '\xff'))), 0x62a8ab43u);
  std::string up;
  for (int i = 0; i < 32; ++i) up += static_cast<char>(i);
  CHECK_EQ(crc32c(as_bytes(up)), 0x46dd794eu);
}

TEST_CASE("crc32c of pieces is the crc32c of the whole, at every cut") {
  Random random(1);
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(random.next());
  const auto whole = crc32c(as_bytes(text));
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const auto bytes = as_bytes(text);
    CHECK_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), whole);
  }
}

TEST_CASE("checksums of two parts give that of the whole, and of the whole and one the other") {
  Random random(2);
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(random.next());
  const auto bytes = as_bytes(text);
  const auto whole = crc32c(bytes);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    const auto head = crc32c(bytes.first(cut));
    const auto tail = crc32c(bytes.subspan(cut));
    CHECK_EQ(crc32c_combine(head, tail, bytes.size() - cut), whole);
    CHECK_EQ(crc32c_behind(head, whole, bytes.size() - cut), tail);
  }
  // Long enough for every power of two that a length may have, and past the order of x.
  const std::string zeros(4'000'000, '\0');
  const auto tail = crc32c(as_bytes(zeros));
  CHECK_EQ(crc32c_combine(whole, tail, zeros.size()), crc32c(as_bytes(zeros), whole));
  uint32_t longer = whole;
  for (int i = 0; i < 2048; ++i) longer = crc32c_combine(longer, tail, zeros.size());
  uint32_t tails = tail;
  for (int i = 1; i < 2048; ++i) tails = crc32c_combine(tails, tail, zeros.size());
  CHECK_EQ(crc32c_combine(whole, tails, 2048 * zeros.size()), longer);
}

TEST_CASE("a short input never reads past its end and stays failed") {
  Encoder out;
  out.u32(7).text("name").id(BlockId(9)).i64(-3);
  const std::string bytes = out.bytes();
  Decoder in(bytes);
  CHECK_EQ(in.u32(), 7u);
  CHECK_EQ(in.text(), "name");
  CHECK_EQ(in.id<BlockId>(), BlockId(9));
  CHECK_EQ(in.i64(), -3);
  CHECK(in.at_end());
  for (size_t length = 0; length < bytes.size(); ++length) {
    Decoder cut(std::string_view(bytes).substr(0, length));
    cut.u32(), cut.text(), cut.id<BlockId>(), cut.i64();
    CHECK_FALSE(cut.ok());
    CHECK_EQ(cut.u64(), 0u);
  }
}

TEST_CASE("keys sort as their numbers do") {
  std::set<std::string> keys;
  for (uint64_t n : {300u, 2u, 70000u, 255u, 256u}) {
    Encoder key;
    key.key(InodeId(n));
    keys.insert(key.bytes());
  }
  std::vector<uint64_t> order;
  for (const auto& key : keys) order.push_back(Decoder(key).key<InodeId>().value);
  const std::vector<uint64_t> sorted{2, 255, 256, 300, 70000};
  CHECK((order == sorted));
}

TEST_CASE("an id keeps its slot, incarnation and counter apart") {
  const auto id = compose_id<BlockId>(Slot(0xabcd), Incarnation(5), 77);
  CHECK_EQ(slot_of(id), Slot(0xabcd));
  CHECK_EQ(counter_of(id), 77u);
  CHECK_NE(id, compose_id<BlockId>(Slot(0xabcd), Incarnation(6), 77));
}

TEST_CASE("random streams repeat, differ by domain and node, and below() stays below") {
  Random a(42), b(42);
  for (int i = 0; i < 100; ++i) CHECK_EQ(a.next(), b.next());
  const Random root(42);
  CHECK_EQ(root.fork("disk", 1).next(), root.fork("disk", 1).next());
  CHECK_NE(root.fork("disk", 1).next(), root.fork("disk", 2).next());
  CHECK_NE(root.fork("disk", 1).next(), root.fork("network", 1).next());
  std::array<int, 7> seen{};
  for (int i = 0; i < 7000; ++i) seen[a.below(7)]++;
  for (const int n : seen) CHECK((n > 800 && n < 1200));
}

TEST_CASE("joined buffers stand one behind the other; a single one is shared") {
  const Buffer whole = Buffer::copy("hello world");
  CHECK_EQ(Buffer::join(std::array{whole}).data(), whole.data());
  CHECK_EQ(Buffer::join({}).size(), 0);
  const Buffer joined = Buffer::join(std::array{whole.slice(6, 5), Buffer(), whole.slice(0, 5)});
  CHECK_EQ(joined.text(), "worldhello");
}

TEST_CASE("a slice shares bytes and outlives the buffer it came from") {
  Buffer slice;
  {
    const Buffer whole = Buffer::take("hello world");
    slice = whole.slice(6, 5);
    CHECK_EQ(slice.data(), whole.data() + 6);
  }
  CHECK_EQ(slice.text(), "world");
}

TEST_CASE("an error keeps its code when context is added") {
  const Error error = Error{Code::kNotFound, "no such file"}.in("open /a");
  CHECK_EQ(error.code, Code::kNotFound);
  CHECK_EQ(error.message, "open /a: no such file");
  CHECK_EQ(fmt::format("{}", error), "open /a: no such file (not_found)");
}

TEST_CASE("a digest depends on order and on field boundaries") {
  CHECK_NE(Digest().add("ab").add("c").value(), Digest().add("a").add("bc").value());
  CHECK_NE(Digest().add(1).add(2).value(), Digest().add(2).add(1).value());
  CHECK_EQ(Digest().add(std::string_view()).value(), Digest().add("").value());
  CHECK_NE(Digest().add(std::string_view()).value(), Digest().value());
}

}  // namespace
}  // namespace dogfs
