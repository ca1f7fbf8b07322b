#include "tools/dogfs/bench/failover_bench.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/env/env.h"
#include "nodes/client/client.h"
#include "tools/dogfs/bench/bench_cluster.h"
#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/held_signals.h"
#include "tools/dogfs/output.h"

namespace dogfs::tool {
namespace {

constexpr uint32_t kWritesBefore = 50;  // of each round: the client knows its leader
constexpr Duration kGiveUp = 30s;

// Writes; kills the leader; writes until one succeeds.
Task<Result<void>> write_over(Env& env, nodes::Client& client, ServerProcess leader, uint32_t round,
                              Duration& gap) {
  uint32_t written = 0;
  const auto path = [&] {
    return fmt::format("{}/failover-{}-{}", kBenchDirectory, round, written++);
  };
  while (written < kWritesBefore)
    CO_TRY_VOID(co_await client.make_directory(path(), false, std::nullopt));
  CO_TRY_VOID(leader.signal(SIGKILL));
  const Instant killed = env.now();
  for (;;) {
    auto made = co_await client.make_directory(path(), false, std::nullopt);
    gap = env.now() - killed;
    if (made) co_return Result<void>();
    if (gap > kGiveUp) co_return fail(std::move(made).error());
  }
}

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

Result<void> run_failover_bench(Output& output, const FailoverBenchOptions& options, int& signal) {
  HeldSignals signals;  // outlives all that has to be cleaned up
  ::signal(SIGPIPE, SIG_IGN);
  TRY(place, Workplace::make(options.directory));
  TRY(bench, BenchCluster::start(place.path() / "cluster", signal));
  std::vector<double> gaps;
  for (uint32_t round = 1; round <= options.rounds; ++round) {
    TRY(leader, bench->leader(signal));
    Duration gap{};
    TRY_VOID(bench->with_client(
        [&](Env& env, nodes::Client& client) {
          return write_over(env, client, bench->cluster().process(leader), round, gap);
        },
        signal));
    gaps.push_back(milliseconds(gap));
    output.object({{"bench", "failover"}, {"round", round}, {"first_write_ms", gaps.back()}});
    output.line(fmt::format("round {:>2}: {} killed, the first write succeeded after {:.0f} ms",
                            round, leader.name, gaps.back()));
    TRY_VOID(bench->cluster().process(leader).wait_until_gone(10s));
    TRY_VOID(bring_up(bench->cluster(), [](const LocalNode&, const std::string&) {}));
    if (signal == 0) signal = signals.signal();
    if (signal != 0) return fail(Code::kUnavailable, "interrupted");
  }
  std::ranges::sort(gaps);
  const double median = gaps[(gaps.size() - 1) / 2];
  output.object({{"bench", "failover"},
                 {"summary", true},
                 {"first_write_ms_median", median},
                 {"first_write_ms_max", gaps.back()}});
  output.line(fmt::format("median {:.0f} ms, at most {:.0f} ms", median, gaps.back()));
  return {};
}

}  // namespace dogfs::tool
