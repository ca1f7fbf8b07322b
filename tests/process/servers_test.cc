// Server processes and the commands that run them.

#include <csignal>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

size_t count_done(const Outcome& outcome, const std::string& what) {
  size_t count = 0;
  for (const auto& line : outcome.lines())
    if (line.value("done", "").starts_with(what)) ++count;
  return count;
}

}  // namespace

TEST_CASE("up starts what does not run, down stops all, and files outlive both") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.put("/file", "bytes").exit_code, 0);
  const auto before = cluster.pids();
  CHECK_EQ(before.size(), 4);

  CHECK_EQ(cluster.control({"kill", "chunk-2"}).exit_code, 0);
  const Outcome again = cluster.control({"kill", "chunk-2"});
  CHECK_EQ(again.exit_code, 4);
  CHECK(again.err.find("chunk-2 does not run") != std::string::npos);
  CHECK_EQ(cluster.control({"kill", "chunk-9"}).exit_code, 3);
  CHECK_EQ(cluster.control({"start", "chunk-1"}).exit_code, 4);
  const Outcome up = cluster.control({"up", "--json"});
  CHECK_EQ(up.exit_code, 0);
  CHECK_EQ(count_done(up, "started"), 1);
  CHECK_EQ(count_done(up, "runs already"), 3);
  CHECK_EQ(cluster.control({"up", "--chunk", "4"}).exit_code, 4);

  const Outcome down = cluster.control({"down", "--json"});
  CHECK_EQ(down.exit_code, 0);
  CHECK_EQ(count_done(down, "stopped"), 4);
  CHECK(cluster.pids().empty());
  cluster.up();
  CHECK((cluster.get("/file") == "bytes"));
}

TEST_CASE("status tells what every server does and what the cluster holds") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.put("/file", noise(100'000, 1)).exit_code, 0);
  const auto lines = cluster.control({"status", "--json"}).lines();
  REQUIRE_EQ(lines.size(), 5);
  CHECK_EQ(lines[0].at("type"), "cluster");
  CHECK_EQ(lines[0].at("leader"), "meta-1");
  CHECK_EQ(lines[0].at("whole"), true);
  CHECK_EQ(lines[0].at("files"), 1);
  CHECK_EQ(lines[0].at("blocks"), 1);
  CHECK_EQ(lines[0].at("blocks_below_full_width"), 0);
  CHECK_EQ(lines[0].at("garbage_bytes"), 0);
  CHECK_EQ(lines[1].at("role"), "leader");
  for (size_t i = 1; i < lines.size(); ++i) {
    CHECK_EQ(lines[i].at("type"), "node");
    CHECK_EQ(lines[i].at("running"), true);
    CHECK_EQ(lines[i].at("state"), "live");
  }
  CHECK_EQ(cluster.dogfs({"rm", "/file"}).exit_code, 0);
  const auto after = cluster.control({"status", "--json"}).lines();
  CHECK_EQ(after[0].at("files"), 0);
  CHECK(after[0].at("garbage_bytes") >= 150'000);
  const Outcome table = cluster.control({"status"});
  for (const char* text : {"meta-1", "chunk-3", "leader", "live"})
    CHECK(table.out.find(text) != std::string::npos);
}

TEST_CASE("two servers never share a data directory, and one that is asked to stops in order") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  for (const std::string name : {"meta-1", "chunk-1"}) {
    const std::string kind = name.substr(0, name.find('-'));
    const Arguments serve{kind, "--config", cluster.directory() + "/" + name + "/server.json"};
    const Outcome second = run(cluster.scratch(), serve);
    CHECK_EQ(second.exit_code, 6);
    CHECK(second.err.find("in use") != std::string::npos);
    cluster.kill(name);
    Running alone(cluster.scratch(), serve);
    while (cluster.dogfs({"put", "/dev/null", "/" + kind}).exit_code != 0) {
    }
    alone.signal(SIGTERM);
    CHECK_EQ(alone.wait().exit_code, 143);
    CHECK_EQ(cluster.control({"start", name}).exit_code, 0);
  }
}

TEST_CASE("a server that cannot run is named by up, with the end of its log") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.control({"down"}).exit_code, 0);
  for (const char* copy : {"identity", "identity.copy"})
    write_file(cluster.directory() + "/chunk-2/data/" + copy, "not what a chunk server wrote");
  const Outcome up = cluster.control({"up"});
  CHECK_EQ(up.exit_code, 1);
  CAPTURE(up.err);
  CHECK(up.err.find("chunk-2 ended") != std::string::npos);
  CHECK(up.err.find("identity") != std::string::npos);
}

}  // namespace dogfs::test
