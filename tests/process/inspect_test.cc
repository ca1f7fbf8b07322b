// Shard files, looked at with no server to ask.

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

namespace fs = std::filesystem;

// The shard files of one chunk server.
std::vector<fs::path> shards_of(const Cluster& cluster, const std::string& server) {
  std::vector<fs::path> files;
  for (const auto& entry :
       fs::directory_iterator(fs::path(cluster.directory()) / server / "data" / "shards"))
    files.push_back(entry.path());
  return files;
}

void flip(const fs::path& file, uint64_t offset) {
  std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekg(static_cast<std::streamoff>(offset));
  const int byte = bytes.get();
  bytes.seekp(static_cast<std::streamoff>(offset));
  bytes.put(static_cast<char>(byte ^ 1));
}

Outcome inspect(const Cluster& cluster, const fs::path& file, Arguments more = {}) {
  Arguments arguments{"chunk", "inspect", file.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(cluster.scratch(), arguments);
}

TEST_CASE("a shard file says whose it is and which of its cells are damaged") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.put("/file", noise(5'000'000, 1)).exit_code, 0);
  const auto shape =
      nlohmann::json::parse(read_file(fs::path(cluster.directory()) / "cluster.json"));
  const auto files = shards_of(cluster, "chunk-2");
  REQUIRE_EQ(files.size(), 1);
  const Outcome whole = inspect(cluster, files[0], {"--json"});
  CHECK_EQ(whole.exit_code, 0);
  const auto facts = whole.lines().at(0);
  CHECK_EQ(facts.at("cluster"), shape.at("cluster"));
  CHECK_EQ(facts.at("policy"), "rs-2-1");
  CHECK_EQ(facts.at("block_length"), 5'000'000);
  CHECK(facts.at("damaged_cells").empty());
  CHECK(files[0].filename().string().starts_with(facts.at("block").get<std::string>()));
  const uint64_t cells = facts.at("cells");
  REQUIRE(cells > 1);
  CHECK(inspect(cluster, files[0]).out.find("all right") != std::string::npos);

  flip(files[0], facts.at("cell_bytes").get<uint64_t>());  // the first byte of cell 1
  const Outcome damaged = inspect(cluster, files[0], {"--json"});
  CHECK_EQ(damaged.exit_code, 7);
  CHECK_EQ(damaged.lines().at(0).at("damaged_cells"), nlohmann::json::array({1}));
  // Of a table or footer that cannot be trusted nothing is shown.
  for (const uint64_t from_end : {100u, 130u}) {
    flip(files[0], fs::file_size(files[0]) - from_end);
    const Outcome refused = inspect(cluster, files[0]);
    CHECK_EQ(refused.exit_code, 7);
    CHECK(refused.out.empty());
    CHECK(refused.err.find("damaged") != std::string::npos);
    flip(files[0], fs::file_size(files[0]) - from_end);
  }
}

TEST_CASE("an append log says whose it is, how far it goes and what is damaged") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rep-3"});
  CHECK_EQ(cluster.put("/small", noise(10'000, 1)).exit_code, 0);  // into a pack
  const fs::path directory = fs::path(cluster.directory()) / "chunk-2" / "data" / "appends";
  fs::path log;
  for (const auto& entry : fs::directory_iterator(directory)) log = entry.path();
  REQUIRE_FALSE(log.empty());
  const Outcome whole = inspect(cluster, log, {"--json"});
  CHECK_EQ(whole.exit_code, 0);
  const auto facts = whole.lines().at(0);
  CHECK(log.filename().string().starts_with(facts.at("block").get<std::string>()));
  CHECK_EQ(facts.at("records"), 1);
  CHECK_EQ(facts.at("block_length"), 10'000);
  CHECK_EQ(facts.at("verdict"), "whole");
  CHECK(inspect(cluster, log).out.find("1 records, 10000 bytes") != std::string::npos);
  CHECK(inspect(cluster, directory.parent_path()).out.find("1 append logs, 0 of") !=
        std::string::npos);
  fs::copy_file(log, cluster.scratch() / "00000000000000ff-00-1.append");
  CHECK_EQ(inspect(cluster, cluster.scratch() / "00000000000000ff-00-1.append").exit_code, 7);
  const fs::path copy = cluster.scratch() / "copy";
  fs::copy_file(log, copy);
  CHECK_EQ(inspect(cluster, copy).exit_code, 0);
  flip(copy, 6'000);  // among the bytes of the record
  const Outcome damaged = inspect(cluster, copy, {"--json"});
  CHECK_EQ(damaged.exit_code, 7);
  CHECK_EQ(damaged.lines().at(0).at("records"), 0);
  flip(copy, 10);  // in the header
  const Outcome refused = inspect(cluster, copy);
  CHECK_EQ(refused.exit_code, 7);
  CHECK(refused.out.empty());
}

TEST_CASE("what is no shard file is named with the reason, and the others are shown") {
  const Cluster cluster({"--meta", "1", "--chunk", "1", "--policy", "rep-1"});
  CHECK_EQ(cluster.put("/file", noise(10'000, 1), {"--no-pack"}).exit_code, 0);
  const auto files = shards_of(cluster, "chunk-1");
  REQUIRE_EQ(files.size(), 1);
  write_file(cluster.scratch() / "short", "too little");
  write_file(cluster.scratch() / "other", noise(1000, 2));
  const Outcome missing = inspect(cluster, "none", {files[0].string()});
  CHECK_EQ(missing.exit_code, 3);
  CHECK(missing.out.find("rep-1") != std::string::npos);
  CHECK_EQ(inspect(cluster, cluster.scratch() / "short").exit_code, 7);
  CHECK_EQ(inspect(cluster, cluster.scratch() / "other").exit_code, 7);
  CHECK_EQ(inspect(cluster, cluster.directory()).exit_code, 2);
  CHECK_EQ(run(cluster.scratch(), {"chunk", "inspect"}).exit_code, 2);
}

TEST_CASE("a whole data directory is shown without its server, and what is wrong in it") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  for (uint64_t i = 0; i < 3; ++i)
    CHECK_EQ(cluster.put("/file" + std::to_string(i), noise(50'000, i), {"--no-pack"}).exit_code,
             0);
  cluster.kill("chunk-1");
  const fs::path data = fs::path(cluster.directory()) / "chunk-1" / "data";
  const Outcome whole = inspect(cluster, data, {"--json"});
  CHECK_EQ(whole.exit_code, 0);
  REQUIRE_EQ(whole.lines().size(), 5u);
  CHECK_GE(whole.lines()[0].at("node").get<uint32_t>(), 1024u);
  CHECK_EQ(whole.lines()[4].at("shards"), 3u);
  for (int i = 1; i < 4; ++i) CHECK_EQ(whole.lines()[i].at("verdict"), "whole");

  const auto files = shards_of(cluster, "chunk-1");
  flip(files[0], 10);
  fs::copy_file(files[1], files[2], fs::copy_options::overwrite_existing);
  const Outcome damaged = inspect(cluster, data, {"--json"});
  CHECK_EQ(damaged.exit_code, 7);
  CHECK_NE(damaged.out.find("\"misplaced\""), std::string::npos);
  CHECK_NE(damaged.out.find("\"damaged\""), std::string::npos);
  CHECK_NE(damaged.out.find("\"wrong\":2"), std::string::npos);
}

TEST_CASE("the sum of a file is that of its bytes, and tells apart what is not the same") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(cluster.put("/abc", "abc").exit_code, 0);
  const Outcome known = cluster.dogfs({"sum", "/abc", "--json"});
  CHECK_EQ(known.lines().at(0).at("sha256"),
           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string bytes = noise(3'000'000, 4);
  write_file(cluster.scratch() / "local", bytes);
  CHECK_EQ(cluster.put("/file", bytes).exit_code, 0);
  CHECK_EQ(cluster.dogfs({"sum", "/file", cluster.scratch() / "local"}).exit_code, 0);
  flip(cluster.scratch() / "local", 2'999'999);
  const Outcome other = cluster.dogfs({"sum", "/file", cluster.scratch() / "local", "--json"});
  CHECK_EQ(other.exit_code, 1);
  CHECK_EQ(other.lines().at(0).at("same"), false);
  CHECK_EQ(cluster.dogfs({"sum", "/"}).exit_code, 4);
  CHECK_EQ(cluster.dogfs({"sum", "/none"}).exit_code, 3);
}

}  // namespace
}  // namespace dogfs::test
