#include "sim/run/load.h"

#include <algorithm>
#include <utility>

#include "core/env/nursery.h"
#include "nodes/client/group_admin.h"
#include "sim/run/append_load.h"
#include "sim/run/cluster.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

namespace dogfs::sim {
namespace {

constexpr Duration kRetryPause = 200ms;
constexpr Duration kProbeEvery = 1s;
// A run waits for garbage to go only if that is soon.
constexpr Duration kGraceAwaitedMax = 30s;
// Reads of the healed cluster are tried so often.
constexpr int kTriesMax = 5;

Result<Content> read_by(const Operation& get) {
  if (get.outcome == Outcome::kDone) return get.read;
  return fail(get.code.value_or(Code::kUnknown), "the last of several tries");
}

}  // namespace

Load::Load(World& world, Cluster& cluster, const Scenario& scenario)
    : world_(world),
      cluster_(cluster),
      scenario_(scenario),
      checker_(&world.add_host("checker", {})) {
  uint32_t number = 0;
  for (const Workload& load : scenario.workload)
    for (uint32_t i = 0; i < load.clients; ++i)
      clients_.push_back({&load, ++number, cluster.add_client().name()});
  for (size_t i = 0; i < clients_.size(); ++i)
    cluster.clients()[i]->set_main([this, i](Env& env) { return client_main(env, i); });
  checker_->set_main([this](Env& env) { return checker_main(env); });
}

void Load::set_up() { checker_->boot(); }

void Load::start_clients() {
  for (size_t i = 0; i < clients_.size(); ++i) {
    running_.insert(clients_[i].host);
    if (!cluster_.clients()[i]->up()) cluster_.clients()[i]->boot();
  }
}

Task<> Load::client_main(Env& env, size_t index) {
  nodes::Client client(env, cluster_.client_options());
  co_await nursery(env, [&](Nursery& children) {
    children.spawn(client.run());
    return run_lanes(env, client, index);
  });
}

Task<> Load::run_lanes(Env& env, nodes::Client& client, size_t index) {
  co_await nursery(env, [&](Nursery& lanes) {
    for (uint32_t lane = 0; lane < clients_[index].workload->at_once; ++lane)
      lanes.spawn(run_lane(env, client, index, lane));
    return lanes.join();
  });
  running_.erase(clients_[index].host);
}

bool Load::load_is_over(const Workload& load) const {
  if (stopping_) return true;
  return world_.now() >= Instant(load.until) && record_.done >= scenario_.expect.operations_min;
}

Task<> Load::run_lane(Env& env, nodes::Client& shared, size_t index, uint32_t lane) {
  const Client& client = clients_[index];
  User user(world_, env, shared, record_);
  OperationSource source(*client.workload, client.number, env.random().fork("workload", lane));
  if (world_.now() < Instant(client.workload->from))
    co_await env.sleep(Instant(client.workload->from) - world_.now());
  while (!load_is_over(*client.workload)) {
    auto drawn = source.next();
    if (drawn.over_version)
      co_await user.replace(std::move(drawn.operation), std::move(drawn.bytes));
    else
      co_await user.perform(std::move(drawn.operation), std::move(drawn.bytes));
    co_await env.sleep(source.draw_pause());
  }
}

Task<> Load::checker_main(Env& env) {
  nodes::Client client(env, cluster_.client_options());
  User user(world_, env, client, record_);
  nodes::GroupAdmin admin(env, cluster_.metadata_addresses(), cluster_.client_options().cluster);
  std::vector<GroupOperator::Server> servers;
  for (size_t i = 0; i < cluster_.metadata().size(); ++i)
    servers.push_back({cluster_.metadata()[i]->name(), cluster_.metadata_addresses()[i]});
  GroupOperator person(env, admin, std::move(servers), operator_counts_, operator_acts_);
  co_await nursery(env, [&](Nursery& children) {
    children.spawn(client.run());
    children.spawn(admin.run());
    children.spawn(operate(env, person));
    return checker_loop(env, client, user);
  });
}

Task<> Load::checker_loop(Env& env, nodes::Client& client, User& user) {
  for (uint32_t i = 0; i < kTopDirectories; ++i) {
    Operation make;
    make.client = kCheckerNumber;
    make.act = Act::kMakeDirectory;
    make.path = top_directory(i) + "/s0";
    make.parents = true;
    co_await insist(env, user, std::move(make), {});
  }
  if (scenario_.cluster.known_content) co_await set_content_modes(env, client);
  if (scenario_.appending.clients > 0) {
    Operation make;
    make.client = kCheckerNumber;
    make.act = Act::kMakeDirectory;
    make.path = AppendLoad::kDirectory;
    co_await insist(env, user, std::move(make), {});
  }
  set_up_ = true;
  while (!verifying_) co_await probe(env, user);
  co_await try_everything(env, user);
  co_await read_everything(env, user);
  co_await walk_everything(env, user);
  // A server that stays away confirms no deletion.
  const bool all_confirm = std::ranges::none_of(
      cluster_.chunk(), [this](Host* host) { return cluster_.is_excused(*host); });
  if (all_confirm && scenario_.cluster.deletion_grace <= kGraceAwaitedMax) {
    co_await await_compaction(env);
    co_await await_no_garbage(env, client);
    quiet_ = true;
  }
  verified_ = true;
}

// The first two are those of a workload with a depth.
Task<> Load::set_content_modes(Env& env, nodes::Client& client) {
  using metadata::ContentMode;
  constexpr ContentMode kModes[] = {ContentMode::kDedup, ContentMode::kSha256, ContentMode::kDedup};
  for (size_t i = 0; i < std::size(kModes); ++i)
    while (!co_await client.set_layout(top_directory(i), {.content_mode = kModes[i]}, false))
      co_await env.sleep(kRetryPause);
}

Task<> Load::operate(Env& env, GroupOperator& person) {
  while (!set_up_) co_await env.sleep(kRetryPause);
  if (scenario_.operator_every > 0s)
    co_await person.work(scenario_.operator_every, &bringing_back_);
  while (!bringing_back_) co_await env.sleep(kRetryPause);
  std::vector<std::string> names;
  for (Host* host : cluster_.metadata())
    if (!cluster_.is_excused(*host) && !cluster_.is_given_up(*host)) names.push_back(host->name());
  if (scenario_.operator_every > 0s) co_await person.bring_back(std::move(names));
  brought_back_ = true;
}

// By turns a read and a change: each needs a leader, and the change a quorum's disks.
Task<> Load::probe(Env& env, User& user) {
  Operation operation;
  operation.client = kCheckerNumber;
  operation.act = ++probes_ % 2 == 0 ? Act::kStat : Act::kMakeDirectory;
  operation.path = top_directory(0) + "/probe";
  co_await user.perform(std::move(operation), {});
  for (Duration waited{}; waited < kProbeEvery && !verifying_; waited += kRetryPause)
    co_await env.sleep(kRetryPause);
}

// Repeats the operation, as a new one each time, until it is done. The run bounds the time.
Task<> Load::insist(Env& env, User& user, Operation operation, Buffer bytes) {
  for (bool doubtful = false;;) {
    const size_t number = co_await user.perform(operation, bytes);
    const Operation& told = record_.history.at(number);
    if (is_done(told, doubtful)) co_return;
    doubtful = doubtful || told.outcome == Outcome::kUnknown;
    co_await env.sleep(kRetryPause);
  }
}

Task<> Load::try_everything(Env& env, User& user) {
  const uint64_t number = env.random().next();
  const Buffer bytes = make_bytes(5000, number);
  const std::string file = "/d0/checker", renamed = "/d1/checker", directory = "/d0/checked",
                    copied = "/d0/copied";
  const auto ask = [](Act act, std::string path) {
    Operation operation;
    operation.client = kCheckerNumber;
    operation.act = act;
    operation.path = std::move(path);
    return operation;
  };
  Operation put = ask(Act::kPut, file);
  put.content = content_of(bytes.text());
  put.number = number;
  Operation put_again = put;
  put_again.path = renamed;
  Operation rename = ask(Act::kRename, file);
  rename.to = renamed;
  Operation copy = ask(Act::kCopy, file);
  copy.to = copied;
  Operation truncate = ask(Act::kTruncate, copied);
  truncate.cut_to = 70;
  Operation concatenate = ask(Act::kConcatenate, renamed);
  concatenate.sources = {copied};
  // Whatever quotas the load has left.
  co_await insist(env, user, ask(Act::kSetQuota, top_directory(kQuotaDirectory)), {});
  co_await insist(env, user, put, bytes);
  co_await insist(env, user, copy, {});
  co_await insist(env, user, ask(Act::kStat, file), {});
  co_await insist(env, user, ask(Act::kGet, file), {});
  co_await insist(env, user, rename, {});
  co_await insist(env, user, truncate, {});
  co_await insist(env, user, concatenate, {});
  co_await insist(env, user, ask(Act::kGet, renamed), {});
  co_await insist(env, user, ask(Act::kList, "/d1"), {});
  co_await insist(env, user, ask(Act::kMakeDirectory, directory), {});
  co_await try_quota(env, user, directory);
  Operation attributes = ask(Act::kSetAttributes, renamed);
  attributes.change.mode = 0640;
  co_await insist(env, user, attributes, {});
  co_await user.replace(put_again, bytes);
  co_await insist(env, user, ask(Act::kGet, renamed), {});
  Operation remove = ask(Act::kRemove, directory);
  remove.recursive = true;
  co_await insist(env, user, remove, {});
}

// A directory of which nothing may come in, until it may.
Task<> Load::try_quota(Env& env, User& user, std::string directory) {
  Operation quota;
  quota.client = kCheckerNumber;
  quota.act = Act::kSetQuota;
  quota.path = directory;
  Operation make = quota;
  make.act = Act::kMakeDirectory;
  quota.quota.entries = 0;
  co_await insist(env, user, quota, {});
  make.path = directory + "/refused";
  co_await user.perform(make, {});  // or the oracles will say so
  quota.quota = {};
  co_await insist(env, user, quota, {});
  make.path = directory + "/made";
  co_await insist(env, user, make, {});
  make.path = std::move(directory);
  make.act = Act::kUse;
  co_await insist(env, user, make, {});
}

// Whether it came to an end is for the oracle of space to say.
Task<> Load::await_compaction(Env& env) {
  const Instant deadline = env.now() + kCompactedWithin;
  while (env.now() < deadline && !compacted_()) co_await env.sleep(1s);
}

// Once nobody makes more of it, what was removed is gone from the chunk servers (P5).
Task<> Load::await_no_garbage(Env& env, nodes::Client& client) {
  for (;;) {
    const auto status = co_await client.cluster_status();
    const bool clean = status && status->counters.garbage_blocks == 0;
    if (clean && status->counters.former_generations == 0) co_return;
    co_await env.sleep(1s);
  }
}

// Asks until it is answered; a refusal for now may pass.
Task<size_t> Load::ask(Env& env, User& user, Act act, std::string path) {
  Operation operation;
  operation.client = kCheckerNumber;
  operation.act = act;
  operation.path = std::move(path);
  for (int tries = 1;; ++tries) {
    const size_t number = co_await user.perform(operation, {});
    const Operation& told = record_.history.at(number);
    const bool passing = told.outcome != Outcome::kDone && told.code != Code::kNotFound;
    if (!passing || tries == kTriesMax) co_return number;
    co_await env.sleep(kRetryPause);
  }
}

Task<> Load::read_everything(Env& env, User& user) {
  for (const auto& [path, content] : acknowledged_files(record_.history)) {
    const size_t number = co_await ask(env, user, Act::kGet, path);
    final_reads_.insert_or_assign(path, read_by(record_.history.at(number)));
  }
}

// What a refused listing hides is missing from final_tree_, and so demanded.
Task<> Load::walk_everything(Env& env, User& user) {
  std::vector<std::string> directories{""};
  while (!directories.empty()) {
    const std::string directory = std::move(directories.back());
    directories.pop_back();
    if (directory == AppendLoad::kDirectory) continue;  // for others to judge
    const std::string path = directory.empty() ? "/" : directory;
    const size_t listed = co_await ask(env, user, Act::kList, path);
    const std::vector<std::string> names = record_.history.at(listed).names;
    for (const std::string& name : names) {
      const std::string child = directory + "/" + name;
      co_await visit(env, user, child);
      const auto found = final_tree_.find(child);
      if (found != final_tree_.end() && found->second.is_directory) directories.push_back(child);
    }
  }
}

Task<> Load::visit(Env& env, User& user, std::string path) {
  const Operation found = record_.history.at(co_await ask(env, user, Act::kStat, path));
  if (found.outcome != Outcome::kDone) co_return;
  FoundEntry entry{.is_directory = found.is_directory, .length = found.length, .content = {}};
  if (!entry.is_directory) {
    const size_t number = co_await ask(env, user, Act::kGet, path);
    entry.content = read_by(record_.history.at(number));
  }
  final_tree_.insert_or_assign(std::move(path), std::move(entry));
}

}  // namespace dogfs::sim
