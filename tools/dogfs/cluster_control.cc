#include "tools/dogfs/cluster_control.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include "core/env/env.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/cluster_view.h"
#include "tools/dogfs/directory_lock.h"
#include "tools/dogfs/port.h"

namespace dogfs::tool {
namespace {

constexpr Duration kListenLimit = 20s;
constexpr Duration kWholeLimit = 40s;
constexpr Duration kJoinLimit = 20s;
constexpr Duration kStopLimit = 10s;
constexpr Duration kVacateLimit = 2s;
constexpr Duration kLook = 20ms;

std::unexpected<Error> ended(const LocalCluster& cluster, const LocalNode& node) {
  return fail(Code::kIo, "{} ended; the end of {}:\n{}", node.name,
              (cluster.directory() / node.name / "server.log").string(),
              cluster.process(node).log_tail());
}

// A server that was killed a moment ago may still be about to leave its port.
Result<void> wait_until_vacated(const LocalNode& node) {
  for (Duration waited{}; !port_is_free(node.address.port); waited += kLook) {
    if (waited >= kVacateLimit)
      return fail(Code::kExists, "{} cannot start: another process listens on its address {}",
                  node.name, node.address.to_string());
    std::this_thread::sleep_for(kLook);
  }
  return {};
}

Result<void> start_process(LocalCluster& cluster, const LocalNode& node) {
  if (!cluster.process(node).running()) TRY_VOID(wait_until_vacated(node));
  return cluster.start(node);
}

Result<void> wait_until_listening(const LocalCluster& cluster, const LocalNode& node) {
  for (Duration waited{}; waited < kListenLimit; waited += kLook) {
    if (!cluster.process(node).running()) return ended(cluster, node);
    if (port_answers(node.address.port)) return {};
    std::this_thread::sleep_for(kLook);
  }
  return fail(Code::kDeadline, "{} does not listen on {} after {} ms; see {}", node.name,
              node.address.to_string(), to_ms(kListenLimit),
              (cluster.directory() / node.name / "server.log").string());
}

Task<Result<void>> wait_until_settled(Env& env, nodes::Client& client, LocalCluster cluster,
                                      Report report) {
  const Instant end = env.now() + kWholeLimit;
  const Instant joined = env.now() + kJoinLimit;
  for (;;) {
    const ClusterView view = co_await observe(env, client, cluster);
    if (view.whole()) co_return Result<void>();
    // Who lost its directory joins by itself; who was removed from the group does not.
    if (view.settled() && env.now() >= joined) {
      for (const auto& node : view.nodes)
        if (node.state() == "blank") report(node.node, "has no vote: dogfs admin add");
      co_return Result<void>();
    }
    for (const auto& node : view.nodes)
      if (!node.pid) co_return ended(cluster, node.node);
    if (env.now() >= end) {
      const std::string missing = view.missing();
      co_return fail(
          Code::kDeadline, "the cluster is not whole after {} s: {}; see {}/*/server.log",
          kWholeLimit / 1s, missing.empty() ? "no leader" : missing, cluster.directory().string());
    }
    co_await env.sleep(100ms);
  }
}

}  // namespace

Result<void> bring_up(LocalCluster& cluster, const Report& report) {
  TRY(lock, DirectoryLock::take(cluster.directory()));
  for (const auto& node : cluster.nodes()) {
    if (const auto pid = cluster.process(node).running()) {
      report(node, fmt::format("runs already, process {}", *pid));
      continue;
    }
    TRY_VOID(start_process(cluster, node));
    report(node, fmt::format("started on {}", node.address.to_string()));
  }
  for (const auto& node : cluster.nodes()) TRY_VOID(wait_until_listening(cluster, node));
  ClusterTarget target;
  target.metadata = cluster.metadata_addresses();
  target.local = cluster;
  int signal = 0;
  TRY_VOID(run_with_client(
      target.client_options(),
      [&](Env& env, nodes::Client& client) {
        return wait_until_settled(env, client, cluster, report);
      },
      &signal));
  if (signal != 0) return fail(Code::kUnavailable, "interrupted; the servers stay up");
  return {};
}

Result<void> start_server(LocalCluster& cluster, const LocalNode& node) {
  TRY(lock, DirectoryLock::take(cluster.directory()));
  TRY_VOID(start_process(cluster, node));
  return wait_until_listening(cluster, node);
}

Result<void> kill_server(const LocalCluster& cluster, const LocalNode& node) {
  ServerProcess process = cluster.process(node);
  if (!process.running()) return fail(Code::kPrecondition, "{} does not run", node.name);
  TRY_VOID(process.signal(SIGKILL));
  return process.wait_until_gone(kStopLimit);
}

Result<void> bring_down(const LocalCluster& cluster, const Report& report) {
  TRY(lock, DirectoryLock::take(cluster.directory()));
  std::vector<LocalNode> running;
  for (const auto& node : cluster.nodes())
    if (cluster.process(node).signal(SIGTERM)) running.push_back(node);
  const auto end = std::chrono::steady_clock::now() + kStopLimit;
  for (const auto& node : running) {
    ServerProcess process = cluster.process(node);
    const Duration left = end - std::chrono::steady_clock::now();
    const bool in_order = process.wait_until_gone(std::max(left, Duration(0))).has_value();
    if (!in_order) {
      // It may be gone by now; whether it is, the wait below tells.
      (void)process.signal(SIGKILL);
      TRY_VOID(process.wait_until_gone(kStopLimit));
    }
    report(node, in_order ? "stopped" : "killed: it did not stop when asked");
  }
  return {};
}

}  // namespace dogfs::tool
