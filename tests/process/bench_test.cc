// The benchmark as a guest: whatever ends it, it takes its processes and files along.

#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "tests/process/program.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

namespace fs = std::filesystem;

// Processes that were started with this text in their arguments.
size_t processes_about(const std::string& text) {
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc"))
    if (read_file(entry.path() / "cmdline").find(text) != std::string::npos) ++count;
  return count;
}

void wait_for(const fs::path& path) {
  while (!fs::exists(path)) std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

}  // namespace

TEST_CASE("a benchmark reports both systems and leaves nothing behind") {
  const TemporaryDirectory scratch;
  const std::string place = scratch / "place";
  const Outcome bench =
      run(scratch, {"bench", "data", "--dir", place, "--parts", "large", "--clients", "1", "--size",
                    "8MiB", "--rounds", "1", "--json"});
  CAPTURE(bench.err);
  CHECK_EQ(bench.exit_code, 0);
  const auto lines = bench.lines();
  REQUIRE_EQ(lines.size(), 5);
  for (size_t i = 0; i < 4; ++i)
    for (const char* key :
         {"system", "operation", "seconds", "mib_per_s", "p50_us", "p99_us", "syncs_per_op",
          "client_cpu_us_per_mib", "server_cpu_us_per_mib", "client_peak_bytes"})
      CHECK(lines[i].contains(key));
  for (const char* key : {"put_ratio_to_null_median", "get_ratio_to_null_median",
                          "client_peak_bytes", "chunk_server_peak_bytes"})
    CHECK(lines[4].at(key) > 0);
  CHECK_EQ(lines[4].at("null_syncs_per_put"), 6);
  CHECK(lines[4].at("server_syncs_per_put") > 6);  // each shard, its directory, the log
  CHECK(!fs::exists(place));
  CHECK_EQ(processes_about(place), 0);
}

TEST_CASE("every part of the benchmark of bytes stands beside the null system") {
  const TemporaryDirectory scratch;
  const std::string place = scratch / "place";
  const Outcome bench =
      run(scratch, {"bench", "data", "--dir", place, "--parts", "small,range,degraded,append",
                    "--size", "8MiB", "--rounds", "1", "--seconds", "0.1", "--json"});
  CAPTURE(bench.err);
  CHECK_EQ(bench.exit_code, 0);
  std::map<std::string, size_t> of_null;
  std::map<std::string, size_t> of_dogfs;
  for (const auto& line : bench.lines()) {
    if (line.contains("summary")) continue;
    ++(line.at("system") == "null" ? of_null : of_dogfs)[line.at("part")];
    for (const char* key : {"operations", "per_second", "p50_us", "p99_us"})
      CHECK(line.at(key) > 0);
    if (line.at("system") == "dogfs") CHECK(line.contains("copied_per_byte"));
  }
  for (const char* part : {"small", "range"}) CHECK_EQ(of_null[part], 4);
  for (const char* part : {"small", "range"}) CHECK_EQ(of_dogfs[part], 4);
  CHECK_EQ(of_dogfs["degraded"], 3);  // none, one and two dead
  CHECK_EQ(of_null["append"], 2);
  CHECK_EQ(of_dogfs["append"], 2);
  CHECK_EQ(processes_about(place), 0);
  CHECK_EQ(run(scratch, {"bench", "data", "--parts", "nothing"}).exit_code, 2);
}

TEST_CASE("the benchmark of metadata reports every operation beside the null log") {
  const TemporaryDirectory scratch;
  const std::string place = scratch / "place";
  const Outcome bench = run(scratch, {"bench", "meta", "--dir", place, "--seconds", "0.1",
                                      "--in-flight", "1,8", "--json"});
  CAPTURE(bench.err);
  CHECK_EQ(bench.exit_code, 0);
  const auto lines = bench.lines();
  REQUIRE_EQ(lines.size(), 12);
  for (const auto& line : lines) {
    for (const char* key : {"per_second", "p50_us", "p99_us", "p999_us"}) CHECK(line.at(key) > 0);
    for (const char* key : {"client_cpu_us_per_op", "server_cpu_us_per_op"})
      CHECK(line.contains(key));
    if (line.at("system") != "dogfs") continue;
    const bool reads = line.at("operation") == "stat" || line.at("operation") == "list";
    // Three servers sync; in groups, when many operations are under way.
    if (!reads) CHECK(line.at("syncs_per_op") > (line.at("in_flight") == 1 ? 1.0 : 0.1));
  }
  CHECK(!fs::exists(place));
  CHECK_EQ(processes_about(place), 0);
}

TEST_CASE("the benchmark of failover kills leaders and sees writes succeed again") {
  const TemporaryDirectory scratch;
  const std::string place = scratch / "place";
  const Outcome bench =
      run(scratch, {"bench", "failover", "--dir", place, "--rounds", "2", "--json"});
  CAPTURE(bench.err);
  CHECK_EQ(bench.exit_code, 0);
  const auto lines = bench.lines();
  REQUIRE_EQ(lines.size(), 3);
  for (size_t i = 0; i < 2; ++i) CHECK(lines[i].at("first_write_ms") > 0);
  CHECK(lines[2].at("first_write_ms_median") > 0);
  CHECK(!fs::exists(place));
  CHECK_EQ(processes_about(place), 0);
}

TEST_CASE("the benchmark of growth creates files and restarts a server") {
  const TemporaryDirectory scratch;
  const std::string place = scratch / "place";
  const Outcome bench =
      run(scratch, {"bench", "growth", "--dir", place, "--files", "2000", "--json"});
  CAPTURE(bench.err);
  CHECK_EQ(bench.exit_code, 0);
  const auto lines = bench.lines();
  REQUIRE_EQ(lines.size(), 2);
  CHECK_EQ(lines[0].at("files"), 2000);
  CHECK(lines[0].at("longest_turn_us") > 0);
  CHECK(lines[1].at("caught_up_seconds") > 0);
  CHECK(!fs::exists(place));
}

TEST_CASE("a benchmark without a directory for temporary files says so, and makes none elsewhere") {
  const TemporaryDirectory scratch;
  const Outcome bench =
      run(scratch, {"bench", "failover", "--rounds", "1"}, {.environment = "TMPDIR=/nowhere"});
  CHECK_NE(bench.exit_code, 0);
  CHECK(bench.err.find("the directory of temporary files") != std::string::npos);
}

TEST_CASE("a benchmark that is interrupted leaves nothing behind") {
  const TemporaryDirectory scratch;
  const std::string place = scratch / "place";
  for (const int signal : {SIGINT, SIGTERM}) {
    Running bench(scratch, {"bench", "data", "--dir", place, "--size", "64MiB", "--rounds", "100"});
    wait_for(fs::path(place) / "null.0.1");  // it stores through the yardstick
    bench.signal(signal);
    CHECK_EQ(bench.wait().exit_code, 128 + signal);
    CHECK(!fs::exists(place));
    CHECK_EQ(processes_about(place), 0);
  }
}

}  // namespace dogfs::test
