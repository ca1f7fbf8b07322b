#include "sim/check/content.h"

#include <set>
#include <string>

#include "core/base/random.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

std::string text_of(uint64_t length, uint64_t number) {
  return std::string(make_bytes(length, number).text());
}
Pieces put(uint64_t length, uint64_t number) {
  return {content_of(text_of(length, number)), number};
}

TEST_CASE("fewer bytes of a number are the beginning of more") {
  const std::string long_one = text_of(1000, 7);
  for (uint64_t length : {0, 1, 7, 8, 9, 999})
    CHECK_EQ(text_of(length, 7), long_one.substr(0, length));
  CHECK_NE(text_of(1000, 8), long_one);
}

TEST_CASE("what is cut and joined at random is known to the byte") {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    Pieces pieces;
    std::string bytes;
    for (int step = 0; step < 8; ++step) {
      if (random.chance(1, 3)) {
        const uint64_t length = random.below(bytes.size() + 1);
        pieces.cut(length);
        bytes.resize(length);
      } else {
        const uint64_t length = random.below(60), number = random.next();
        pieces.append(put(length, number));
        bytes += text_of(length, number);
      }
      REQUIRE_EQ(pieces.length(), bytes.size());
      REQUIRE(pieces.content() == content_of(bytes));
      REQUIRE(pieces.are(content_of(bytes)));
    }
  }
}

TEST_CASE("bytes are told from others of the same length") {
  Pieces pieces = put(100, 1);
  pieces.cut(50);
  pieces.append(put(50, 2));
  CHECK(pieces.are(content_of(text_of(50, 1) + text_of(50, 2))));
  CHECK_FALSE(pieces.are(content_of(text_of(100, 1))));
  CHECK_FALSE(pieces.are(content_of(text_of(50, 2) + text_of(50, 1))));
  CHECK_FALSE(pieces.are(content_of(text_of(49, 1) + text_of(50, 2))));
}

TEST_CASE("what was cut differs from what was not, for a search that remembers states") {
  const auto digest_of = [](const Pieces& pieces) {
    Digest digest;
    pieces.add_to(digest);
    return digest.value();
  };
  std::set<uint64_t> digests{digest_of({})};
  Pieces pieces = put(100, 1);
  for (const uint64_t length : {100, 50, 49}) {
    pieces.cut(length);
    digests.insert(digest_of(pieces));
  }
  pieces.append(put(1, 2));
  digests.insert(digest_of(pieces));
  CHECK_EQ(digests.size(), 5);
  pieces.cut(0);
  CHECK_EQ(digest_of(pieces), digest_of({}));
}

}  // namespace
}  // namespace dogfs::sim
