// How files are stored: policies, blocks and cells of the cluster, of directories and of files.

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

nlohmann::json stat(const Cluster& cluster, const std::string& path) {
  const Outcome outcome = cluster.dogfs({"stat", path, "--json"});
  CAPTURE(outcome.err);
  REQUIRE_EQ(outcome.exit_code, 0);
  return outcome.lines().at(0);
}

// "rs-2-1 cluster, 67108864 cluster, 262144 /a"
std::string in_force(const Cluster& cluster, const std::string& path) {
  const auto row = stat(cluster, path);
  const auto part = [&](const char* value, const char* from) {
    const auto& what = row.at(value);
    return (what.is_string() ? what.get<std::string>() : what.dump()) + " " +
           row.at(from).get<std::string>();
  };
  return part("policy", "policy_from") + ", " + part("block_bytes", "block_from") + ", " +
         part("cell_bytes", "cell_from");
}

Outcome policy(const Cluster& cluster, Arguments arguments) {
  arguments.insert(arguments.begin(), {"admin", "policy"});
  return cluster.dogfs(arguments);
}

}  // namespace

TEST_CASE("policies, blocks and cells are set by directory and by file, shown, and stored in") {
  const Cluster cluster({"--meta", "1", "--chunk", "4", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.dogfs({"mkdir", "-p", "/a/b"}).exit_code, 0);
  const std::string before = noise(300'000, 1);
  CHECK_EQ(cluster.put("/a/b/before", before).exit_code, 0);
  CHECK_EQ(policy(cluster, {"/a", "--policy", "rs-3-1", "--block", "2MiB"}).exit_code, 0);
  CHECK_EQ(policy(cluster, {"/a/b", "--cell", "16KiB"}).exit_code, 0);
  CHECK_EQ(in_force(cluster, "/"), "rs-2-1 cluster, 67108864 cluster, 262144 cluster");
  CHECK_EQ(in_force(cluster, "/a/b"), "rs-3-1 /a, 2097152 /a, 16384 /a/b");

  const std::string bytes = noise(5'000'000, 2);
  CHECK_EQ(cluster.put("/a/b/file", bytes).exit_code, 0);
  CHECK_EQ(in_force(cluster, "/a/b/file"), "rs-3-1 /a/b/file, 2097152 /a/b/file, 16384 /a/b/file");
  CHECK_EQ(stat(cluster, "/a/b/file").at("blocks"), 3);
  const std::string large = noise(3'000'000, 3);
  CHECK_EQ(
      cluster.put("/a/b/own", large, {"--policy", "rep-2", "--block", "1MiB", "--cell", "64KiB"})
          .exit_code,
      0);
  CHECK_EQ(in_force(cluster, "/a/b/own"), "rep-2 /a/b/own, 1048576 /a/b/own, 65536 /a/b/own");

  // Each block is read in its own cells, also of a file that has several kinds.
  CHECK((cluster.get("/a/b/before") == before));
  CHECK((cluster.get("/a/b/file") == bytes));
  CHECK((cluster.get("/a/b/own") == large));
  CHECK_EQ(cluster.dogfs({"concat", "/a/b/before", "/a/b/file", "/a/b/own"}).exit_code, 0);
  cluster.kill("chunk-1");
  CHECK((cluster.get("/a/b/before") == before + bytes + large));
  CHECK_EQ(cluster.control({"start", "chunk-1"}).exit_code, 0);

  // The root says it for the cluster; what was founded is still there to be inherited.
  const Outcome root = policy(cluster, {"/", "--policy", "rep-3", "--json"});
  CHECK_EQ(root.exit_code, 0);
  CHECK_EQ(root.lines().at(0).at("policy_from"), "/");
  CHECK_EQ(in_force(cluster, "/a/b"), "rs-3-1 /a, 2097152 /a, 16384 /a/b");
  CHECK_EQ(policy(cluster, {"/a", "--inherit"}).exit_code, 0);
  CHECK_EQ(in_force(cluster, "/a/b"), "rep-3 /, 67108864 cluster, 16384 /a/b");
  CHECK_EQ(policy(cluster, {"/", "--inherit"}).exit_code, 0);
  const Outcome shown = policy(cluster, {"/a/b"});
  CHECK(shown.out.find("policy    rs-2-1     from cluster") != std::string::npos);
  CHECK(shown.out.find("cell      16 KiB     from /a/b") != std::string::npos);
}

TEST_CASE("what the topology cannot hold is refused, saying what it can") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  const Outcome wide = policy(cluster, {"/", "--policy", "rs-10-4"});
  CAPTURE(wide.err);
  CHECK_EQ(wide.exit_code, 4);
  CHECK(wide.err.find("needs 14 chunk servers and has 3 (3 live, in 3 zones)") !=
        std::string::npos);
  CHECK(wide.err.find("rep-3 would fit") != std::string::npos);
  CHECK_EQ(cluster.put("/f", "bytes", {"--policy", "rs-6-3"}).exit_code, 4);
  for (const Arguments& mistake :
       {Arguments{"/", "--policy", "rs-30-3"}, Arguments{"/", "--block", "1023KiB"},
        Arguments{"/", "--block", "513MiB"}, Arguments{"/", "--cell", "2MiB"},
        Arguments{"/", "--block", "512MiB", "--cell", "16"}}) {
    const Outcome refused = policy(cluster, mistake);
    CAPTURE(refused.err);
    CHECK_EQ(refused.exit_code, 2);
  }
  CHECK_EQ(policy(cluster, {"/none"}).exit_code, 3);
  CHECK_EQ(cluster.put("/f", "bytes").exit_code, 0);
  CHECK_EQ(policy(cluster, {"/f", "--block", "2MiB"}).exit_code, 4);
  // Widths that the policies allow and the cluster holds.
  CHECK_EQ(policy(cluster, {"/", "--policy", "rs-1-2"}).exit_code, 0);
  CHECK_EQ(cluster.get("/f"), "bytes");
}

}  // namespace dogfs::test
