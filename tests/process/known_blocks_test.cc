// Blocks that are known by their content, on a real cluster.

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

nlohmann::json status(const Cluster& cluster) {
  return cluster.control({"status", "--json"}).lines().at(0);
}

nlohmann::json put(const Cluster& cluster, const std::string& path, const std::string& bytes) {
  const Outcome stored = cluster.put(path, bytes, {"--json"});
  CAPTURE(stored.err);
  REQUIRE_EQ(stored.exit_code, 0);
  return stored.lines().at(0);
}

}  // namespace

TEST_CASE("what is put twice where content is known is stored once, and counted") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  REQUIRE_EQ(cluster.dogfs({"mkdir", "/v"}).exit_code, 0);
  const Outcome set = cluster.dogfs({"admin", "policy", "/v", "--content", "dedup", "--json"});
  REQUIRE_EQ(set.exit_code, 0);
  CHECK_EQ(set.lines().at(0).at("content"), "dedup");
  CHECK_EQ(set.lines().at(0).at("content_from"), "/v");
  CHECK_EQ(cluster.dogfs({"admin", "policy", "/v", "--content", "some"}).exit_code, 2);
  const Outcome shown = cluster.dogfs({"stat", "/v"});
  CHECK(shown.out.find("content   dedup      from /v") != std::string::npos);

  const std::string bytes = noise(5'000'000, 1);
  CHECK_EQ(put(cluster, "/v/f", bytes).at("deduplicated_bytes"), 0);
  const auto once = status(cluster);
  CHECK_EQ(put(cluster, "/v/g", bytes).at("deduplicated_bytes"), bytes.size());
  CHECK_EQ(put(cluster, "/other", bytes).at("deduplicated_bytes"), 0);
  CHECK_EQ(cluster.dogfs({"rm", "/other"}).exit_code, 0);
  const auto twice = status(cluster);
  CHECK_EQ(twice.at("placed_bytes"), once.at("placed_bytes"));
  CHECK_EQ(twice.at("block_bytes"), bytes.size());
  CHECK_EQ(twice.at("file_bytes"), 2 * bytes.size());
  CHECK_EQ(twice.at("known_blocks"), 1);
  CHECK((cluster.get("/v/g") == bytes));
  CHECK_EQ(cluster.dogfs({"rm", "/v/f"}).exit_code, 0);
  cluster.kill("chunk-2");
  CHECK((cluster.get("/v/g") == bytes));
}

}  // namespace dogfs::test
