#include "core/base/sha256.h"

#include <string>

#include "tests/doctest.h"

namespace dogfs {
namespace {

struct Vector {
  const char* text;
  const char* digest;
};

// FIPS 180-4, as NIST publishes them among its "Examples with Intermediate Values".
TEST_CASE("the published vectors give the published digests") {
  for (const Vector& vector :
       {Vector{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        Vector{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        Vector{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}}) {
    CAPTURE(vector.text);
    CHECK_EQ(Sha256::of(vector.text).text(), vector.digest);
  }
  CHECK_EQ(Sha256::of(std::string(1'000'000, 'a')).text(),
           "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("bytes may come in any parts, and a sum goes on after it was asked for") {
  Sha256 sum;
  CHECK_EQ(sum.digest(), Sha256::of(""));
  for (const char c : std::string("abc")) sum.add(std::string(1, c));
  CHECK_EQ(sum.digest(), Sha256::of("abc"));
  Sha256 moved = std::move(sum);
  moved.add("d");
  CHECK_EQ(moved.digest(), Sha256::of("abcd"));
}

TEST_CASE("a digest is what its bytes and its text say, and other ones are none") {
  const auto digest = Sha256::of("abc");
  CHECK((Sha256Digest::from_bytes(digest.view()) == digest));
  CHECK((Sha256Digest::from_text(digest.text()) == digest));
  CHECK_FALSE(Sha256Digest::from_bytes(digest.view().substr(1)).has_value());
  CHECK_FALSE(Sha256Digest::from_text(digest.text().substr(2)).has_value());
  std::string odd = digest.text();
  odd[5] = 'g';
  CHECK_FALSE(Sha256Digest::from_text(odd).has_value());
  odd[5] = 'A';
  CHECK_FALSE(Sha256Digest::from_text(odd).has_value());
}

}  // namespace
}  // namespace dogfs
