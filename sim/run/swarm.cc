#include "sim/run/swarm.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/random.h"

namespace dogfs::sim {
namespace {

constexpr Duration kFaultsFrom = 3s;  // the cluster has formed and holds some files
constexpr Duration kFaultsUntil = 43s;

Duration draw_duration(Random& random, Duration low, Duration high) {
  return Duration(static_cast<int64_t>(
      random.between(static_cast<uint64_t>(low.count()), static_cast<uint64_t>(high.count()))));
}

ClusterShape draw_cluster(Random random) {
  ClusterShape shape;
  if (random.chance(1, 4)) shape.metadata = random.chance(1, 3) ? 1 : 5;
  const auto layout = random.below(8);
  if (layout == 0) {
    shape.policy = "rep-3";
    shape.chunk = 4;
  } else if (layout == 1) {
    shape.policy = "rs-2-2";
    shape.chunk = 5;
  } else if (layout == 2) {
    shape.chunk = 8;
  }
  shape.cell_bytes = uint32_t{4096} << random.below(4);
  // Inline files need no chunk server, so in most runs few or none are.
  constexpr uint32_t kInlineBytes[] = {0, 0, 64, 512, 4096};
  shape.inline_bytes = kInlineBytes[random.below(std::size(kInlineBytes))];
  if (random.chance(1, 2)) {
    shape.snapshot_after_bytes = uint64_t{1024} << random.below(7);
    shape.log_tail = random.below(16);  // whoever is away for long is sent a snapshot
  }
  if (random.chance(1, 4)) shape.session_silence = draw_duration(random, 4s, 20s);
  if (random.chance(1, 2)) shape.lease_silence = draw_duration(random, 3s, 15s);
  if (random.chance(1, 2)) shape.removal_step = uint32_t{1} << random.below(4);
  if (random.chance(1, 3)) shape.deletion_grace = draw_duration(random, 5s, 20s);
  if (random.chance(1, 3)) shape.operation_limit = draw_duration(random, 500ms, 3s);
  if (random.chance(1, 2)) shape.connection_timeout = draw_duration(random, 1s, 8s);
  if (random.chance(1, 5)) shape.latency_max = draw_duration(random, 2ms, 20ms);
  if (random.chance(1, 3)) shape.drift_ppm_max = static_cast<int32_t>(random.between(50, 5000));
  shape.buggify = random.chance(1, 2);
  // One clock may be fast and the other slow.
  constexpr uint64_t kPpmPerPercent = 10'000;
  const uint64_t apart = 2 * static_cast<uint64_t>(shape.drift_ppm_max) / kPpmPerPercent + 2;
  if (random.chance(1, 3)) shape.lease_drift_percent = apart + random.below(20);
  return shape;
}

Mix draw_mix(Random& random) {
  Mix mix{.put = static_cast<uint32_t>(random.between(2, 6)),
          .get = static_cast<uint32_t>(random.between(2, 8))};
  const auto maybe = [&random] {
    return random.chance(2, 3) ? static_cast<uint32_t>(random.between(1, 4)) : 0;
  };
  mix.stat = maybe();
  mix.list = maybe();
  mix.mkdir = maybe();
  mix.rename = maybe();
  mix.remove = maybe();
  mix.copy = maybe();
  return mix;
}

Workload draw_workload(Random random) {
  Workload load;
  load.from = 0s;
  load.until = 55s;
  load.clients = static_cast<uint32_t>(random.between(2, 6));
  load.mix = draw_mix(random);
  // Mostly small files; one seed in eight has some that take several blocks.
  load.size_max = uint64_t{1} << random.between(8, 17);
  if (random.chance(1, 8)) load.size_max = 3 << 19;
  load.paths = static_cast<uint32_t>(random.between(4, 40));
  if (random.chance(1, 2)) {
    load.mix.mkdir += 2;  // or there is hardly a place for anything
    load.depth = static_cast<uint32_t>(random.between(2, 4));
    load.names = static_cast<uint32_t>(random.between(2, 3));
  }
  if (random.chance(1, 2)) load.at_once = static_cast<uint32_t>(random.between(2, 4));
  const uint64_t askers = load.clients * load.at_once;
  load.think = std::chrono::milliseconds(30 * askers + random.below(100) * load.at_once);
  return load;
}

// Acts that only some runs have. They have a stream of their own: the other runs are drawn as if
// there were none.
void draw_rarer_acts(Random random, Mix& mix) {
  const auto maybe = [&random] {
    return random.chance(1, 2) ? static_cast<uint32_t>(random.between(1, 3)) : 0;
  };
  mix.truncate = maybe();
  mix.concatenate = maybe();
  if (random.chance(1, 4)) {
    mix.quota = static_cast<uint32_t>(random.between(1, 2));
    mix.use = 1;
  }
  if (random.chance(1, 3)) mix.attributes = mix.replace = 1;
}

// In half of the runs; with a stream of its own, as the rarer acts.
Appending draw_appending(Random random) {
  Appending load;
  if (!random.chance(1, 2)) return load;
  load.clients = static_cast<uint32_t>(random.between(1, 3));
  load.at_once = static_cast<uint32_t>(random.between(1, 3));
  load.files = static_cast<uint32_t>(random.between(1, 3));
  load.size_max = uint64_t{1} << random.between(6, 16);
  load.think = std::chrono::milliseconds(50 * load.clients * load.at_once + random.below(100));
  return load;
}

// One kind of trouble, as often as it comes in a run that has it.
struct Trouble {
  FaultKind kind;
  std::string_view victim;
  uint64_t times_max;
  Duration duration_min, duration_max;
  uint64_t amount_min = 0, amount_max = 0;
  uint32_t chance_of_12 = 5;  // that a seed has it at all
};

constexpr uint64_t kHourMs = 3'600'000;

// Times and sizes: a fault lasts from less than an election timeout to several.
const Trouble kTroubles[] = {
    {FaultKind::kKill, "metadata:leader", 4, 100ms, 6s},
    {FaultKind::kKill, "metadata:any", 4, 100ms, 6s},
    {FaultKind::kKill, "chunk:any", 5, 100ms, 8s},
    {FaultKind::kPowerLoss, "metadata:leader", 3, 500ms, 6s},
    {FaultKind::kPowerLoss, "metadata:any", 3, 500ms, 8s},
    {FaultKind::kPowerLoss, "chunk:any", 4, 500ms, 8s},
    {FaultKind::kPowerLoss, "all", 2, 100ms, 2s},
    {FaultKind::kPowerLoss, "metadata:all", 2, 100ms, 2s},
    {FaultKind::kPowerLoss, "metadata:any", 4, 50ms, 2s, 1, 12},
    {FaultKind::kPowerLoss, "chunk:any", 6, 50ms, 3s, 1, 40},
    {FaultKind::kKill, "chunk:any", 4, 50ms, 3s, 1, 40},
    {FaultKind::kPause, "metadata:leader", 3, 200ms, 5s},
    {FaultKind::kPause, "metadata:any", 3, 200ms, 5s},
    {FaultKind::kPause, "chunk:any", 3, 200ms, 5s},
    {FaultKind::kPause, "client:any", 2, 1s, 8s, 0, 0, 3},
    {FaultKind::kPartition, "metadata:leader", 3, 500ms, 8s},
    {FaultKind::kPartition, "metadata:any", 3, 500ms, 8s},
    {FaultKind::kPartition, "metadata:leader", 1, 12s, 20s, 0, 0, 2},
    {FaultKind::kPartition, "chunk:any", 3, 500ms, 8s},
    {FaultKind::kPartition, "client:any", 2, 500ms, 8s, 0, 0, 3},
    {FaultKind::kKill, "client:any", 6, 100ms, 3s},
    {FaultKind::kClog, "metadata:any", 3, 500ms, 6s, 20, 800},
    {FaultKind::kClog, "chunk:any", 3, 500ms, 6s, 20, 800},
    {FaultKind::kReset, "", 12, 0s, 0s, 1, 6},
    {FaultKind::kDiskErrors, "metadata:any", 2, 1s, 6s, 2'000, 200'000, 4},
    {FaultKind::kDiskErrors, "chunk:any", 3, 1s, 6s, 2'000, 200'000, 4},
    {FaultKind::kDiskSlow, "metadata:any", 2, 1s, 8s, 5, 60},
    {FaultKind::kDiskSlow, "chunk:any", 3, 1s, 8s, 5, 60},
    {FaultKind::kDiskStall, "metadata:any", 2, 500ms, 6s},
    {FaultKind::kDiskStall, "metadata:leader", 1, 12s, 20s, 0, 0, 2},
    {FaultKind::kDiskStall, "chunk:any", 2, 500ms, 6s},
    {FaultKind::kDiskFull, "metadata:any", 2, 500ms, 6s, 0, 0, 3},
    {FaultKind::kDiskFull, "chunk:any", 2, 500ms, 6s, 0, 0, 3},
    {FaultKind::kDiskErrors, "chunk:damaged", 2, 500ms, 4s, 20'000, 200'000, 3},
    {FaultKind::kBitRot, "chunk:damaged", 4, 0s, 0s, 1, 8},
    {FaultKind::kSectorErrors, "chunk:damaged", 4, 0s, 0s, 1, 8},
    {FaultKind::kLostDisk, "chunk:damaged", 1, 500ms, 5s, 0, 0, 2},
    {FaultKind::kWallClock, "metadata:any", 3, 0s, 0s, 1, kHourMs},
    {FaultKind::kWallClock, "metadata:leader", 2, 0s, 0s, 1, kHourMs, 3},
    {FaultKind::kDeadDisk, "chunk:damaged", 1, 0s, 0s, 0, 0, 6},
};

Direction draw_direction(Random& random) {
  const auto draw = random.below(4);
  if (draw < 2) return Direction::kBoth;
  return draw == 2 ? Direction::kIn : Direction::kOut;
}

void draw_trouble(const Trouble& trouble, Random random, std::vector<Fault>& faults) {
  if (!random.chance(trouble.chance_of_12, 12)) return;
  const uint64_t times = random.between(1, trouble.times_max);
  for (uint64_t i = 0; i < times; ++i) {
    Fault fault{.at = draw_duration(random, kFaultsFrom, kFaultsUntil - 1s),
                .kind = trouble.kind,
                .victim = std::string(trouble.victim),
                .peer = {}};
    if (trouble.duration_max > 0s)
      fault.duration = draw_duration(random, trouble.duration_min, trouble.duration_max);
    if (trouble.amount_max > 0)
      fault.amount = random.between(trouble.amount_min, trouble.amount_max);
    if (trouble.kind == FaultKind::kPartition) {
      fault.direction = draw_direction(random);
      // From one other only, now and then: then the two disagree with everybody else.
      if (random.chance(1, 3)) fault.peer = random.chance(1, 2) ? "metadata:any" : "chunk:any";
    }
    if (random.chance(1, 6)) fault.after_election = draw_duration(random, 0us, 5ms);
    faults.push_back(std::move(fault));
  }
}

// Sequences that chance alone would hardly bring together. They go beyond the budget in how many
// servers are away, not in what is lost: no availability is demanded while faults last.
class Sequence {
 public:
  Sequence(Random random, std::vector<Fault>& faults) : random_(random), faults_(faults) {
    for (size_t i = 3; i > 1; --i) std::swap(servers_[i - 1], servers_[random_.below(i)]);
    at_ = draw_duration(random_, kFaultsFrom + 1s, kFaultsUntil - 15s);
  }

  // A follower whose disk hangs is asked for its vote. Then the power fails everywhere, and whom it
  // voted for comes back last.
  void vote_on_a_hung_disk() {
    const Duration failure = draw_duration(random_, 800ms, 2500ms);
    add(FaultKind::kDiskStall, "metadata:follower", 0ms, failure + 50ms);
    add(FaultKind::kKill, "metadata:leader", 50ms, draw_duration(random_, 500ms, 3s));
    add(FaultKind::kPowerLoss, "metadata:leader", failure, draw_duration(random_, 2s, 4s));
    add(FaultKind::kPowerLoss, "metadata:all", failure + 10ms, 100ms);
  }
  // One server lags; one that did not loses its disk; the third, which holds the rest, is away
  // when the first two meet.
  void return_with_a_blank_disk() {
    const Duration lag = draw_duration(random_, 500ms, 3s);
    add(FaultKind::kPartition, servers_[0], 0ms, lag);
    add(FaultKind::kPowerLoss, servers_[2], lag - 100ms, draw_duration(random_, 2s, 6s));
    add(FaultKind::kLostDisk, servers_[1], lag - 100ms, 100ms);
  }
  // The log of one server rots where nobody looks, until it restarts.
  void damage_in_the_log() {
    add(FaultKind::kBitRot, servers_[0], 0ms, 0ms).amount = random_.between(1, 4);
    add(FaultKind::kPowerLoss, servers_[0], draw_duration(random_, 100ms, 3s), 300ms);
    add(FaultKind::kKill, "metadata:leader", draw_duration(random_, 3s, 6s), 2s);
  }
  // A leader whose disk hangs reaches one follower, not the other.
  void leader_holds_on_to_one() {
    const Duration lasts = draw_duration(random_, 10s, 15s);
    add(FaultKind::kDiskStall, "metadata:leader", 0ms, lasts);
    add(FaultKind::kPartition, "metadata:leader", 0ms, lasts).peer = "metadata:follower";
  }
  // Leaders come and go.
  void leaders_come_and_go() {
    Duration when{};
    for (uint64_t i = random_.between(3, 6); i > 0; --i) {
      const auto kind = random_.chance(1, 2) ? FaultKind::kKill : FaultKind::kPartition;
      add(kind, "metadata:leader", when, draw_duration(random_, 300ms, 1500ms));
      when += draw_duration(random_, 400ms, 1500ms);
    }
  }
  // Figure 8 of the Raft paper. A leader is cut off from its peers, not from its clients; so is the
  // next, as soon as it is elected. The first returns, leads again, and loses power before what it
  // writes in its new term is durable; then the second returns.
  void entries_of_an_earlier_term() {
    add(FaultKind::kPartition, "metadata:leader", 0ms, 1300ms).peer = "metadata:all";
    Fault& second = add(FaultKind::kPartition, "metadata:leader", 100ms, 3s);
    second.peer = "metadata:all";
    second.after_election = draw_duration(random_, 0us, 200us);
    add(FaultKind::kDiskStall, "metadata:leader", 1300ms, 300ms).after_election = 0us;
    add(FaultKind::kPowerLoss, "metadata:leader", 1300ms, 100ms).after_election = 60ms;
    add(FaultKind::kPowerLoss, "metadata:follower", 1300ms, 4s).after_election = 61ms;
  }

 private:
  Fault& add(FaultKind kind, std::string victim, Duration after, Duration lasts) {
    return faults_.emplace_back(Fault{.at = at_ + after,
                                      .kind = kind,
                                      .victim = std::move(victim),
                                      .peer = {},
                                      .duration = lasts,
                                      .exempt = true});
  }

  Random random_;
  std::vector<Fault>& faults_;
  Duration at_;
  std::string servers_[3] = {"meta-1", "meta-2", "meta-3"};
};

void draw_sequence(Random random, Scenario& scenario) {
  if (scenario.cluster.metadata < 3) return;
  Sequence sequence(random.fork("steps"), scenario.faults);
  switch (random.below(10)) {
    case 0: return sequence.vote_on_a_hung_disk();
    case 1: return sequence.return_with_a_blank_disk();
    case 2: return sequence.leaders_come_and_go();
    case 3: return sequence.entries_of_an_earlier_term();
    case 4: return sequence.damage_in_the_log();
    case 5: return sequence.leader_holds_on_to_one();
  }
}

// In half of the runs somebody moves leadership, and members where one can be spared: half of the
// groups of three get a fourth server for that. Now and then a leader falls in the middle of it.
void draw_operator(Random random, Scenario& scenario) {
  if (scenario.cluster.metadata < 3 || !random.chance(1, 2)) return;
  scenario.operator_every = draw_duration(random, 300ms, 4s);
  if (scenario.cluster.metadata == 3 && random.chance(1, 2)) scenario.cluster.metadata = 4;
  if (scenario.cluster.metadata == 3) return;
  constexpr FaultKind kFalls[] = {FaultKind::kKill, FaultKind::kPowerLoss, FaultKind::kPause,
                                  FaultKind::kPartition};
  for (uint64_t i = random.below(8); i > 0; --i) {
    const FaultKind kind = kFalls[random.below(std::size(kFalls))];
    scenario.faults.push_back({.at = draw_duration(random, kFaultsFrom, kFaultsUntil - 3s),
                               .kind = kind,
                               .victim = "metadata:leader",
                               .peer = {},
                               .duration = draw_duration(random, 300ms, 3s),
                               .after_reconfiguration = draw_duration(random, 0us, 4ms)});
  }
}

// In a quarter of the runs that append: chunk servers crash at an operation on their disk and are
// soon back, so that a primary may come back while its writers still wait for it.
void draw_crashes(Random random, Scenario& scenario) {
  if (scenario.appending.clients == 0 || !random.chance(1, 4)) return;
  for (int i = 0; i < 40; ++i)
    scenario.faults.push_back(
        {.at = draw_duration(random, kFaultsFrom, kFaultsUntil - 1s),
         .kind = random.chance(1, 2) ? FaultKind::kKill : FaultKind::kPowerLoss,
         .victim = "chunk:any",
         .peer = {},
         .amount = random.between(1, 8),
         .duration = draw_duration(random, 40ms, 200ms)});
}

// What stays broken in a third of the runs, and the rest must do without: one metadata server of
// three or more, and the chunk server whose disk may suffer.
void draw_lasting(Random random, Scenario& scenario) {
  if (!random.chance(1, 3)) return;
  const auto add = [&](FaultKind kind, std::string victim) {
    Fault& fault =
        scenario.lasting.emplace_back(Fault{.kind = kind, .victim = std::move(victim), .peer = {}});
    if (kind == FaultKind::kPartition) fault.direction = draw_direction(random);
  };
  constexpr FaultKind kChunk[] = {FaultKind::kPowerLoss, FaultKind::kKill, FaultKind::kPause,
                                  FaultKind::kPartition, FaultKind::kDiskStall};
  constexpr FaultKind kMetadata[] = {FaultKind::kPowerLoss, FaultKind::kKill,
                                     FaultKind::kPause,     FaultKind::kPartition,
                                     FaultKind::kPartition, FaultKind::kDiskStall};
  add(kChunk[random.below(std::size(kChunk))], "chunk:damaged");
  if (scenario.cluster.metadata < 3) return;
  add(kMetadata[random.below(std::size(kMetadata))],
      random.chance(1, 2) ? "metadata:leader" : "metadata:follower");
}

// Half of those who pack go so fast from a sealed block to its end that some are compacted.
void draw_compaction(Random random, ClusterShape& shape) {
  if (!shape.pack || random.chance(1, 2)) return;
  shape.append_idle = 2s;
  shape.deletion_grace = draw_duration(random, 1s, 4s);
  shape.compact_after = draw_duration(random, 500ms, 2s);
  shape.compaction_bytes_per_second = random.between(128, 1024) << 10;
}

// In half of the runs some directories know their blocks by their content, and many puts bring
// what another brought.
void draw_content(Random random, Scenario& scenario) {
  if (!random.chance(1, 2)) return;
  scenario.cluster.known_content = true;
  scenario.workload.front().contents = static_cast<uint32_t>(random.between(1, 6));
}

}  // namespace

Scenario draw_scenario(uint64_t seed) {
  const Random random(seed ^ 0x5ca1ab1e);
  Scenario scenario;
  scenario.name = fmt::format("seed {}", seed);
  scenario.within_budget = true;
  scenario.faults_until = kFaultsUntil;
  scenario.until = 60s;
  scenario.expect.operations_min = 300;
  scenario.cluster = draw_cluster(random.fork("cluster"));
  if (random.fork("disks").chance(1, 3)) scenario.cluster.disks = 2;
  if (random.fork("scrub").chance(1, 2)) scenario.cluster.scrub_bytes_per_second = 1 << 20;
  draw_operator(random.fork("operator"), scenario);
  scenario.workload.push_back(draw_workload(random.fork("workload")));
  draw_rarer_acts(random.fork("rarer acts"), scenario.workload.front().mix);
  scenario.appending = draw_appending(random.fork("appending"));
  scenario.cluster.pack = random.fork("pack").chance(1, 2);
  if (random.fork("append idle").chance(1, 2)) scenario.cluster.append_idle = 2s;
  draw_compaction(random.fork("compaction"), scenario.cluster);
  draw_content(random.fork("content"), scenario);
  draw_sequence(random.fork("sequence"), scenario);
  draw_crashes(random.fork("crashes"), scenario);
  draw_lasting(random.fork("lasting"), scenario);
  for (size_t i = 0; i < std::size(kTroubles); ++i)
    draw_trouble(kTroubles[i], random.fork("trouble", i), scenario.faults);
  std::ranges::sort(scenario.faults, {}, [](const Fault& fault) {
    return std::tuple(fault.at, fault.kind, fault.victim);
  });
  return scenario;
}

}  // namespace dogfs::sim
