// Addresses and disk paths: text that persons and wires give.
#include "core/base/limits.h"
#include "core/env/disk.h"
#include "core/env/network.h"

#include "tests/doctest.h"

namespace dogfs {
namespace {

TEST_CASE("an address is a host and a port, and prints as it was written") {
  struct Row {
    std::string text, host;
    uint16_t port;
  };
  const std::vector<Row> rows{{"localhost:80", "localhost", 80},
                              {"10.0.0.1:0", "10.0.0.1", 0},
                              {"meta-1:65535", "meta-1", 65535},
                              {"[::1]:7", "::1", 7},
                              {"[fe80::1]:443", "fe80::1", 443}};
  for (const auto& [text, host, port] : rows) {
    const auto address = Address::parse(text);
    REQUIRE(address);
    CHECK_EQ(address->host, host);
    CHECK_EQ(address->port, port);
    CHECK_EQ(address->to_string(), text);
  }
}

TEST_CASE("what is not an address is refused with the text and what to write") {
  for (const std::string text :
       {"", ":", ":80", "host", "host:", "host:65536", "host:-1", "host:8a", "host: 80",
        "host:99999999999999999999", "[]:80", "[::1:80", "::1", "::1]:80"}) {
    CAPTURE(text);
    const auto address = Address::parse(text);
    REQUIRE_FALSE(address);
    CHECK_EQ(address.error().code, Code::kInvalid);
    CHECK(address.error().message.contains("'" + text + "'"));
    CHECK(address.error().message.contains("HOST:PORT"));
  }
}

TEST_CASE("a disk path is relative, plain and within the limits") {
  const std::string longest_name(limits::kNameBytesMax, 'n');
  for (const std::string& path : {std::string("a"), std::string("a/b/c"), std::string("..a/.b"),
                                  std::string("a b/\xc3\xa4"), longest_name})
    CHECK(check_disk_path(path));
  std::string too_long = "a";
  while (too_long.size() <= limits::kPathBytesMax) too_long += "/a";
  for (const std::string& path :
       {std::string(), std::string("/"), std::string("a/"), std::string("/a"), std::string("a//b"),
        std::string("."), std::string("a/./b"), std::string("../a"), std::string("a/.."),
        std::string("a\0b", 3), longest_name + "n", too_long}) {
    CAPTURE(path);
    CHECK_FALSE(check_disk_path(path));
  }
}

TEST_CASE("a disk range ends below 2^63") {
  CHECK(check_disk_range(0, 0));
  CHECK(check_disk_range(INT64_MAX, 0));
  CHECK(check_disk_range(INT64_MAX - 1, 1));
  CHECK_FALSE(check_disk_range(INT64_MAX, 1));
  CHECK_FALSE(check_disk_range(1, INT64_MAX));
  CHECK_FALSE(check_disk_range(UINT64_MAX, 1));
  CHECK_FALSE(check_disk_range(1, UINT64_MAX));
}

}  // namespace
}  // namespace dogfs
