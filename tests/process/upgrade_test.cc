// A cluster whose servers are replaced by those of a newer build, one by one, while it works; and
// one that starts anew from a single survivor.

#include <algorithm>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

constexpr const char* kOld = DOGFS_PREVIOUS;

int version_of(const Cluster& cluster) {
  (void)cluster.leader();  // there is one to say it
  return cluster.control({"status", "--json"}).lines().at(0).at("version");
}

// The same server again, by this build.
void upgrade(const Cluster& cluster, const std::string& node) {
  cluster.kill(node);
  const Outcome started = cluster.control({"start", node});
  CAPTURE(started.err);
  CHECK_EQ(started.exit_code, 0);
}

Outcome raise_version(const Cluster& cluster, const Arguments& more = {}) {
  Arguments arguments{"admin", "upgrade"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return cluster.dogfs(arguments);
}

// A server says which build it runs within a second or two of its start.
Outcome refused_by_build(const Cluster& cluster) {
  Outcome refused;
  for (int attempt = 0; attempt < 200; ++attempt) {
    refused = raise_version(cluster);
    if (refused.err.find("has not said") == std::string::npos) break;
  }
  return refused;
}

Outcome raised_at_last(const Cluster& cluster, const Arguments& more = {}) {
  Outcome raised;
  for (int attempt = 0; attempt < 200 && raised.exit_code != 0; ++attempt)
    raised = raise_version(cluster, more);
  return raised;
}

bool runs(const Cluster& cluster, const std::string& node) {
  const auto lines = cluster.control({"status", "--json"}).lines();
  return std::ranges::any_of(lines, [&](const auto& line) {
    return line.value("name", "") == node && line.at("state") == "live";
  });
}

void remove_data(const Cluster& cluster, const std::string& node) {
  std::filesystem::remove_all(std::filesystem::path(cluster.directory()) / node / "data");
}

}  // namespace

TEST_CASE("servers are upgraded one by one under an old version, which is raised when all are") {
  const Cluster cluster({"--chunk", "3", "--policy", "rs-2-1"}, kOld);
  CHECK_EQ(version_of(cluster), 2);
  // Clients of either build work with servers of either.
  CHECK_EQ(cluster.put("/small", "by a new client on old servers").exit_code, 0);
  CHECK_EQ(cluster.get("/small"), "by a new client on old servers");
  CHECK_EQ(cluster.dogfs({"cp", "/small", "/copy"}).exit_code, 0);
  const Arguments newer{"admin", "policy", "/", "--policy", "rep-3"};
  CHECK_NE(cluster.dogfs(newer).exit_code, 0);

  for (const char* node : {"meta-1", "meta-2", "chunk-1", "meta-3", "chunk-2"}) {
    upgrade(cluster, node);
    CAPTURE(node);
    CHECK_EQ(cluster.put(std::string("/with-new-") + node, "bytes").exit_code, 0);
    const Outcome early = refused_by_build(cluster);
    CHECK_EQ(early.exit_code, 4);
    CHECK_MESSAGE(early.err.find("runs a build for cluster version 2") != std::string::npos,
                  early.err);
    CHECK_EQ(version_of(cluster), 2);
  }
  const Outcome refused = cluster.dogfs(newer);
  CHECK_EQ(refused.exit_code, 1);
  CHECK(refused.err.find("dogfs admin upgrade") != std::string::npos);

  upgrade(cluster, "chunk-3");
  CHECK_EQ(raised_at_last(cluster, {"--dry-run"}).exit_code, 0);
  CHECK_EQ(version_of(cluster), 2);
  const Outcome raised = raise_version(cluster);
  CAPTURE(raised.err);
  CHECK_EQ(raised.exit_code, 0);
  CHECK_EQ(version_of(cluster), 5);
  CHECK_EQ(cluster.dogfs(newer).exit_code, 0);
  CHECK_EQ(cluster.get("/copy"), "by a new client on old servers");

  // An old build is not let in again: it does not understand the log, and stops.
  cluster.kill("meta-1");
  (void)cluster.control({"start", "meta-1"}, kOld);
  bool stopped = false;
  for (int attempt = 0; attempt < 200 && !stopped; ++attempt) stopped = !runs(cluster, "meta-1");
  CHECK(stopped);
  CHECK_EQ(cluster.put("/without-the-old-one", "bytes").exit_code, 0);
}

TEST_CASE("from one survivor of a lost majority the cluster goes on, and says what may be lost") {
  const Cluster cluster({"--chunk", "1", "--policy", "rep-1"});
  const std::string data = cluster.directory() + "/meta-2/data";
  const auto recover = [&](const Arguments& more) {
    Arguments arguments{"admin", "recover", data};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(cluster.scratch(), arguments);
  };
  const std::string bytes = noise(100'000, 1);
  CHECK_EQ(cluster.put("/file", bytes).exit_code, 0);
  CHECK_EQ(recover({"--dry-run"}).exit_code, 6);  // it runs

  cluster.kill_all();
  remove_data(cluster, "meta-1");
  remove_data(cluster, "meta-3");
  CHECK_EQ(recover({}).exit_code, 2);
  const Outcome plan = recover({"--dry-run"});
  CHECK_EQ(plan.exit_code, 0);
  for (const char* text :
       {"lost: ", "node 1 with store ", "node 3 with store ", "nothing was done"})
    CHECK(plan.out.find(text) != std::string::npos);
  CHECK_EQ(recover({"--unsafe"}).exit_code, 0);

  cluster.up();
  CHECK((cluster.get("/file") == bytes));
  CHECK_EQ(cluster.put("/after", "bytes").exit_code, 0);
  const auto group = cluster.dogfs({"admin", "group", "--json"}).lines();
  CHECK_EQ(group.at(0).at("members").size(), 3u);

  CHECK_EQ(run(cluster.scratch(), {"admin", "recover", cluster.directory() + "/none", "--unsafe"})
               .exit_code,
           3);
  cluster.kill("chunk-1");
  const std::string chunk = cluster.directory() + "/chunk-1/data";
  CHECK_EQ(run(cluster.scratch(), {"admin", "recover", chunk, "--unsafe"}).exit_code, 3);
  CHECK_FALSE(std::filesystem::exists(chunk + "/wal"));
}

}  // namespace dogfs::test
