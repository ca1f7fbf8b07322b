#include "tools/dogfs/bench/timed_work.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "core/base/limits.h"
#include "core/env/env.h"
#include "core/env/nursery.h"
#include "nodes/client/client.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"

namespace dogfs::tool {
namespace {

// All that work at the same time.
struct Crew {
  Env& env;
  const Effort& effort;
  const Operation& operation;
  Timed timed;
  Result<void> result;
  Instant begin;
  std::vector<std::unique_ptr<nodes::Client>> clients;

  bool goes_on(uint64_t turn) const {
    if (!result) return false;
    return effort.turns > 0 ? turn < effort.turns : elapsed(env.now()) < effort.seconds;
  }
  double elapsed(Instant now) const { return std::chrono::duration<double>(now - begin).count(); }
};

Task<> work(Crew& crew, nodes::Client& client, uint32_t worker) {
  for (uint64_t turn = 0; crew.goes_on(turn); ++turn) {
    const Instant begin = crew.env.now();
    auto moved = co_await crew.operation(client, worker, turn);
    if (!moved) {
      if (crew.result) crew.result = fail(std::move(moved).error());
      co_return;
    }
    const std::chrono::duration<double, std::micro> taken = crew.env.now() - begin;
    crew.timed.latencies_us.push_back(taken.count());
    crew.timed.bytes += *moved;
  }
}

Task<> work_all(Nursery& workers, Crew& crew) {
  for (uint32_t i = 0; i < crew.effort.clients; ++i) workers.spawn(work(crew, *crew.clients[i], i));
  co_await workers.join();
}

Task<> work_beside(Nursery& children, Crew& crew) {
  for (const auto& client : crew.clients) children.spawn(client->run());
  co_await nursery(crew.env, [&](Nursery& workers) { return work_all(workers, crew); });
}

Task<Result<void>> employ(Env& env, nodes::ClientOptions options, Effort effort,
                          Operation operation, Timed& timed) {
  Crew crew{env, effort, operation, {}, {}, {}, {}};
  for (uint32_t i = 0; i < effort.clients; ++i)
    crew.clients.push_back(std::make_unique<nodes::Client>(env, options));
  crew.begin = env.now();
  co_await nursery(env, [&](Nursery& children) { return work_beside(children, crew); });
  crew.timed.seconds = crew.elapsed(env.now());
  if (effort.at_end) effort.at_end();
  for (const auto& client : crew.clients) crew.timed.client_copied_bytes += client->copied_bytes();
  timed = std::move(crew.timed);
  co_return crew.result;
}

}  // namespace

double Timed::mib() const { return static_cast<double>(bytes) / limits::kMiB; }

double Timed::quantile_us(double share) const {
  if (latencies_us.empty()) return 0;
  std::vector<double> sorted = latencies_us;
  const auto place =
      std::min(static_cast<size_t>(share * static_cast<double>(sorted.size())), sorted.size() - 1);
  std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(place));
  return sorted[place];
}

Result<Timed> run_clients(const LocalCluster& cluster, const Effort& effort,
                          const Operation& operation, int& signal) {
  ClusterTarget target;
  target.metadata = cluster.metadata_addresses();
  target.local = cluster;
  const nodes::ClientOptions options = target.client_options();
  Timed timed;
  TRY_VOID(run_with_client(
      options,
      [&](Env& env, nodes::Client&) { return employ(env, options, effort, operation, timed); },
      &signal));
  return timed;
}

}  // namespace dogfs::tool
