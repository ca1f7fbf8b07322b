// `dogfs append`: many programs append to one file, servers die meanwhile, and nothing is lost, cut
// or there twice.

#include <algorithm>
#include <memory>
#include <sstream>

#include <nlohmann/json.hpp>

#include "tests/process/cluster.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

constexpr size_t kMiB = 1 << 20;

Outcome append(const Cluster& cluster, const std::string& path, const std::string& bytes,
               const Arguments& more = {}) {
  Arguments arguments{"append", "-", path};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return cluster.dogfs(arguments, {.input = bytes});
}

// Lines of different lengths that say whose they are.
std::string lines_of(const std::string& writer, int count) {
  std::string out;
  for (int i = 0; i < count; ++i)
    out += writer + " " + std::to_string(i) + " " + std::string(i * 37 % 300, 'x') + "\n";
  return out;
}

// The lines that a writer has in a file, in their order there.
std::string lines_from(const std::string& content, const std::string& writer) {
  std::istringstream in(content);
  std::string out;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(writer + " ")) out += line + "\n";
  return out;
}

struct Refused {
  Arguments arguments;
  std::string input;
  int exit_code;
  std::string said;
};

TEST_CASE("bytes go behind the end of files, small and large, new and old") {
  const Cluster cluster({"--chunk", "4", "--policy", "rs-2-1"});
  const Outcome made = append(cluster, "/log", "one ", {"--json", "--policy", "rs-2-2"});
  REQUIRE_EQ(made.exit_code, 0);
  CHECK_EQ(made.lines().at(0),
           nlohmann::json({{"appended", "/log"}, {"bytes", 4}, {"offset", 0}, {"records", 1}}));
  CHECK_EQ(append(cluster, "/log", "two", {"--json"}).lines().at(0).at("offset"), 4);
  CHECK_EQ(cluster.get("/log"), "one two");
  CHECK(cluster.dogfs({"stat", "/log"}).out.find("rs-2-2") != std::string::npos);

  // Behind bytes that lie in the inode, and behind blocks; more than one record.
  for (const size_t size : {size_t{100}, 3 * kMiB}) {
    const std::string first = noise(size, 1);
    const std::string more = noise(5 * kMiB + 1, 2);
    CHECK_EQ(cluster.put("/old", first).exit_code, 0);
    CHECK_EQ(append(cluster, "/old", more).exit_code, 0);
    CHECK((cluster.get("/old") == first + more));
    const Outcome range =
        cluster.dogfs({"cat", "/old", "--offset", std::to_string(size - 50), "--length", "100"});
    CHECK((range.out == (first + more).substr(size - 50, 100)));
  }
  // Nothing is as good as something: the file is there.
  const Outcome nothing = append(cluster, "/empty", "", {"--json"});
  CHECK_EQ(nothing.lines().at(0),
           nlohmann::json({{"appended", "/empty"}, {"bytes", 0}, {"records", 0}}));
  CHECK_EQ(cluster.get("/empty"), "");
  CHECK_EQ(append(cluster, "/lines", "a line without an end", {"--lines"}).exit_code, 0);
  CHECK_EQ(append(cluster, "/lines", "another\n", {"--lines"}).exit_code, 0);
  CHECK_EQ(cluster.get("/lines"), "a line without an end\nanother\n");

  CHECK_EQ(cluster.dogfs({"mkdir", "/dir"}).exit_code, 0);
  const std::vector<Refused> table{
      {{"append", "-", "/missing", "--existing"}, "x", 3, "/missing"},
      {{"append", "-", "/no/such/directory"}, "x", 3, "/no"},
      {{"append", "-", "/dir"}, "x", 4, "is a directory"},
      {{"append", "-", "/policy", "--policy", "rs-16-16"}, "x", 4, "rs-16-16"},
      {{"append", "-", "relative"}, "x", 2, "relative"},
      {{"append", "/no/such/file", "/log"}, "", 3, "/no/such/file"},
      {{"append", "-", "/long", "--lines"},
       "short\n" + std::string(kMiB, 'x'),
       2,
       "behind 6 bytes that are stored: a line of more than 1048575 bytes"}};
  for (const auto& row : table) {
    const Outcome outcome = cluster.dogfs(row.arguments, {.input = row.input});
    CAPTURE(row.said);
    CAPTURE(outcome.err);
    CHECK_EQ(outcome.exit_code, row.exit_code);
    CHECK(outcome.err.find(row.said) != std::string::npos);
  }
  CHECK_EQ(cluster.get("/log"), "one two");
  CHECK_EQ(cluster.get("/long"), "short\n");
}

TEST_CASE("lines of many writers lie whole and in order, also when servers are killed meanwhile") {
  const Cluster cluster;
  constexpr int kWriters = 4;
  constexpr int kRounds = 6;
  std::string expected[kWriters];
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::unique_ptr<Running>> writers;
    for (int i = 0; i < kWriters; ++i) {
      const std::string name = "writer-" + std::to_string(i) + "-" + std::to_string(round);
      const std::string input = cluster.scratch() / name;
      write_file(input, lines_of("writer-" + std::to_string(i), 3000));
      expected[i] += read_file(input);
      writers.push_back(std::make_unique<Running>(
          cluster.scratch(),
          Arguments{"append", input, "/log", "--lines", "--cluster", cluster.directory()}));
    }
    if (round == 1) cluster.kill("chunk-1");
    if (round == 3) cluster.kill("chunk-2");
    if (round == 4) cluster.kill(cluster.leader());
    for (const auto& writer : writers) {
      const Outcome outcome = writer->wait();
      CAPTURE(outcome.err);
      CHECK_EQ(outcome.exit_code, 0);
    }
    if (round == 1) cluster.up();
  }
  const auto content = cluster.get("/log");
  REQUIRE(content.has_value());
  size_t bytes = 0;
  for (int i = 0; i < kWriters; ++i) {
    CHECK((lines_from(*content, "writer-" + std::to_string(i)) == expected[i]));
    bytes += expected[i].size();
  }
  CHECK_EQ(content->size(), bytes);
}

TEST_CASE("a file that is being appended to comes back from an export, and goes on") {
  const Cluster cluster({"--meta", "1", "--chunk", "3", "--policy", "rs-2-1"});
  CHECK_EQ(append(cluster, "/log", "before\n").exit_code, 0);
  const std::string text = cluster.scratch() / "namespace.jsonl";
  REQUIRE_EQ(cluster.dogfs({"admin", "export", text}).exit_code, 0);
  cluster.kill("meta-1");
  std::filesystem::remove_all(std::filesystem::path(cluster.directory()) / "founded");
  std::filesystem::remove_all(std::filesystem::path(cluster.directory()) / "meta-1" / "data");
  CHECK_EQ(cluster.control({"start", "meta-1"}).exit_code, 0);
  const Outcome imported = cluster.dogfs({"admin", "import", text});
  INFO(imported.err);
  REQUIRE_EQ(imported.exit_code, 0);
  cluster.up();
  CHECK_EQ(cluster.get("/log"), "before\n");
  CHECK_EQ(append(cluster, "/log", "after\n").exit_code, 0);
  CHECK_EQ(cluster.get("/log"), "before\nafter\n");
}

}  // namespace
}  // namespace dogfs::test
