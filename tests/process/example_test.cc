// The C++ program that the README shows, as it is.

#include <string>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

TEST_CASE("the program that the README shows does what the README says") {
  const std::filesystem::path sources = DOGFS_SOURCES;
  const std::string shown = "```cpp\n" + read_file(sources / "tests/example/example.cc") + "```\n";
  CHECK(read_file(sources / "README.md").find(shown) != std::string::npos);

  const Cluster cluster({"--chunk", "4", "--policy", "rs-2-1"});
  const auto shape =
      nlohmann::json::parse(read_file(std::filesystem::path(cluster.directory()) / "cluster.json"));
  const std::string address = shape.at("nodes").at(0).at("address");
  const RunOptions example{.program = DOGFS_EXAMPLE};
  const Outcome done = run(cluster.scratch(), {address}, example);
  CAPTURE(done.err);
  CHECK_EQ(done.exit_code, 0);
  CHECK_EQ(done.out,
           "stored 20 bytes\nappended at 0\nappended at 15\nread \"dog\"\ndog.jpg\nlog\n");
  CHECK_EQ(cluster.get("/photos/log"), "a dog was seen\nit sleeps\n");

  const Outcome again = run(cluster.scratch(), {address}, example);
  CHECK_EQ(again.exit_code, 1);
  CHECK(again.err.find("/photos") != std::string::npos);
}

}  // namespace
}  // namespace dogfs::test
