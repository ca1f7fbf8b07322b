// Chunk servers with several data directories.

#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

namespace fs = std::filesystem;

struct DiskRow {
  bool failed = false;
  uint64_t shards = 0;
  uint64_t capacity = 0;
  std::string failure;
};

// What `admin disks` says of one server, by the last part of the directory's path.
std::map<std::string, DiskRow> disks_of(const Cluster& cluster, const std::string& server) {
  std::map<std::string, DiskRow> disks;
  for (const auto& row : cluster.dogfs({"admin", "disks", "--json"}).lines())
    if (row.value("server", "") == server)
      disks[fs::path(row.at("directory").get<std::string>()).filename()] = {
          row.at("failed"), row.at("shards"), row.at("capacity_bytes"), row.at("failure")};
  return disks;
}

// Waits for what must come by itself.
template <class Condition>
bool comes_true(Condition condition) {
  for (int i = 0; i < 200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

std::string node_state(const Cluster& cluster, const std::string& name) {
  for (const auto& row : cluster.control({"status", "--json"}).lines())
    if (row.value("name", "") == name) return row.at("state");
  return "";
}

size_t shard_files(const fs::path& directory) {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(directory / "shards"))
    count += entry.path().extension() == ".shard";
  return count;
}

}  // namespace

TEST_CASE("a disk that fails in use takes down its shards, and its server goes on") {
  const Cluster cluster({"--chunk", "3", "--policy", "rs-2-1", "--disks", "2"});
  std::vector<std::string> contents;
  const auto put = [&] {
    contents.push_back(noise(200'000, contents.size() + 1));
    const Outcome stored =
        cluster.put("/f" + std::to_string(contents.size() - 1), contents.back(), {"--no-pack"});
    INFO(stored.err);
    CHECK_EQ(stored.exit_code, 0);
  };
  const auto all_right = [&] {
    for (size_t i = 0; i < contents.size(); ++i)
      CHECK((cluster.get("/f" + std::to_string(i)) == contents[i]));
  };
  for (int i = 0; i < 12; ++i) put();
  const fs::path server = fs::path(cluster.directory()) / "chunk-2";
  CHECK_EQ(shard_files(server / "data") + shard_files(server / "data-2"), 12u);
  CHECK_GT(shard_files(server / "data-2"), 0u);
  REQUIRE(comes_true([&] { return disks_of(cluster, "chunk-2").size() == 2; }));
  CHECK_FALSE(disks_of(cluster, "chunk-2").at("data-2").failed);

  // Nothing can be written or read there any more.
  fs::rename(server / "data-2" / "shards", server / "shards-of-a-dead-disk");
  write_file(server / "data-2" / "shards", "not a directory");
  for (int i = 0; i < 8; ++i) put();
  REQUIRE(comes_true([&] { return disks_of(cluster, "chunk-2").at("data-2").failed; }));
  const auto disks = disks_of(cluster, "chunk-2");
  CHECK_FALSE(disks.at("data").failed);
  CHECK_GT(disks.at("data").shards, 0u);
  CHECK_EQ(disks.at("data-2").capacity, 0u);
  CHECK_NE(disks.at("data-2").failure, "");
  CHECK_NE(cluster.control({"status"}).out.find("FAILED"), std::string::npos);
  CHECK_EQ(node_state(cluster, "chunk-2"), "live");
  all_right();

  // It is the same server at the next start, with what is left; and with both when it is mended.
  for (const bool mended : {false, true}) {
    cluster.kill("chunk-2");
    if (mended) {
      fs::remove(server / "data-2" / "shards");
      fs::rename(server / "shards-of-a-dead-disk", server / "data-2" / "shards");
    }
    cluster.up();
    CHECK(comes_true([&] {
      const auto row = disks_of(cluster, "chunk-2");
      return row.size() == 2 && row.at("data-2").failed != mended;
    }));
    put();
    all_right();
  }
}

TEST_CASE("a blank directory is taken for a new disk, not in the place of one that is missing") {
  const Cluster cluster({"--chunk", "3", "--policy", "rs-2-1", "--disks", "2"});
  const std::string content = noise(300'000, 7);
  CHECK_EQ(cluster.put("/f", content, {"--no-pack"}).exit_code, 0);
  const fs::path server = fs::path(cluster.directory()) / "chunk-1";
  cluster.kill("chunk-1");
  const bool on_second = shard_files(server / "data-2") > 0;
  const fs::path lost = server / (on_second ? "data-2" : "data");
  fs::rename(lost, server / "elsewhere");
  cluster.up();
  CHECK(comes_true([&] {
    const auto row = disks_of(cluster, "chunk-1");
    return row.size() == 2 && row.at(lost.filename()).failed;
  }));
  CHECK_NE(disks_of(cluster, "chunk-1").at(lost.filename()).failure.find("--replace-lost"),
           std::string::npos);
  CHECK((cluster.get("/f") == content));
  // It was not mounted, that is all.
  cluster.kill("chunk-1");
  fs::remove_all(lost);
  fs::rename(server / "elsewhere", lost);
  // A directory of another server beside it is refused.
  const fs::path other = fs::path(cluster.directory()) / "chunk-2" / "data";
  const fs::path config = server / "server.json";
  auto wrong = nlohmann::json::parse(read_file(config));
  cluster.kill("chunk-2");
  wrong["more_data"] = {other.string()};
  wrong["data"] = (server / "data").string();
  write_file(cluster.scratch() / "wrong.json", wrong.dump());
  const Outcome refused =
      run(cluster.scratch(), {"chunk", "--config", cluster.scratch() / "wrong.json"});
  CHECK_EQ(refused.exit_code, 4);
  CHECK_NE(refused.err.find("give each server its own directories"), std::string::npos);
  cluster.up();
  CHECK(comes_true([&] {
    const auto row = disks_of(cluster, "chunk-1");
    return row.size() == 2 && !row.at("data").failed && !row.at("data-2").failed;
  }));
  CHECK((cluster.get("/f") == content));
}

TEST_CASE("flipped bits in shard files are never read, and become known") {
  const Cluster cluster({"--chunk", "3", "--policy", "rs-2-1"});
  const auto narrow = [&] {
    for (const auto& line : cluster.control({"status", "--json"}).lines())
      if (line.value("type", "") == "cluster" && line.at("blocks_below_full_width").is_number())
        return line.at("blocks_below_full_width").get<uint64_t>();
    return uint64_t{0};
  };
  std::vector<std::string> contents;
  const auto all_right = [&] {
    for (size_t i = 0; i < contents.size(); ++i)
      CHECK((cluster.get("/f" + std::to_string(i)) == contents[i]));
  };
  // From the end of a shard file: footer, its version, table, cells.
  const uint64_t places[] = {100, 10, 130, 5000, 50'000};
  for (size_t i = 0; i < std::size(places); ++i) {
    contents.push_back(noise(200'000, i));
    CHECK_EQ(cluster.put("/f" + std::to_string(i), contents.back(), {"--no-pack"}).exit_code, 0);
    // The newest shard of one server.
    const fs::path shards =
        fs::path(cluster.directory()) / ("chunk-" + std::to_string(i % 3 + 1)) / "data" / "shards";
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(shards))
      if (newest.empty() || fs::last_write_time(entry.path()) > fs::last_write_time(newest))
        newest = entry.path();
    std::string bytes = read_file(newest);
    bytes[bytes.size() - places[i]] ^= 4;
    write_file(newest, bytes);
    all_right();
  }
  cluster.kill_all();
  cluster.up();
  all_right();
  CHECK(comes_true([&] { return narrow() >= 2; }));  // footers are read at the start
  CHECK_LE(narrow(), std::size(places));
  all_right();
}

}  // namespace dogfs::test
