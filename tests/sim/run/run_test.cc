#include "sim/run/run.h"

#include "sim/run/swarm.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

Scenario calm() {
  Scenario scenario;
  scenario.name = "nothing goes wrong";
  scenario.workload.push_back(
      {.until = 8s,
       .clients = 2,
       .mix = {.put = 3, .get = 3, .stat = 1, .list = 1, .mkdir = 1, .rename = 1, .remove = 1},
       .size_max = 20'000,
       .paths = 8,
       .think = 50ms});
  scenario.faults_until = 5s;
  scenario.until = 10s;
  return scenario;
}

std::string complaints(const RunResult& result) {
  std::string text;
  for (const Violation& violation : result.violations)
    text += fmt::format("{}: {}\n", oracle_name(violation.oracle), violation.text);
  return text;
}

TEST_CASE("when nothing goes wrong nothing is wrong, and nothing is refused for now") {
  const RunResult result = run_scenario(calm(), 1, {});
  CHECK_MESSAGE(result.ok(), complaints(result));
  CHECK(result.operations >= 60);
  CHECK_EQ(result.tally.at("operations.unknown"), 0);
  CHECK_EQ(result.tally.at("servers_ended"), 0);
  CHECK_EQ(result.tally.at("elections"), 1);
}

TEST_CASE("a run is a function of its scenario and seed") {
  const RunResult once = run_scenario(calm(), 2, {});
  std::string trace;
  const RunResult traced =
      run_scenario(calm(), 2, {.trace = [&](std::string_view line) { trace += line; }});
  CHECK_EQ(once.trace_hash, traced.trace_hash);
  CHECK_EQ(once.events, traced.events);
  CHECK(!trace.empty());
  CHECK_NE(once.trace_hash, run_scenario(calm(), 3, {}).trace_hash);
}

TEST_CASE("a drawn run passes, with its faults") {
  const RunResult result = run_scenario(draw_scenario(1), 1, {});
  CHECK_MESSAGE(result.ok(), complaints(result));
  CHECK(result.operations >= 300);
  CHECK(result.simulated >= 60s);
}

// 250: a leader that had applied nothing yet took the cluster for one of an earlier version.
// 815: a newcomer with a hung disk was waited for. 895: the model saw a replaced directory first,
// the state machine a file in the way. 527: a run in which nearly everything is refused.
TEST_CASE("drawn runs that failed once pass") {
  for (const uint64_t seed : {250, 527, 815, 895}) {
    const RunResult result = run_scenario(draw_scenario(seed), seed, {});
    CHECK_MESSAGE(result.ok(), complaints(result));
  }
}

}  // namespace
}  // namespace dogfs::sim
