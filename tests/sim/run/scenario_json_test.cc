#include "sim/run/scenario_json.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/run/mutants.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  REQUIRE(stream);
  return std::string((std::istreambuf_iterator<char>(stream)), {});
}

constexpr std::string_view kWhole = R"({
  "name": "everything that can be said",
  "description": "in a few words", "catches": ["M5", "M39"],
  "cluster": {"metadata": 5, "chunk": 8, "zones": 4, "policy": "rs-4-2", "block": "2MiB",
              "cell": "64KiB", "snapshot_after": "32KiB", "lease_drift_percent": 3,
              "log_tail": 7, "latency_max": "5ms", "drift_ppm": 100, "session_silence": "20s",
              "lease_silence": "10s", "operation_limit": "2s", "removal_step": 3},
  "workload": [{"from": "1s", "until": "30s", "clients": 8,
                "mix": {"put": 3, "get": 5, "stat": 1, "list": 1, "mkdir": 1, "rename": 1,
                        "remove": 1, "copy": 2, "truncate": 3, "concatenate": 4,
                        "quota": 5, "use": 6, "attributes": 7, "replace": 8},
                "size": ["1B", "4MiB"], "paths": 10, "at_once": 2, "depth": 4, "names": 5,
                "think": "50ms"}],
  "faults": [
    {"at": "5s", "partition": {"isolate": "metadata:leader", "direction": "out"}, "for": "10s"},
    {"at": "6s", "partition": {"isolate": "chunk-2", "from": "client-8"}, "for": "10s"},
    {"at": "8s", "disk": {"node": "chunk-2", "fault": "bit-rot", "sectors": 20}},
    {"at": "9s", "kill": "chunk-4", "disk_operation": 3, "for": "5s"},
    {"at": "10s", "power_loss": "all", "for": "100ms"},
    {"at": "11s", "pause": "meta-5", "for": "1s"},
    {"at": "12s", "clog": {"node": "meta-1", "latency": "200ms"}, "for": "1s"},
    {"at": "13s", "reset": 7},
    {"at": "14s", "clock": {"node": "meta-2", "jump": "2m"}},
    {"at": "15s", "disk": {"node": "meta-3", "fault": "slow", "factor": 30}, "for": "2s"}],
  "operator_every": "2s",
  "lasting": [{"kill": "meta-4"},
              {"partition": {"isolate": "metadata:follower", "direction": "in"}}],
  "faults_until": "40s", "until": "70s",
  "expect": {"linearizable": true, "durable": true, "operations_min": 50, "write_gap_max": "3s",
             "heals_within": "20s"}})";

TEST_CASE("a scenario that says everything is read as it is meant") {
  const auto read = parse_scenario(kWhole, "whole");
  REQUIRE_MESSAGE(read, read.error().message);
  CHECK_EQ(read->cluster.metadata, 5);
  CHECK_EQ(read->cluster.snapshot_after_bytes, 32 << 10);
  CHECK_EQ(read->cluster.log_tail.value(), 7);
  CHECK_EQ(read->cluster.block_bytes, 2 << 20);
  CHECK(read->cluster.latency_max == 5ms);
  REQUIRE_EQ(read->workload.size(), 1);
  CHECK_EQ(read->workload[0].mix.total(), 48);
  CHECK_EQ(read->workload[0].mix.attributes, 7);
  CHECK_EQ(read->workload[0].mix.replace, 8);
  CHECK_EQ(read->workload[0].mix.quota, 5);
  CHECK_EQ(read->workload[0].mix.use, 6);
  CHECK_EQ(read->workload[0].mix.truncate, 3);
  CHECK_EQ(read->workload[0].mix.concatenate, 4);
  CHECK_EQ(read->workload[0].size_max, 4 << 20);
  CHECK(read->workload[0].think == 50ms);
  REQUIRE_EQ(read->faults.size(), 10);
  CHECK(read->faults[0].kind == FaultKind::kPartition);
  CHECK(read->faults[0].direction == Direction::kOut);
  CHECK(read->faults[0].duration == 10s);
  CHECK_EQ(read->faults[1].peer, "client-8");
  CHECK(read->faults[2].kind == FaultKind::kBitRot);
  CHECK_EQ(read->faults[2].amount, 20);
  CHECK(!read->faults[2].duration);
  CHECK_EQ(read->faults[3].amount, 3);
  CHECK(read->faults[4].kind == FaultKind::kPowerLoss);
  CHECK_EQ(read->faults[6].amount, 200);
  CHECK_EQ(read->faults[7].amount, 7);
  CHECK_EQ(read->faults[8].amount, 120'000);
  CHECK(read->faults[9].kind == FaultKind::kDiskSlow);
  CHECK(read->cluster.session_silence == 20s);
  CHECK(read->cluster.lease_silence == 10s);
  CHECK(read->cluster.lease_drift_percent == 3u);
  CHECK(read->cluster.operation_limit == 2s);
  CHECK_EQ(read->cluster.removal_step, 3);
  CHECK_EQ(read->workload[0].at_once, 2);
  CHECK_EQ(read->workload[0].depth, 4);
  CHECK_EQ(read->workload[0].names, 5);
  CHECK((read->catches == std::vector<std::string>{"M5", "M39"}));
  CHECK(read->operator_every == 2s);
  REQUIRE_EQ(read->lasting.size(), 2);
  CHECK(read->lasting[0].kind == FaultKind::kKill);
  CHECK(read->lasting[1].direction == Direction::kIn);
  CHECK(read->faults_until == 40s);
  CHECK(read->until == 70s);
  CHECK(read->expect.write_gap_max == 3s);
}

// A whole scenario with one part replaced, and the complaint.
std::string complaint(std::string_view part, std::string_view by) {
  std::string text(kWhole);
  const size_t at = text.find(part);
  REQUIRE(at != std::string::npos);
  text.replace(at, part.size(), by);
  const auto read = parse_scenario(text, "x.json");
  REQUIRE(!read);
  CHECK_EQ(read.error().code, Code::kInvalid);
  return read.error().message;
}

TEST_CASE("a mistake is refused with the place and what was expected") {
  CHECK_EQ(complaint(R"("for": "5s")", R"("for": 5)"),
           R"(x.json: $.faults[3].for: expected a duration such as "10s" or "200ms", found 5)");
  CHECK_EQ(complaint(R"("chunk": 8)", R"("chunk": 99)"),
           "x.json: $.cluster.chunk: expected 1 to 32 chunk servers, found 99");
  CHECK_EQ(complaint(R"("name": "everything that can be said",)", ""),
           "x.json: $: expected a member \"name\", found an object");
  CHECK_EQ(
      complaint(R"("zones")", R"("zone")"),
      "x.json: $.cluster.zone: expected one of block, cell, chunk, disks, drift_ppm, inline, "
      "latency_max, lease_drift_percent, lease_silence, log_tail, metadata, operation_limit, "
      "policy, removal_step, scrub, session_silence, snapshot_after, tick, zones, found \"zone\"");
  CHECK_EQ(complaint(R"("kill": "chunk-4")", R"("kill": "chunk-9")"),
           "x.json: $.faults[3]: expected a node or a role of this cluster, found \"chunk-9\"");
  CHECK_EQ(complaint("chunk-4", "chunk:leader"),
           "x.json: $.faults[3]: expected a node or a role of this cluster, found "
           "\"chunk:leader\"");
  CHECK_EQ(
      complaint(R"("direction": "out")", R"("direction": "up")"),
      R"(x.json: $.faults[0].partition.direction: expected "both", "in" or "out", found "up")");
  CHECK_EQ(complaint("rs-4-2", "rs-10-4"),
           "x.json: $.cluster.policy: expected a policy that 8 chunk servers can hold, found "
           "rs-10-4");
  CHECK_EQ(complaint(R"(["1B", "4MiB"])", R"(["4MiB", "1B"])"),
           "x.json: $.workload[0].size: expected the least size first, found a greater one first");
  CHECK_EQ(complaint(R"("pause": "meta-5", "for": "1s")", R"("pause": "meta-5")"),
           R"(x.json: $.faults[5]: expected a member "for", found {"at":"11s","pause":"meta-5"})");
  CHECK(complaint(R"("kill")", R"("murder")").find("$.faults[3]: expected at, and one of kill") !=
        std::string::npos);
  CHECK(complaint(R"("workload": [)", R"("workload": [,)").find("x.json: line 8, column ") == 0);
}

TEST_CASE("the schema in scenarios/ is the one that is checked") {
  CHECK(contents("scenarios/schema.json") == scenario_schema());
}

TEST_CASE("every scenario of the tree is sound") {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("scenarios")) {
    if (entry.path().extension() != ".json" || entry.path().filename() == "schema.json") continue;
    const auto scenario = parse_scenario(contents(entry.path()), entry.path().string());
    CHECK_MESSAGE(scenario, (scenario ? "" : scenario.error().message));
    ++files;
    for (const std::string& id : scenario ? scenario->catches : std::vector<std::string>())
      CHECK_MESSAGE(std::ranges::count(mutants(), id, &Mutant::id) == 1, id);
  }
  CHECK(files >= 20);
}

}  // namespace
}  // namespace dogfs::sim
