// The namespace of a real cluster as text, and back.

#include <csignal>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

namespace fs = std::filesystem;

// What an operator does who founds the metadata servers anew.
void found_anew(const Cluster& cluster) {
  fs::remove_all(fs::path(cluster.directory()) / "founded");
  for (const char* name : {"meta-1", "meta-2", "meta-3"})
    fs::remove_all(fs::path(cluster.directory()) / name / "data");
  for (const char* name : {"meta-1", "meta-2", "meta-3"})
    CHECK_EQ(cluster.control({"start", name}).exit_code, 0);
  for (int tries = 0; tries < 200 && cluster.dogfs({"ls", "/"}).exit_code != 0;) ++tries;
}

TEST_CASE("files survive the loss of every metadata disk by an export") {
  const Cluster cluster({"--chunk", "3", "--policy", "rs-2-1"});
  const std::string large = noise(3'000'000, 1);
  CHECK_EQ(cluster.put("/large", large).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"mkdir", "-p", "/a/b"}).exit_code, 0);
  CHECK_EQ(cluster
               .dogfs({"admin", "policy", "/a", "--block", "2MiB", "--cell", "64KiB", "--content",
                       "dedup"})
               .exit_code,
           0);
  CHECK_EQ(cluster.put("/a/b/own", large, {"--block", "1MiB", "--cell", "16KiB"}).exit_code, 0);
  const auto layouts = [&] {
    return cluster.dogfs({"stat", "/a/b/own"}).out + cluster.dogfs({"stat", "/a/b"}).out;
  };
  const std::string before = layouts();
  CHECK_EQ(cluster.put("/a/b/small", std::string("bytes \xff\0 of any kind", 21)).exit_code, 0);
  const std::string text = cluster.scratch() / "namespace.jsonl";
  REQUIRE_EQ(cluster.dogfs({"admin", "export", text}).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"admin", "import", text}).exit_code, 4);  // it holds files
  CHECK((cluster.get("/large") == large));

  for (const char* name : {"meta-1", "meta-2", "meta-3"}) cluster.kill(name);
  found_anew(cluster);
  const std::string cut = cluster.scratch() / "cut.jsonl";
  std::ofstream(cut) << "{\"kind\": \"file\"}\n";
  CHECK_EQ(cluster.dogfs({"admin", "import", cut}).exit_code, 2);
  // Damage that shows only when the import has begun: it is refused, and can be done again.
  const std::string whole = read_file(text);
  const size_t rows = whole.rfind("\"rows\":");
  REQUIRE(rows != std::string::npos);
  for (const std::string& damaged :
       {whole.substr(0, rows) + "\"rows\":\"x\"}\n", whole.substr(0, rows - 20) + "\n"}) {
    std::ofstream(cut) << damaged;
    CHECK_EQ(cluster.dogfs({"admin", "import", cut}).exit_code, 2);
  }
  const Outcome imported = cluster.dogfs({"admin", "import", text});
  INFO(imported.err);
  REQUIRE_EQ(imported.exit_code, 0);
  cluster.up();
  CHECK((cluster.get("/large") == large));
  CHECK((cluster.get("/a/b/own") == large));
  CHECK_EQ(layouts(), before);
  const Outcome again =
      cluster.put("/a/b/again", large, {"--block", "1MiB", "--cell", "16KiB", "--json"});
  REQUIRE_EQ(again.exit_code, 0);
  CHECK_EQ(again.lines().at(0).at("deduplicated_bytes"), large.size());
  CHECK((cluster.get("/a/b/small") == std::string("bytes \xff\0 of any kind", 21)));
  CHECK_EQ(cluster.put("/after", noise(100'000, 2)).exit_code, 0);
  CHECK((cluster.get("/after") == noise(100'000, 2)));
}

TEST_CASE("a server that is given the lost cluster's id takes its chunk servers over") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  const std::string bytes = noise(1'000'000, 1);
  CHECK_EQ(cluster.put("/file", bytes).exit_code, 0);
  const std::string text = cluster.scratch() / "namespace.jsonl";
  REQUIRE_EQ(cluster.dogfs({"admin", "export", text}).exit_code, 0);
  const auto shape =
      nlohmann::json::parse(read_file(fs::path(cluster.directory()) / "cluster.json"));
  const std::string address = shape.at("nodes").at(0).at("address");
  cluster.kill("meta-1");

  const auto found = [&](const std::string& id, const std::string& data) {
    return Arguments{"meta",     "--bootstrap", "--id",   "1",  "--cluster-id", id,
                     "--listen", address,       "--data", data, "--policy",     "rs-2-1"};
  };
  const std::string data = cluster.scratch() / "meta";
  Running server(cluster.scratch(), found(shape.at("cluster"), data));
  const auto ask = [&](const Arguments& arguments) {
    RunOptions options;
    options.environment = "DOGFS_CLUSTER=" + address;
    return run(cluster.scratch(), arguments, options);
  };
  while (ask({"ls", "/"}).exit_code != 0) {
  }
  const Outcome imported = ask({"admin", "import", text});
  CAPTURE(imported.err);
  REQUIRE_EQ(imported.exit_code, 0);
  const std::string read = cluster.scratch() / "read";
  CHECK_EQ(ask({"get", "/file", read}).exit_code, 0);
  CHECK((read_file(read) == bytes));
  server.signal(SIGTERM);
  CHECK_EQ(server.wait().exit_code, 143);
  // Started again under another id it would be a stranger to everybody.
  const Outcome other = run(cluster.scratch(), found("1", data));
  CHECK_EQ(other.exit_code, 4);
  CHECK(other.err.find("belongs to cluster") != std::string::npos);
}

}  // namespace
}  // namespace dogfs::test
