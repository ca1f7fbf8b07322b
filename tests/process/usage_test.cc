// What the program says when it was called wrongly, and no cluster is needed to know that.

#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/process/program.h"

#include "tests/doctest.h"

namespace dogfs::test {
namespace {

struct Wrong {
  Arguments arguments;
  int exit_code;
  const char* said;  // a part of the message
};

void check_table(const std::vector<Wrong>& table) {
  const TemporaryDirectory scratch;
  for (const auto& row : table) {
    Arguments arguments = row.arguments;
    for (auto& argument : arguments)
      if (argument == "SCRATCH") argument = scratch.path().string();
    const Outcome outcome = run(scratch, arguments);
    CAPTURE(outcome.out);
    CAPTURE(outcome.err);
    CAPTURE(row.said);
    CHECK_EQ(outcome.exit_code, row.exit_code);
    CHECK(outcome.err.find(row.said) != std::string::npos);
    CHECK(outcome.out.empty());
  }
}

}  // namespace

TEST_CASE("a wrong call exits with 2 and says where help is") {
  check_table({
      {{}, 2, "--help"},
      {{"fetch"}, 2, "--help"},
      {{"put", "a"}, 2, "PATH is required; see: dogfs put --help"},
      {{"ls", "--colour"}, 2, "--colour"},
      {{"cluster"}, 2, "dogfs cluster --help"},
      {{"cluster", "up", "--chunk", "many"}, 2, "many"},
      {{"admin", "remove", ""}, 2, "MEMBER"},
      {{"admin", "replace", "", "here:1"}, 2, "MEMBER"},
      {{"meta", "--lease-drift-percent", "-1"}, 2, "lease-drift-percent"},
      {{"sim", "mutants", "--only", "M1,M2000"}, 2, "M2000"},
      {{"sim", "replay", "--seed", "1", "--mutant", "m1"}, 2, "m1"},
  });
}

TEST_CASE("a cluster that cannot be found is told apart from one that cannot be named") {
  check_table({
      {{"ls"}, 2, "dogfs cluster up"},
      {{"ls", "--cluster", "here:there"}, 2, "host:port"},
      {{"ls", "--cluster", "/no/such/directory"}, 3, "holds no cluster"},
      {{"ls", "--cluster", "SCRATCH"}, 3, "dogfs cluster up --dir"},
      {{"cluster", "status", "--dir", "SCRATCH"}, 3, "holds no cluster"},
      {{"ls", "--cluster", "127.0.0.1:1"}, 6, "127.0.0.1:1"},
  });
}

TEST_CASE("where nobody listens is told soon") {
  const TemporaryDirectory scratch;
  const Outcome outcome = run(scratch, {"ls", "--cluster", "127.0.0.1:1,127.0.0.1:2"});
  CAPTURE(outcome.err);
  CHECK_EQ(outcome.exit_code, 6);
  CHECK(outcome.seconds < 4);
  for (const char* said : {"127.0.0.1:1: Connection refused", "127.0.0.1:2: Connection refused"})
    CHECK(outcome.err.find(said) != std::string::npos);
}

TEST_CASE("an impossible cluster is refused before a server starts") {
  check_table({
      {{"cluster", "up", "--dir", "SCRATCH", "--meta", "2"}, 2, "odd"},
      {{"cluster", "up", "--dir", "SCRATCH", "--chunk", "5"}, 2, "rs-4-2 needs 6"},
      {{"cluster", "up", "--dir", "SCRATCH", "--policy", "rs-9"}, 2, "rs-9"},
      {{"cluster", "up", "--dir", "/proc/no"}, 3, "/proc/no"},
      {{"cluster", "up", "--dir", "/usr"}, 4, "empty directory"},
      {{"cluster", "up", "--dir", "/etc/hostname"}, 4, "/etc/hostname is not a directory"},
      {{"cluster", "up", "--dir", "/tmp/dogfs-\xff"}, 2, "UTF-8"},
  });
}

TEST_CASE("with --json an error is a line of JSON on standard output") {
  const TemporaryDirectory scratch;
  for (const Arguments& arguments : {Arguments{"ls", "--json"}, Arguments{"put", "--json"}}) {
    const Outcome outcome = run(scratch, arguments);
    CHECK_EQ(outcome.exit_code, 2);
    CHECK(outcome.err.empty());
    const auto lines = outcome.lines();
    REQUIRE_EQ(lines.size(), 1);
    const auto& error = lines[0].at("error");
    CHECK_EQ(error.at("code"), "invalid");
    CHECK_EQ(error.at("exit_code"), 2);
    CHECK(error.at("message").get<std::string>().size() > 10);
  }
}

TEST_CASE("a server is not started under an id or address that cannot be") {
  const TemporaryDirectory scratch;
  const std::string data = scratch / "data";
  const auto meta = [&](const std::string& id, const std::string& listen) {
    return run(scratch, {"meta", "--bootstrap", "--id", id, "--listen", listen, "--data", data});
  };
  for (const char* id : {"0", "1024", "4294967295"}) CHECK_EQ(meta(id, "127.0.0.1:1").exit_code, 2);
  for (const char* listen : {"0.0.0.0:7000", "0:7000", "127.0.0.1:0"}) {
    const Outcome refused = meta("1", listen);
    CHECK_EQ(refused.exit_code, 2);
    CHECK(refused.err.find("--advertise") != std::string::npos);
  }
  for (const char* cluster : {"0", "17 bytes, no digits", "12345678901234567", "12x", "-1"}) {
    const Outcome refused = run(scratch, {"meta", "--bootstrap", "--id", "1", "--cluster-id",
                                          cluster, "--listen", "127.0.0.1:1", "--data", data});
    CHECK_EQ(refused.exit_code, 2);
    CHECK(refused.err.find("--cluster-id") != std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(data));
}

TEST_CASE("a damaged or foreign configuration is refused with its place") {
  const TemporaryDirectory scratch;
  write_file(scratch / "bad.json", "{\"name\": \"chunk-1\", ");
  write_file(scratch / "cluster.json", "[]");
  Outcome outcome = run(scratch, {"chunk", "--config", scratch / "bad.json"});
  CHECK_EQ(outcome.exit_code, 2);
  CHECK(outcome.err.find("bad.json") != std::string::npos);
  outcome = run(scratch, {"meta", "--config", scratch / "none.json"});
  CHECK_EQ(outcome.exit_code, 3);
  outcome = run(scratch, {"ls", "--cluster", scratch.path().string()});
  CHECK_EQ(outcome.exit_code, 7);
  CHECK(outcome.err.find("cluster.json is damaged") != std::string::npos);
}

// The expectation cannot be met, and the simulator must say so.
TEST_CASE("a run that breaks a promise fails, and is replayed to the same violation") {
  const TemporaryDirectory scratch;
  const std::string file = scratch / "impossible.json";
  write_file(file, R"({"name": "changes without a pause",
    "description": "No cluster does one in a millisecond.",
    "cluster": {"metadata": 3, "chunk": 3, "policy": "rs-2-1"},
    "workload": [{"clients": 1, "until": "5s", "mix": {"mkdir": 1}}], "faults": [],
    "expect": {"operations_min": 1, "write_gap_max": "1ms"}})");
  const Outcome ran = run(scratch, {"sim", "run", file, "--seeds", "1..2", "--jobs", "1"});
  CHECK_EQ(ran.exit_code, 1);
  const std::string replay = "sim replay " + file + " --seed 1";
  CHECK(ran.out.find(replay) != std::string::npos);
  CHECK(ran.out.find("liveness") != std::string::npos);
  const Outcome replayed = run(scratch, {"sim", "replay", file, "--seed", "1"});
  CHECK_EQ(replayed.exit_code, 1);
  CHECK(replayed.out.find("no change was done for") != std::string::npos);
  write_file(file, R"({"name": "unknown", "fault": []})");
  CHECK_EQ(run(scratch, {"sim", "run", file, "--seeds", "1..2"}).exit_code, 2);
}

TEST_CASE("a wrong call is told as JSON when the variable says so, whatever else it says") {
  const TemporaryDirectory scratch;
  for (const char* value : {"1", "true", "0", "perhaps"}) {
    RunOptions options;
    options.environment = std::string("DOGFS_JSON=") + value;
    const Outcome wrong = run(scratch, {"put", "only-one"}, options);
    CAPTURE(value);
    CHECK_EQ(wrong.exit_code, 2);
    const bool wanted = std::string_view("1 true").find(value) != std::string_view::npos;
    CHECK_EQ(wrong.out.empty(), !wanted);
    if (wanted) CHECK_EQ(wrong.lines().at(0).at("error").at("exit_code"), 2);
  }
}

TEST_CASE("help exits with 0 and names every command") {
  const TemporaryDirectory scratch;
  const Outcome help = run(scratch, {"--help"});
  CHECK_EQ(help.exit_code, 0);
  for (const char* command : {"put", "get", "cat", "ls", "stat", "mkdir", "mv", "rm", "cluster",
                              "cp", "du", "admin", "meta", "chunk", "bench"})
    CHECK(help.out.find(command) != std::string::npos);
}

}  // namespace dogfs::test
