#include "sim/run/run.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/mutation.h"
#include "sim/check/appends.h"
#include "sim/check/durability.h"
#include "sim/check/final_tree.h"
#include "sim/check/history_search.h"
#include "sim/check/linearizability.h"
#include "sim/run/append_load.h"
#include "sim/run/census_taker.h"
#include "sim/run/cluster.h"
#include "sim/run/injector.h"
#include "sim/run/load.h"
#include "sim/run/raft_watch.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/world.h"

namespace dogfs::sim {
namespace {

constexpr Duration kFormsWithin = 30s;     // from power on to the first answers
constexpr Duration kLoadEndsWithin = 60s;  // an operation's own limits are below that
constexpr Duration kVerifiedWithin = 240s;
// After a disturbance and between answers, while a majority is well: an election or two, a client's
// attempt at a server that is silent, its pause, and the second between two probes.
constexpr Duration kAnsweredWithin = 8s;
constexpr Duration kLookAtInvariants = 5s;
// A run waits for packs to be compacted only if that begins soon.
constexpr Duration kCompactionAwaitedMax = 5s;
constexpr Duration kLook = 50ms;  // how often a phase looks whether it is over

class Run {
 public:
  Run(const Scenario& scenario, uint64_t seed, const RunOptions& options)
      : scenario_(scenario),
        options_(options),
        world_(seed),
        watch_(world_, violations_),
        cluster_(world_, scenario.cluster, watch_),
        census_(cluster_, watch_, violations_),
        load_(world_, cluster_, scenario_),
        appends_(world_, cluster_, scenario_.appending),
        injector_(world_, cluster_, watch_, scenario_) {
    load_.on_done([this](const Operation& operation) { census_.acknowledged(operation); });
    appends_.on_done([this] { census_.follow(); });
    load_.on_operator([this] { injector_.note_by_hand(); });
    if (compacts_soon()) load_.on_compaction([this] { return census_.compacted(); });
    if (options.trace) world_.trace().set_sink(options.trace_level, options.trace);
    NetworkOptions network;
    network.latency_max = scenario.cluster.latency_max;
    network.timeout = scenario.cluster.connection_timeout;
    world_.fabric().set_options(network);
  }

  RunResult run(uint64_t seed) {
    perform();
    judge();
    RunResult result;
    result.seed = seed;
    result.trace_hash = world_.trace_hash();
    result.events = world_.events();
    result.simulated = world_.now().time_since_epoch();
    result.operations = load_.record().done;
    result.violations = violations_.kept();
    count(result.tally);
    result.last_lines.assign(world_.trace().kept().begin(), world_.trace().kept().end());
    // Frames refer to the load and the cluster, which die before the world.
    for (const auto& host : world_.hosts()) host->destroy();
    return result;
  }

 private:
  // True when it holds within the time; otherwise the run has hung.
  template <class Condition>
  bool await(Duration limit, std::string_view what, Condition condition) {
    const Instant deadline = world_.now() + limit;
    while (!condition()) {
      if (world_.now() >= deadline || !advance_to(world_.now() + kLook)) {
        violations_.add(Oracle::kLiveness, "{} not within {} s", what, to_ms(limit) / 1000);
        return false;
      }
    }
    return true;
  }
  // False when the bound on events is reached: something spins.
  bool advance_to(Instant until) {
    while (world_.now() < until && world_.events() < options_.events_max)
      if (!world_.step()) world_.run_until(until);
    return world_.events() < options_.events_max;
  }

  void perform() {
    cluster_.start();
    load_.set_up();
    if (!await(kFormsWithin, "the first directories were made", [&] { return load_.is_set_up(); }))
      return;
    load_started_ = world_.now();
    load_.start_clients();
    appends_.start();
    injector_.start();
    look_at_invariants();
    if (!advance_to(Instant(scenario_.faults_until))) {
      violations_.add(Oracle::kLiveness, "{} events and no end", world_.events());
      return;
    }
    injector_.heal();
    load_.bring_back();
    settle();
  }

  // As far as some replica has got, whatever goes on.
  void look_at_invariants() {
    census_.look(world_.now());
    world_.after(kLookAtInvariants, [this] { look_at_invariants(); });
  }

  void settle() {
    const auto enough = [&] { return load_.record().done >= scenario_.expect.operations_min; };
    const Duration rest = scenario_.until - world_.now().time_since_epoch();
    if (!advance_to(Instant(scenario_.until)) ||
        !await(std::max(rest, 2 * scenario_.expect.heals_within), "enough operations were done",
               enough))
      return;
    load_.stop();
    appends_.stop();
    if (!await(kLoadEndsWithin, "the last operations ended",
               [&] { return load_.clients_ended() && appends_.ended(); }))
      return;
    if (!await(scenario_.expect.heals_within, "all servers are members, run and have caught up",
               [&] { return load_.brought_back() && cluster_.caught_up(); }))
      return;
    appends_.verify();
    if (!await(kVerifiedWithin, "every file was appended to and read",
               [&] { return appends_.verified(); }))
      return;
    load_.verify();
    await(kVerifiedWithin, "every operation works, every file was read, no garbage is left",
          [&] { return load_.verified(); });
  }

  void judge() {
    const History& history = load_.record().history;
    const ShadowReplica& shadow = census_.finish();
    Violations unheard;
    Violations& heard = scenario_.expect.linearizable ? violations_ : unheard;
    const LoggedTree logged = check_linearizability(history, shadow.commands(), heard);
    if (scenario_.expect.linearizable) {
      check_final(logged.tree);
      searched_ = search_history(history, positions_in_log(history, shadow.commands()),
                                 {.inline_bytes = scenario_.cluster.inline_bytes}, violations_);
    }
    check_bytes(history, logged.made, violations_);
    if (scenario_.expect.durable && appends_.verified())
      check_appends(appends_.history(), appends_.last_reads(), violations_);
    if (scenario_.expect.durable && scenario_.within_budget) check_damage(history, violations_);
    if (scenario_.expect.durable && load_.verified())
      check_durability(history, load_.final_reads(), violations_);
    judge_expiry(shadow);
    // The checker has waited so long.
    if (compacts_soon() && load_.quiet())
      census_.judge_compaction(world_.now(), Load::kCompactedWithin);
    check_availability_under_load(history);
    check_leader_stays();
    check_write_gap(history);
    check_room(history);
    if (const uint64_t won = watch_.safety().elections();
        won > scenario_.expect.elections_max.value_or(UINT64_MAX))
      violations_.add(Oracle::kLiveness, "{} elections were won, {} expected at most", won,
                      *scenario_.expect.elections_max);
    for (const std::string& name : cluster_.unexplained_ends())
      violations_.add(Oracle::kCrash, "{} ended, and its disk gave it no reason", name);
    if (MUTANT("CANARY")) violations_.add(Oracle::kCanary, "the canary sings");
  }

  // The leader refuses for want of space only while some disk is full. A put may also be refused by
  // chunk servers.
  void check_room(const History& history) {
    for (const Operation& operation : history.operations()) {
      if (operation.code != Code::kNoSpace || operation.position || operation.act == Act::kPut)
        continue;
      if (!injector_.metadata_disk_was_full(operation.began, operation.ended))
        violations_.add(Oracle::kLiveness, "{}: no metadata server's disk was full",
                        describe(operation));
    }
  }

  bool compacts_soon() const { return scenario_.cluster.compact_after <= kCompactionAwaitedMax; }

  void judge_expiry(const ShadowReplica& shadow) {
    const ExpiryRules rules{
        .session_silence = scenario_.cluster.session_silence,
        .lease_silence = scenario_.cluster.lease_silence,
        .drift_ppm_max = static_cast<uint32_t>(scenario_.cluster.drift_ppm_max)};
    watch_.expiry().judge(watch_.safety().ledger(), shadow.commands(), rules, violations_);
    if (load_.verified())
      watch_.expiry().judge_overdue(shadow.state(), rules, world_.now(), violations_);
  }

  Instant load_ends() const {
    Instant ends;
    for (const Workload& workload : scenario_.workload)
      ends = std::max(ends, Instant(workload.until));
    return ends;
  }

  void check_availability_under_load(const History& history) {
    if (!load_.is_set_up()) return;
    availability_judged_ = check_availability(injector_.disturbances(), history,
                                              {.client = Load::kCheckerNumber,
                                               .from = load_started_,
                                               .until = std::min(load_ends(), world_.now()),
                                               .answered_within = kAnsweredWithin},
                                              violations_);
  }

  void check_leader_stays() {
    if (!load_.is_set_up()) return;
    stability_judged_ = check_stability(injector_.disturbances(), watch_.expiry().elections(),
                                        {.from = load_started_,
                                         .until = std::min(load_ends(), world_.now()),
                                         .settled_within = kAnsweredWithin},
                                        violations_);
  }

  // What a reader must find now, compared with what the checker found.
  void check_final(const TreeModel& tree) {
    if (!load_.verified()) return;
    const Demand demand = scenario_.expect.durable ? Demand::kReadable : Demand::kNoLies;
    final_files_checked_ = check_final_tree(tree, load_.final_tree(), demand, violations_);
  }

  void check_write_gap(const History& history) {
    if (!scenario_.expect.write_gap_max) return;
    const Instant load_ends = this->load_ends();  // later: only the checks of the healed cluster
    std::vector<Instant> ends{load_ends};
    for (const Operation& operation : history.operations())
      if (changes(operation.act) && operation.outcome == Outcome::kDone &&
          operation.ended <= load_ends)
        ends.push_back(operation.ended);
    std::ranges::sort(ends);
    for (size_t i = 1; i < ends.size(); ++i)
      if (const Duration gap = ends[i] - ends[i - 1]; gap > *scenario_.expect.write_gap_max)
        violations_.add(Oracle::kLiveness, "no change was done for {} ms, until {} ms", to_ms(gap),
                        to_ms(ends[i].time_since_epoch()));
  }

  void count_rarer_acts(Tally& tally) const {
    for (const Operation& operation : load_.record().history.operations()) {
      const bool done = operation.outcome == Outcome::kDone;
      tally["cuts"] += done && operation.act == Act::kTruncate ? 1 : 0;
      tally["joins"] += done && operation.act == Act::kConcatenate ? 1 : 0;
      tally["quotas_set"] += done && operation.act == Act::kSetQuota ? 1 : 0;
      const bool full = operation.code == Code::kNoSpace;
      tally["full_refusals"] += full && operation.position ? 1 : 0;  // by a quota, in the log
      tally["full_disk_refusals"] += full && !operation.position ? 1 : 0;
      tally["attributes_set"] += done && operation.act == Act::kSetAttributes ? 1 : 0;
      tally["labels_set"] += done && !operation.change.labels.empty() ? 1 : 0;
      tally["puts_over_version"] += done && operation.if_version ? 1 : 0;
      const bool other = operation.code == Code::kPrecondition;
      tally["other_version_refusals"] += operation.if_version && other ? 1 : 0;
    }
  }

  void count(Tally& tally) const {
    const Record& record = load_.record();
    injector_.count(tally);
    census_.count(tally);
    count_rarer_acts(tally);
    tally["operations.done"] = record.done;
    tally["operations.refused"] = record.history.count(Outcome::kRefused);
    tally["operations.unknown"] = record.history.count(Outcome::kUnknown);
    tally["elections"] = watch_.safety().elections();
    tally["recoveries"] = watch_.recoveries();
    tally["snapshots_restored"] = watch_.snapshots_restored();
    tally["snapshots_received"] = watch_.snapshots_received();
    tally["servers_ended"] = cluster_.ends();
    tally["log_entries"] = watch_.committed().value;
    tally["gets_rebuilt"] = record.gets_rebuilt;
    tally["bytes_rebuilt"] = record.rebuilt_bytes;
    tally["final_files_checked"] = final_files_checked_;
    tally["search_operations"] = searched_.operations;
    tally["search_parts"] = searched_.parts;
    tally["search_steps"] = searched_.steps;
    tally["search_undecided"] = searched_.undecided;
    tally["restarts_judged"] = watch_.persistence().restarts_judged();
    tally["transfers"] = load_.operator_counts().transfers;
    tally["members_added"] = load_.operator_counts().additions;
    tally["members_removed"] = load_.operator_counts().removals;
    tally["members_replaced"] = load_.operator_counts().replacements;
    tally["operator_refused"] = load_.operator_counts().refused;
    tally["operator_unknown"] = load_.operator_counts().unknown;
    tally["membership_changes"] = watch_.membership().changes();
    tally["sessions_expired"] = watch_.expiry().sessions_ended();
    tally["leases_expired"] = watch_.expiry().leases_ended();
    tally["stability_judged_s"] = static_cast<uint64_t>(to_ms(stability_judged_) / 1000);
    tally["availability_judged_s"] = static_cast<uint64_t>(to_ms(availability_judged_) / 1000);
    tally["blocks_below_width"] = record.blocks_below_width;
    tally["appends"] = appends_.history().done();
    tally["append_reads"] = appends_.history().reads.size();
    for (const AppendedOperation& append : appends_.history().appends)
      tally["appends_unknown"] += append.outcome == Outcome::kUnknown ? 1 : 0;
  }

  const Scenario& scenario_;
  const RunOptions& options_;
  Violations violations_;
  World world_;
  RaftWatch watch_;
  Cluster cluster_;
  CensusTaker census_;
  Load load_;
  AppendLoad appends_;
  Injector injector_;
  uint64_t final_files_checked_ = 0;
  SearchCounts searched_;
  Instant load_started_;
  Duration availability_judged_{};
  Duration stability_judged_{};
};

}  // namespace

RunResult run_scenario(const Scenario& scenario, uint64_t seed, const RunOptions& options) {
  return Run(scenario, seed, options).run(seed);
}

}  // namespace dogfs::sim
