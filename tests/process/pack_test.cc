// Small files in packs, on a real cluster.

#include <map>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

nlohmann::json status(const Cluster& cluster) {
  return cluster.control({"status", "--json"}).lines().at(0);
}

}  // namespace

TEST_CASE("small files share blocks, survive a dead server and a restart, and are counted") {
  const Cluster cluster({"--meta", "1", "--chunk", "4", "--policy", "rs-2-1"});
  CHECK(status(cluster).at("space_amplification").is_null());
  std::map<std::string, std::string> stored;
  for (uint64_t i = 0; i < 20; ++i) {
    const std::string path = "/f" + std::to_string(i);
    stored[path] = noise(5000 + 50'000 * (i % 5), i);
    const Outcome put = cluster.put(path, stored[path]);
    CAPTURE(put.err);
    CHECK_EQ(put.exit_code, 0);
  }
  const auto check_all = [&] {
    for (const auto& [path, bytes] : stored) {
      CAPTURE(path);
      CHECK((cluster.get(path) == bytes));
    }
  };
  const auto packed = status(cluster);
  uint64_t bytes = 0;
  for (const auto& [path, content] : stored) bytes += content.size();
  CHECK_EQ(packed.at("packed_bytes"), bytes);
  CHECK_EQ(packed.at("file_bytes"), bytes);
  CHECK_LE(packed.at("blocks"), 8);
  CHECK_EQ(packed.at("files"), 20);
  CHECK_EQ(packed.at("compacted_blocks"), 0);
  CHECK_EQ(packed.at("compacted_bytes"), 0);
  check_all();

  cluster.kill("chunk-2");
  check_all();
  CHECK_EQ(cluster.put("/late", noise(40'000, 99)).exit_code, 0);
  CHECK((cluster.get("/late") == noise(40'000, 99)));
  cluster.kill_all();
  cluster.up();
  check_all();
  CHECK((cluster.get("/late") == noise(40'000, 99)));
  // The late one was packed, too, unless a block without the dead server was not there in time.
  const uint64_t now = status(cluster).at("packed_bytes");
  CHECK((now == bytes || now == bytes + 40'000));
}

}  // namespace dogfs::test
