#include "sim/run/swarm.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "core/placement/policy.h"
#include "sim/run/operation_source.h"

#include "tests/doctest.h"

namespace dogfs::sim {
namespace {

TEST_CASE("a seed draws the same scenario again, and different seeds differ") {
  const auto text = [](uint64_t seed) {
    std::string out;
    for (const Fault& fault : draw_scenario(seed).faults) out += describe(fault) + "\n";
    return out;
  };
  CHECK_EQ(text(1), text(1));
  CHECK_NE(text(1), text(2));
}

TEST_CASE("every drawn scenario can be run, and over many all kinds of faults come") {
  std::set<FaultKind> kinds;
  std::set<size_t> counts;
  std::set<FaultKind> lasting;
  int runs_with_lasting = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Scenario scenario = draw_scenario(seed);
    const auto policy = placement::Policy::parse(scenario.cluster.policy);
    REQUIRE(policy);
    CHECK(policy->width() <= scenario.cluster.chunk);
    CHECK(scenario.workload.front().mix.total() > 0);
    CHECK(scenario.until >= 60s);
    CHECK(scenario.faults_until >= 43s);
    CHECK(scenario.expect.operations_min >= 300);
    for (const Fault& fault : scenario.faults) {
      CHECK(fault.at < scenario.faults_until);
      kinds.insert(fault.kind);
    }
    counts.insert(scenario.faults.size());
    runs_with_lasting += scenario.lasting.empty() ? 0 : 1;
    for (const Fault& fault : scenario.lasting) lasting.insert(fault.kind);
  }
  CHECK(runs_with_lasting > 70);
  CHECK_EQ(lasting.size(), 5);
  CHECK(kinds.size() >= 13);
  CHECK(counts.size() > 20);
}

TEST_CASE("many drawn runs have an operator, and one that changes members can spare a server") {
  int moving = 0, changing = 0, falls = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Scenario scenario = draw_scenario(seed);
    if (scenario.operator_every == 0s) continue;
    CHECK(scenario.cluster.metadata >= 3);
    ++moving;
    changing += scenario.cluster.metadata > 3 ? 1 : 0;
    for (const Fault& fault : scenario.faults) falls += fault.after_reconfiguration ? 1 : 0;
  }
  CHECK(moving > 100);
  CHECK(changing > 60);
  CHECK(falls > 100);
}

TEST_CASE("half of the drawn runs cut or join files, a quarter none, a quarter have quotas") {
  int cutting = 0, joining = 0, neither = 0, quotas = 0, versions = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Mix mix = draw_scenario(seed).workload.front().mix;
    cutting += mix.truncate > 0 ? 1 : 0;
    joining += mix.concatenate > 0 ? 1 : 0;
    quotas += mix.quota > 0 && mix.use > 0 ? 1 : 0;
    versions += mix.attributes > 0 && mix.replace > 0 ? 1 : 0;
    neither += mix.truncate + mix.concatenate == 0 ? 1 : 0;
  }
  CHECK(cutting > 120);
  CHECK(joining > 120);
  CHECK(neither > 50);
  CHECK(quotas > 50);
  CHECK(versions > 70);
}

TEST_CASE("operations keep to their bounds and every kind with a weight comes") {
  const Workload load{.mix = {.put = 1,
                              .get = 1,
                              .stat = 1,
                              .list = 1,
                              .mkdir = 1,
                              .rename = 1,
                              .remove = 1,
                              .copy = 1,
                              .truncate = 1,
                              .concatenate = 1,
                              .quota = 1,
                              .use = 1,
                              .attributes = 1,
                              .replace = 1},
                      .size_min = 3,
                      .size_max = 5000};
  OperationSource source(load, 1, Random(1));
  std::set<Act> acts;
  std::set<uint64_t> sizes;
  int over_versions = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto drawn = source.next();
    acts.insert(drawn.operation.act);
    if (drawn.operation.act != Act::kPut) continue;
    over_versions += drawn.over_version ? 1 : 0;
    CHECK(pieces_of(drawn.operation).are(content_of(drawn.bytes.text())));
    CHECK_EQ(make_bytes(drawn.bytes.size(), drawn.operation.number).text(), drawn.bytes.text());
    CHECK(drawn.bytes.size() >= 3);
    CHECK(drawn.bytes.size() <= 5000);
    sizes.insert(drawn.bytes.size());
  }
  CHECK_EQ(acts.size(), 13);
  CHECK(over_versions > 100);
  CHECK(sizes.contains(3));
  CHECK(sizes.contains(5000));
  CHECK(sizes.size() > 50);
}

TEST_CASE(
    "in a tangled workload files and directories share names, and some move into themselves") {
  const Workload load{
      .mix = {.put = 1, .mkdir = 1, .rename = 1, .remove = 1}, .depth = 4, .names = 2};
  OperationSource source(load, 1, Random(1));
  std::set<std::string> files, directories;
  size_t deepest = 0;
  int into_themselves = 0;
  for (int i = 0; i < 3000; ++i) {
    const Operation operation = source.next().operation;
    if (operation.act == Act::kPut) files.insert(operation.path);
    if (operation.act == Act::kMakeDirectory) directories.insert(operation.path);
    deepest = std::max<size_t>(deepest, std::ranges::count(operation.path, '/'));
    if (operation.act == Act::kRename && operation.to.starts_with(operation.path + "/"))
      ++into_themselves;
  }
  CHECK_EQ(deepest, 5);
  CHECK(into_themselves > 10);
  std::vector<std::string> both;
  std::ranges::set_intersection(files, directories, std::back_inserter(both));
  CHECK(both.size() > 20);
}

}  // namespace
}  // namespace dogfs::sim
