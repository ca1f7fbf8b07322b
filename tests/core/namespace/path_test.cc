#include "core/namespace/path.h"

#include <string>

#include "core/base/limits.h"

#include "tests/doctest.h"

namespace dogfs::metadata {
namespace {

TEST_CASE("a good path is cut into its names") {
  CHECK(parse_path("/").value().empty());
  const auto names = parse_path("/a/b c/\xc3\xa4.\xf0\x9f\x90\xb6").value();
  REQUIRE_EQ(names.size(), 3u);
  CHECK_EQ(names[0], "a");
  CHECK_EQ(names[1], "b c");
  CHECK_EQ(names[2], "\xc3\xa4.\xf0\x9f\x90\xb6");
  CHECK(parse_path("/" + std::string(limits::kNameBytesMax, 'x')).has_value());
  CHECK(parse_path("/...").has_value());
}

TEST_CASE("a bad path is refused with the reason") {
  using namespace std::string_literals;
  for (const std::string& path : {""s, "a"s, "a/b"s, "//"s, "/a/"s, "/a//b"s, "/."s, "/.."s,
                                  "/a/../b"s, "/a\0b"s, "/\xff"s}) {
    CAPTURE(path);
    const auto parsed = parse_path(path);
    REQUIRE_FALSE(parsed.has_value());
    CHECK_EQ(parsed.error().code, Code::kInvalid);
    CHECK_FALSE(parsed.error().message.empty());
  }
}

TEST_CASE("names, paths and depths over their limits are too large") {
  const std::string name(limits::kNameBytesMax + 1, 'x');
  CHECK_EQ(parse_path("/" + name).error().code, Code::kTooLarge);
  std::string deep;
  for (size_t i = 0; i < limits::kPathDepthMax; ++i) deep += "/d";
  CHECK(parse_path(deep).has_value());
  CHECK_EQ(parse_path(deep + "/d").error().code, Code::kTooLarge);
  std::string wide;
  while (wide.size() <= limits::kPathBytesMax) wide += "/" + std::string(200, 'x');
  CHECK_EQ(parse_path(wide).error().code, Code::kTooLarge);
}

TEST_CASE("only well-formed UTF-8 makes a name") {
  for (const char* good : {"\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(shown(good));
    CHECK(check_name(good).has_value());
  }
  // Lone continuation, overlong forms, surrogates, above U+10FFFF, cut.
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3",
                          "\xe2\x82", "\xf0\x9f\x90", "a\xc3(", "\xfe"}) {
    CAPTURE(shown(bad));
    CHECK_EQ(check_name(bad).error().code, Code::kInvalid);
  }
}

TEST_CASE("what is shown of a bad name is safe for a terminal") {
  CHECK_EQ(shown("a\x1b[31m\xff\xc2\x9b"), "\"a\\x1b[31m\\xff\\xc2\\x9b\"");
  CHECK_EQ(shown("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\"");
  CHECK_LT(shown(std::string(100'000, 'x')).size(), 300u);
}

}  // namespace
}  // namespace dogfs::metadata
