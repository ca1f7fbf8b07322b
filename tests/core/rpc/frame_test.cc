#include "core/rpc/frame.h"

#include <algorithm>
#include <vector>

#include <rapidcheck.h>

#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/rpc/handshake.h"
#include "core/rpc/message_codec.h"

#include "tests/doctest.h"

namespace dogfs::rpc {
namespace {

FrameHeader arbitrary_header() {
  FrameHeader header;
  header.type = static_cast<FrameType>(*rc::gen::inRange(1, 11));
  header.call = *rc::gen::arbitrary<uint64_t>();
  header.method = *rc::gen::arbitrary<uint16_t>();
  header.deadline_ms = *rc::gen::arbitrary<uint32_t>();
  header.body_crc = *rc::gen::arbitrary<uint32_t>();
  if (header.type == FrameType::kGoodbye) header.code = *rc::gen::inRange<uint16_t>(1, 8);
  if (header.type == FrameType::kResponse) header.code = *rc::gen::inRange<uint16_t>(0, 16);
  if (takes_credit(header.type)) {
    header.message_bytes = *rc::gen::inRange(0u, limits::kFrameMessageBytesMax + 1);
    header.bulk_bytes = *rc::gen::inRange(0u, limits::kFrameBulkBytesMax + 1);
  }
  return header;
}

std::vector<uint8_t> encoded(const FrameHeader& header) {
  const HeaderBytes bytes = encode_header(header);
  return {bytes.begin(), bytes.end()};
}

Reason refusal(const FrameHeader& header) {
  const auto decoded = decode_header(encoded(header));
  REQUIRE(!decoded);
  return decoded.error().reason;
}

}  // namespace

TEST_CASE("a header reads back as it was written") {
  CHECK(rc::check([] {
    const FrameHeader header = arbitrary_header();
    const auto decoded = decode_header(encoded(header));
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(*decoded == header);
  }));
}

TEST_CASE("a header with any one bit flipped is refused") {
  const FrameHeader header{.type = FrameType::kRequest,
                           .call = 77,
                           .method = 305,
                           .deadline_ms = 1000,
                           .message_bytes = 10,
                           .bulk_bytes = 20};
  for (size_t bit = 0; bit < kHeaderBytes * 8; ++bit) {
    auto bytes = encoded(header);
    bytes[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    CHECK(!decode_header(bytes).has_value());
  }
}

TEST_CASE("garbage is refused as garbage") {
  Random random(1);
  for (int i = 0; i < 10'000; ++i) {
    std::vector<uint8_t> bytes(kHeaderBytes);
    for (auto& byte : bytes) byte = static_cast<uint8_t>(random.next());
    const auto decoded = decode_header(bytes);
    REQUIRE(!decoded);
    CHECK(decoded.error().reason == Reason::kGarbage);
  }
}

TEST_CASE("a header that is whole but does not fit its type is refused with the right reason") {
  const uint32_t message_max = limits::kFrameMessageBytesMax;
  CHECK(refusal({.type = static_cast<FrameType>(0)}) == Reason::kProtocol);
  CHECK(refusal({.type = static_cast<FrameType>(11)}) == Reason::kProtocol);
  CHECK(refusal({.type = FrameType::kRequest, .message_bytes = message_max + 1}) ==
        Reason::kOversized);
  CHECK(refusal({.type = FrameType::kOneWay, .bulk_bytes = UINT32_MAX}) == Reason::kOversized);
  CHECK(refusal({.type = FrameType::kHello, .message_bytes = limits::kHelloBytesMax + 1}) ==
        Reason::kOversized);
  CHECK(refusal({.type = FrameType::kHello, .bulk_bytes = 1}) == Reason::kOversized);
  CHECK(refusal({.type = FrameType::kPing, .message_bytes = 1}) == Reason::kOversized);
  CHECK(refusal({.type = FrameType::kResponse, .code = 200}) == Reason::kProtocol);
  CHECK(refusal({.type = FrameType::kRequest, .code = 1}) == Reason::kProtocol);
  CHECK(refusal({.type = FrameType::kGoodbye, .code = 0}) == Reason::kProtocol);
  CHECK(refusal({.type = FrameType::kGoodbye, .code = 999}) == Reason::kProtocol);
}

TEST_CASE("a frame of another format version is refused by its version, whatever follows") {
  auto bytes = encoded({.type = FrameType::kHello});
  bytes[4] = 2;
  std::fill(bytes.begin() + 6, bytes.end(), uint8_t{0xee});
  const auto decoded = decode_header(bytes);
  REQUIRE(!decoded);
  CHECK(decoded.error().reason == Reason::kVersion);
}

TEST_CASE("the header on the wire is the one drawn in the README") {
  const FrameHeader header{.type = FrameType::kRequest,
                           .call = 0x0807060504030201,
                           .method = 0x0a09,
                           .deadline_ms = 0x0e0d0c0b,
                           .message_bytes = 0x000f,
                           .bulk_bytes = 0x0010,
                           .body_crc = 0x14131211};
  const std::vector<uint8_t> expected = {'D', 'G', 'F', 'r', 1,  0, 3, 0,  //
                                         1,   2,   3,   4,   5,  6, 7, 8, 9,  10, 0,  0,
                                         11,  12,  13,  14,  //
                                         15,  0,   0,   0,   16, 0, 0, 0, 17, 18, 19, 20};
  auto bytes = encoded(header);
  bytes.resize(kHeaderBytes - 4);
  CHECK((bytes == expected));
}

TEST_CASE("the body's checksum covers message and bulk in this order") {
  const Buffer ab = Buffer::copy("ab");
  const Buffer cd = Buffer::copy("cd");
  CHECK(body_crc(ab.view(), cd.view()) == crc32c(as_bytes("abcd")));
  CHECK(body_crc(cd.view(), ab.view()) != body_crc(ab.view(), cd.view()));
}

TEST_CASE("a hello reads back as it was written") {
  const Identity identity{.cluster = ClusterId(0xfeed),
                          .node = NodeId(7),
                          .store = StoreId(9),
                          .credentials = Buffer::copy("secret")};
  const auto peer = decode_hello(encode_hello(identity, limits::kConnectionWindowBytes));
  REQUIRE(peer.has_value());
  CHECK(peer->identity.cluster == identity.cluster);
  CHECK(peer->identity.node == identity.node);
  CHECK(peer->identity.store == identity.store);
  CHECK(peer->identity.credentials == identity.credentials);
  CHECK(peer->version == kFormatVersion);
  CHECK(peer->window == limits::kConnectionWindowBytes);
}

TEST_CASE("a truncated hello or one of random bytes is refused or bounded, never a crash") {
  const Buffer whole = encode_hello({.cluster = ClusterId(1),
                                     .node = NodeId(2),
                                     .store = StoreId(3),
                                     .credentials = Buffer::copy("abc")},
                                    limits::kConnectionWindowBytes);
  for (size_t length = 0; length < whole.size(); ++length)
    CHECK(!decode_hello(whole.slice(0, length)).has_value());  // the window comes last
  Random random(2);
  for (int i = 0; i < 5000; ++i) {
    std::string bytes(random.below(80), '\0');
    for (auto& byte : bytes) byte = static_cast<char>(random.next());
    const auto peer = decode_hello(Buffer::take(std::move(bytes)));
    if (peer) CHECK(peer->window <= limits::kConnectionWindowMax);
  }
}

TEST_CASE("a window that cannot hold the largest frame is refused") {
  const Identity identity{.cluster = ClusterId(1), .node = {}, .store = {}, .credentials = {}};
  CHECK(!decode_hello(encode_hello(identity, limits::kConnectionWindowMin - 1)).has_value());
  CHECK(decode_hello(encode_hello(identity, limits::kConnectionWindowMin)).has_value());
  CHECK(!decode_hello(encode_hello(identity, UINT64_MAX)).has_value());
}

TEST_CASE("clusters mismatch only when both are known") {
  const Identity any{};
  const Identity one{.cluster = ClusterId(1), .node = {}, .store = {}, .credentials = {}};
  const Identity two{.cluster = ClusterId(2), .node = {}, .store = {}, .credentials = {}};
  CHECK(!find_mismatch(any, one).has_value());
  CHECK(!find_mismatch(one, any).has_value());
  CHECK(!find_mismatch(one, one).has_value());
  REQUIRE(find_mismatch(one, two).has_value());
  CHECK(find_mismatch(one, two)->reason == Reason::kWrongCluster);
}

}  // namespace dogfs::rpc
