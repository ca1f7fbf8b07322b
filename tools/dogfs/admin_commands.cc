#include "tools/dogfs/admin_commands.h"

#include <algorithm>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/env/nursery.h"
#include "nodes/client/group_admin.h"
#include "tools/dogfs/client_session.h"
#include "tools/dogfs/cluster_target.h"
#include "tools/dogfs/output.h"
#include "tools/dogfs/policy_command.h"
#include "tools/dogfs/recover_command.h"

namespace dogfs::tool {
namespace {

using nlohmann::json;
using nodes::GroupAdmin;
using nodes::GroupMember;
using nodes::GroupView;

constexpr Duration kWaitLimit = std::chrono::minutes(5);
constexpr Duration kLookEvery = std::chrono::milliseconds(200);

struct Request {
  std::string cluster;
  std::string member;
  std::string address;
  bool dry_run = false;
  bool no_wait = false;
};

const char* role_of(const GroupView& view, const GroupMember& member) {
  return member.node == view.leader ? "leader" : "follower";
}

// Entries that the member does not have yet.
uint64_t lag_of(const GroupView& view, const GroupMember& member) {
  return view.last.value - std::min(member.match, view.last).value;
}

json as_json(const GroupView& view, const GroupMember& member) {
  json row{{"id", member.node.value},
           {"name", member.name},
           {"store", fmt::format("{:016x}", member.store.value)},
           {"address", member.address},
           {"role", role_of(view, member)},
           {"part", member.part},
           {"heard", member.heard},
           {"match", member.match.value},
           {"lag", lag_of(view, member)},
           {"progress", member.progress},
           {"disk_full", member.short_of_space}};
  if (member.snapshot_bytes > 0)
    row["snapshot"] = {{"sent", member.snapshot_sent}, {"bytes", member.snapshot_bytes}};
  return row;
}

void show(Output& output, const GroupView& view) {
  json members = json::array();
  for (const auto& member : view.members) members.push_back(as_json(view, member));
  output.object({{"leader", view.leader.value},
                 {"term", view.term.value},
                 {"commit", view.commit.value},
                 {"last", view.last.value},
                 {"snapshot", view.snapshot.value},
                 {"changing", !view.settled()},
                 {"members", members}});
  output.line(fmt::format("term {}, log to {}, committed to {}, snapshot at {}{}", view.term,
                          view.last, view.commit, view.snapshot,
                          view.settled() ? "" : "; a change of the members is under way"));
  output.line(fmt::format("{:<10} {:>4}  {:<16}  {:<21} {:<8} {:<8} {:>10} {:>8}  {}", "NAME", "ID",
                          "STORE", "ADDRESS", "ROLE", "PART", "MATCH", "LAG", "STATE"));
  for (const auto& member : view.members) {
    std::string state = member.node == view.leader ? "" : member.progress;
    if (member.snapshot_bytes > 0)
      state += fmt::format(" {}%", 100 * member.snapshot_sent / member.snapshot_bytes);
    if (!member.heard) state += state.empty() ? "silent" : ", silent";
    if (member.short_of_space) state += state.empty() ? "disk full" : ", disk full";
    output.line(fmt::format("{:<10} {:>4}  {:016x}  {:<21} {:<8} {:<8} {:>10} {:>8}  {}",
                            member.name, member.node, member.store.value, member.address,
                            role_of(view, member), member.part, member.match, lag_of(view, member),
                            state));
  }
}

void show_plan(Output& output, const std::vector<std::string>& plan, bool dry_run) {
  output.object({{"plan", plan}, {"dry_run", dry_run}});
  for (const auto& line : plan) output.line(line);
  if (dry_run) output.line("nothing was done: --dry-run");
}

Task<Result<void>> group(Env&, GroupAdmin& admin, Output& output, Request) {
  CO_TRY(view, co_await admin.view());
  show(output, view);
  co_return Result<void>();
}

// "37 of 1200 in pass 3, 52 logs, 1 doubted".
std::string scrub_text(const proto::DiskReport& disk) {
  return fmt::format("{} of {} in pass {}{}{}", std::min(disk.scrubbed, disk.shards), disk.shards,
                     disk.scrub_passes + 1,
                     disk.logs_scrubbed == 0 ? "" : fmt::format(", {} logs", disk.logs_scrubbed),
                     disk.doubted == 0 ? "" : fmt::format(", {} doubted", disk.doubted));
}

// Of all chunk servers, as each said last.
Task<Result<void>> disks(Env&, GroupAdmin& admin, Output& output, Request) {
  CO_TRY(view, co_await admin.view());
  output.line(fmt::format("{:<12} {:<32} {:<7} {:>10} {:>10} {:>9}  {}", "SERVER", "DIRECTORY",
                          "STATE", "SIZE MiB", "USED MiB", "SHARDS", "SCRUB"));
  for (const auto& server : view.disks)
    for (const auto& disk : server.disks) {
      const bool failed = !disk.failure.empty();
      output.object({{"server", server.name},
                     {"directory", disk.name},
                     {"failed", failed},
                     {"failure", disk.failure},
                     {"capacity_bytes", disk.capacity_bytes},
                     {"used_bytes", disk.used_bytes},
                     {"shards", disk.shards},
                     {"scrub_passes", disk.scrub_passes},
                     {"scrubbed", disk.scrubbed},
                     {"logs_scrubbed", disk.logs_scrubbed},
                     {"doubted", disk.doubted}});
      output.line(fmt::format("{:<12} {:<32} {:<7} {:>10} {:>10} {:>9}  {}", server.name, disk.name,
                              failed ? "FAILED" : "works", disk.capacity_bytes / limits::kMiB,
                              disk.used_bytes / limits::kMiB, disk.shards,
                              failed ? disk.failure : scrub_text(disk)));
    }
  co_return Result<void>();
}

// For this change alone: another may be under way, for as long as a newcomer is silent.
Task<Result<void>> wait_until_done(Env& env, GroupAdmin& admin, Output& output,
                                   nodes::GroupChange change) {
  const Instant end = env.now() + kWaitLimit;
  while (env.now() < end) {
    const auto view = co_await admin.view();
    if (view && change.done_in(*view)) {
      output.object({{"done", true}});
      output.line("done");
      co_return Result<void>();
    }
    co_await env.sleep(kLookEvery);
  }
  co_return fail(Code::kUnavailable,
                 "the change goes on, but was not done within {} s; see: dogfs admin group",
                 to_ms(kWaitLimit) / 1000);
}

Task<Result<void>> change(Env& env, GroupAdmin& admin, Output& output, Request request) {
  GroupAdmin::Change change{.add = {}, .remove = request.member, .dry_run = request.dry_run};
  if (!request.address.empty()) {
    CO_TRY(address, Address::parse(request.address));
    change.add = address;
  }
  CO_TRY(meant, co_await admin.meant(change));
  CO_TRY(plan, co_await admin.change(std::move(change)));
  show_plan(output, plan, request.dry_run);
  if (request.dry_run || request.no_wait) co_return Result<void>();
  co_return co_await wait_until_done(env, admin, output, std::move(meant));
}

Task<Result<void>> transfer(Env&, GroupAdmin& admin, Output& output, Request request) {
  CO_TRY(plan, co_await admin.transfer(request.member, request.dry_run));
  show_plan(output, plan, request.dry_run);
  if (request.dry_run) co_return Result<void>();
  output.object({{"done", true}});
  output.line("done");
  co_return Result<void>();
}

Task<Result<void>> upgrade(Env&, GroupAdmin& admin, Output& output, Request request) {
  CO_TRY(plan, co_await admin.upgrade(request.dry_run));
  show_plan(output, plan, request.dry_run);
  co_return Result<void>();
}

using Perform = Task<Result<void>> (*)(Env&, GroupAdmin&, Output&, Request);

Task<> run_beside(Nursery& children, GroupAdmin& admin, Task<Result<void>> body,
                  Result<void>& result) {
  children.spawn(admin.run());
  result = co_await std::move(body);
}

Task<Result<void>> run_admin(Env& env, nodes::ClientOptions options, Output& output,
                             Request request, Perform perform) {
  GroupAdmin admin(env, options.metadata, options.cluster);
  Result<void> result;
  co_await nursery(env, [&](Nursery& children) {
    return run_beside(children, admin, perform(env, admin, output, request), result);
  });
  co_return result;
}

void run(Output& output, const Request& request, Perform perform) {
  const auto target = find_cluster(request.cluster);
  if (!target) return output.error(target.error());
  const nodes::ClientOptions options = target->client_options();
  run_command(output, request.cluster, [&](Env& env, nodes::Client&) {
    return run_admin(env, options, output, request, perform);
  });
}

struct Command {
  CLI::App* app;
  std::shared_ptr<Request> request;
};

Command add(CLI::App& admin, Output& output, const std::string& name, const std::string& what,
            Perform perform) {
  Command command{admin.add_subcommand(name, what), std::make_shared<Request>()};
  output.add_json_option(*command.app);
  add_cluster_option(*command.app, command.request->cluster);
  command.app->callback(
      [&output, request = command.request, perform] { run(output, *request, perform); });
  return command;
}

std::string must_say_something(const std::string& text) {
  return text.empty() ? "must not be empty" : "";
}

void add_member(const Command& command, const std::string& what) {
  command.app->add_option("MEMBER", command.request->member, what)
      ->required()
      ->check(must_say_something);
}

void add_address(const Command& command) {
  command.app
      ->add_option("ADDRESS", command.request->address,
                   "host:port of a metadata server that runs and is no member")
      ->required()
      ->check(must_say_something);
}

void add_dry_run(const Command& command, bool waits) {
  command.app->add_flag("--dry-run", command.request->dry_run,
                        "Show what would be done, and do nothing");
  if (waits)
    command.app->add_flag("--no-wait", command.request->no_wait,
                          "Return when the change has begun");
}

}  // namespace

void add_admin_commands(CLI::App& admin, Output& output) {
  add(admin, output, "group", "Show the metadata servers: roles, log, lag", group);

  add(admin, output, "disks", "Show the disks of the chunk servers: state, space, shards", disks);

  const Command enter = add(admin, output, "add", "Add a metadata server to the group", change);
  add_address(enter);
  add_dry_run(enter, true);
  const Command leave = add(admin, output, "remove", "Remove a metadata server", change);
  add_member(leave, "Name or id: meta-3, 3");
  add_dry_run(leave, true);
  const Command swap =
      add(admin, output, "replace", "Put a metadata server in the place of another", change);
  add_member(swap, "Name or id of the one that leaves");
  add_address(swap);
  add_dry_run(swap, true);
  const Command lead =
      add(admin, output, "transfer", "Hand leadership to another metadata server", transfer);
  add_member(lead, "Name or id of the one that is to lead");
  add_dry_run(lead, false);
  const Command raise = add(admin, output, "upgrade",
                            "Allow what came with this build, when all servers run it", upgrade);
  add_dry_run(raise, false);
  add_policy_command(admin, output);
  add_recover_command(admin, output);
}

}  // namespace dogfs::tool
