#include "tools/dogfs/bench/bench_cluster.h"

#include <algorithm>

#include "core/env/env.h"
#include "nodes/client/client.h"
#include "tools/dogfs/cluster_control.h"
#include "tools/dogfs/cluster_target.h"

namespace dogfs::tool {
namespace {

Task<Result<void>> find_leader(nodes::Client& client, Address& leader) {
  for (const auto& server : co_await client.metadata_status())
    if (server.status && server.status->role == "leader") leader = server.address;
  if (leader.host.empty()) co_return fail(Code::kUnavailable, "no metadata server leads");
  co_return Result<void>();
}

Task<Result<void>> make_all(nodes::Client& client) {
  CO_TRY_VOID(co_await client.make_directory(std::string(kBenchDirectory), true, std::nullopt));
  CO_TRY_VOID(co_await client.make_directory(std::string(kListedDirectory), true, std::nullopt));
  co_return Result<void>();
}

}  // namespace

uint32_t connections_for(uint32_t in_flight) {
  return std::max(in_flight < 8 ? 1U : 2U, (in_flight + 255) / 256);
}

Result<std::unique_ptr<BenchCluster>> BenchCluster::start(const std::filesystem::path& directory,
                                                          int& signal) {
  TRY(cluster, LocalCluster::create(directory, {.metadata = 3, .chunk = 1, .policy = "rep-1"}));
  auto bench = std::unique_ptr<BenchCluster>(new BenchCluster(std::move(cluster)));
  TRY_VOID(bring_up(bench->cluster_, [](const LocalNode&, const std::string&) {}));
  TRY_VOID(
      bench->with_client([](Env&, nodes::Client& client) { return make_all(client); }, signal));
  TRY(load, bench->load(MetadataWork::kMakeListed, 1, signal));
  TRY_VOID(load.run(1, {.operations = kListedFiles}));
  return bench;
}

Result<void> BenchCluster::with_client(const ClientBody& body, int& signal) const {
  ClusterTarget target;
  target.metadata = cluster_.metadata_addresses();
  target.local = cluster_;
  // Signals stay held: one that came before the client could take it would end the program at once.
  auto done = run_with_client(target.client_options(), body, &signal);
  return done;
}

Result<LocalNode> BenchCluster::leader(int& signal) const {
  Address leader;
  TRY_VOID(with_client([&](Env&, nodes::Client& client) { return find_leader(client, leader); },
                       signal));
  for (const auto& node : cluster_.nodes())
    if (node.address == leader) return node;
  return fail(Code::kUnavailable, "no metadata server leads");
}

Result<Load> BenchCluster::load(MetadataWork work, uint32_t in_flight, int& signal) {
  TRY(node, leader(signal));
  const uint32_t connections = connections_for(in_flight);
  std::vector<std::unique_ptr<Dialect>> dialects;
  for (uint32_t i = 0; i < connections; ++i)
    dialects.push_back(std::make_unique<DogfsDialect>(
        make_script(work, fmt::format("{}", ++scripts_)), in_flight / connections + 1));
  return Load::connect(node.address, std::move(dialects));
}

}  // namespace dogfs::tool
