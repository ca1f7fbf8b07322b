// The namespace of a real cluster as text, and back.

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
  const fs::path file = fs::path(cluster.directory()) / "cluster.json";
  auto shape = nlohmann::json::parse(read_file(file));
  shape["bootstrapped"] = false;
  std::ofstream(file) << shape;
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
  CHECK((cluster.get("/a/b/small") == std::string("bytes \xff\0 of any kind", 21)));
  CHECK_EQ(cluster.put("/after", noise(100'000, 2)).exit_code, 0);
  CHECK((cluster.get("/after") == noise(100'000, 2)));
}

}  // namespace
}  // namespace dogfs::test
