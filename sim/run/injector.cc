#include "sim/run/injector.h"

#include <algorithm>

#include "core/placement/policy.h"
#include "sim/run/cluster.h"
#include "sim/run/group_operator.h"
#include "sim/world/disk_image.h"
#include "sim/world/fabric.h"
#include "sim/world/host.h"
#include "sim/world/process.h"
#include "sim/world/world.h"

namespace dogfs::sim {
namespace {

bool spoils_bytes(FaultKind kind) {
  return kind == FaultKind::kBitRot || kind == FaultKind::kSectorErrors ||
         kind == FaultKind::kLostDisk || kind == FaultKind::kDeadDisk;
}

// Faults that take a server away from its group while they last.
bool impairs(FaultKind kind) {
  return kind != FaultKind::kClog && kind != FaultKind::kReset && kind != FaultKind::kWallClock &&
         kind != FaultKind::kBitRot && kind != FaultKind::kSectorErrors &&
         kind != FaultKind::kDeadDisk;
}

bool goes_down(FaultKind kind) { return kind == FaultKind::kKill || kind == FaultKind::kPowerLoss; }

// Where a metadata server keeps its write-ahead log.
constexpr std::string_view kLogSegments = "wal/wal-";

// Within which a server has filled its reserve again and its leader knows.
constexpr Duration kSpaceIsNoticed = 5s;

// How long a machine that is to go down at a disk operation is waited for.
constexpr Duration kTrapPatience = 8s;

bool has(const std::vector<Host*>& hosts, const Host& host) {
  return std::ranges::count(hosts, &host) > 0;
}

void boot_if_down(Host& host) {
  if (!host.up()) host.boot();
}

void add(Tally& tally, std::string name, uint64_t count) { tally[std::move(name)] += count; }

}  // namespace

Injector::Injector(World& world, Cluster& cluster, RaftWatch& watch, const Scenario& scenario)
    : world_(world),
      cluster_(cluster),
      watch_(watch),
      scenario_(scenario),
      random_(world.random("injector")),
      damaged_(cluster.chunk()[random_.below(cluster.chunk().size())]) {
  watch.on_election([this] { release(&Fault::after_election); });
  watch.on_reconfiguration([this] { reconfigured(); });
  cluster.on_change([this] { note_disturbance(); });
}

void Injector::start() {
  for (const Fault& fault : scenario_.faults)
    world_.after(std::max(Duration{}, Instant(fault.at) - world_.now()),
                 [this, &fault] { arm_or_inject(fault); });
}

void Injector::arm_or_inject(const Fault& fault) {
  if (fault.after_election || fault.after_reconfiguration)
    armed_.push_back(&fault);
  else
    inject(fault);
}

// From inside the node that was elected or changes the group: what comes, comes as an event of the
// world.
void Injector::release(Awaited awaited) {
  for (const Fault* fault : armed_)
    if (fault->*awaited) world_.after(*(fault->*awaited), [this, fault] { inject(*fault); });
  std::erase_if(armed_, [awaited](const Fault* fault) { return (fault->*awaited).has_value(); });
}

void Injector::reconfigured() {
  release(&Fault::after_reconfiguration);
  note_by_hand();
}

void Injector::note_by_hand() {
  disturbances_.push_back({.when = world_.now(), .well = majority_is_well(), .by_hand = true});
}

void Injector::inject(const Fault& fault) {
  if (healed_) return;
  if (fault.kind == FaultKind::kReset) {
    for (uint64_t i = 0; i < fault.amount; ++i)
      if (world_.fabric().reset_one(random_)) add(injected_, "reset", 1);
    note_disturbance();
    return;
  }
  for (Host* host : victims(fault.victim)) inject_into(fault, *host);
}

void Injector::inject_into(const Fault& fault, Host& host) {
  const std::string name(fault_name(fault.kind));
  if (scenario_.within_budget && !within_budget(fault, host)) {
    add(injected_, "left_out_by_budget", 1);
    return;
  }
  const uint64_t number = next_number_++;
  End end = begin(fault, host, number);
  if (!end) return;
  if (fault.amount == 0 || !goes_down(fault.kind)) add(injected_, name, 1);
  if (fault.direction != Direction::kBoth) add(injected_, name + "_one_way", 1);
  active_.emplace(number, Active{&host, fault.kind, impairs(fault.kind), std::move(end)});
  if (has(cluster_.metadata(), host)) note_disturbance();
  const bool trap = fault.amount > 0 && goes_down(fault.kind);
  const auto duration = trap ? std::optional(kTrapPatience) : fault.duration;
  if (duration) world_.after(*duration, [this, number] { finish(number); });
}

void Injector::finish(uint64_t number) {
  const auto found = active_.find(number);
  if (found == active_.end()) return;
  const End end = std::move(found->second.end);
  const bool metadata = has(cluster_.metadata(), *found->second.host);
  active_.erase(found);
  end();
  if (metadata) note_disturbance();
}

void Injector::note_disturbance() {
  disturbances_.push_back({.when = world_.now(), .well = majority_is_well()});
}

bool Injector::is_well(Host& host) const {
  if (!host.up() || host.process()->ended() || &host == blank_) return false;
  return std::ranges::none_of(active_, [&host](const auto& entry) {
    const Active& active = entry.second;
    // With a full disk a server goes on in its reserve.
    if (active.host != &host || active.kind == FaultKind::kDiskFull) return false;
    return active.impairs || active.kind == FaultKind::kClog;
  });
}

// Of those that vote now; of both halves, while members change.
bool Injector::majority_is_well() const {
  const raft::Configuration& group = watch_.configuration();
  const auto majority = [this](const std::vector<raft::Member>& voters) {
    const auto well = std::ranges::count_if(voters, [this](const raft::Member& voter) {
      const size_t number = voter.node.value;
      return number >= 1 && number <= cluster_.metadata().size() &&
             is_well(*cluster_.metadata()[number - 1]);
    });
    return voters.empty() || 2 * static_cast<size_t>(well) > voters.size();
  };
  return !group.empty() && majority(group.voters) && majority(group.outgoing);
}

void Injector::heal() {
  world_.trace().act("injector", "all faults end");
  while (!active_.empty()) finish(active_.begin()->first);
  world_.fabric().heal();
  for (const auto* hosts : {&cluster_.metadata(), &cluster_.chunk(), &cluster_.clients()})
    for (Host* host : *hosts) boot_if_down(*host);
  for (const Fault& fault : scenario_.lasting) {
    const uint64_t before = next_number_;
    inject(fault);
    for (const auto& [number, active] : active_)
      if (number >= before) cluster_.excuse(*active.host);
    if (next_number_ > before) add(injected_, "lasting", 1);
  }
  healed_ = true;
  note_disturbance();
}

std::vector<Host*> Injector::victims(const std::string& name) {
  if (name == "metadata:all") return cluster_.metadata();
  if (name == "chunk:all") return cluster_.chunk();
  if (name == "client:all") return cluster_.clients();
  if (name == "all") {
    std::vector<Host*> all = cluster_.metadata();
    all.insert(all.end(), cluster_.chunk().begin(), cluster_.chunk().end());
    return all;
  }
  Host* one = name.find(':') == std::string::npos ? cluster_.find(name) : role(name);
  if (one == nullptr) return {};
  return {one};
}

Host* Injector::role(const std::string& name) {
  const auto any = [this](const std::vector<Host*>& hosts) -> Host* {
    return hosts.empty() ? nullptr : hosts[random_.below(hosts.size())];
  };
  if (name == "metadata:leader") return cluster_.leader();
  if (name == "metadata:any") return any(cluster_.metadata());
  if (name == "chunk:any") return any(cluster_.chunk());
  if (name == "chunk:damaged") return damaged_;
  if (name == "client:any") return any(cluster_.clients());
  if (name != "metadata:follower") return nullptr;
  std::vector<Host*> followers = cluster_.metadata();
  std::erase(followers, cluster_.leader());
  return any(followers);
}

// A minority of the metadata servers may be away at once; chunk servers as many as a read can
// spare; bytes are spoiled on one chunk server alone. Losing power all together is always allowed:
// what is durable survives it.
bool Injector::within_budget(const Fault& fault, const Host& host) const {
  const bool metadata = has(cluster_.metadata(), host);
  if (spoils_bytes(fault.kind) && metadata) return may_lose_disk(host);
  if (spoils_bytes(fault.kind) && &host != damaged_) return false;
  if (fault.exempt || fault.victim.ends_with("all") || !impairs(fault.kind)) return true;
  const auto& kin = metadata ? cluster_.metadata() : cluster_.chunk();
  if (!has(kin, host)) return true;  // a client
  std::vector<const Host*> away;
  if (metadata && blank_ != nullptr) away.push_back(blank_);
  for (const auto& [number, active] : active_)
    if (active.impairs && active.host != &host && has(kin, *active.host) &&
        std::ranges::count(away, active.host) == 0)
      away.push_back(active.host);
  std::erase(away, &host);
  // An operator may have taken some out of the group, or be about to.
  const bool for_good = !fault.duration && scenario_.operator_every > 0s;
  const raft::Configuration& group = watch_.configuration();
  const bool two_decide = group.voters.size() < GroupOperator::kVotersMin ||
                          (group.joint() && group.outgoing.size() < GroupOperator::kVotersMin);
  if (metadata && for_good && two_decide) return false;
  const size_t voters =
      std::min(for_good ? GroupOperator::kVotersMin : kin.size(), group.voters.size());
  const size_t allowed = metadata ? std::max<size_t>(1, (std::max<size_t>(voters, 1) - 1) / 2) : 2;
  return away.size() + 1 <= allowed;
}

// For good: one of three or more.
bool Injector::may_lose_disk(const Host& host) const {
  return cluster_.metadata().size() >= 3 && (blank_ == nullptr || blank_ == &host);
}

Injector::End Injector::begin(const Fault& fault, Host& host, uint64_t number) {
  switch (fault.kind) {
    case FaultKind::kKill:
    case FaultKind::kPowerLoss:
    case FaultKind::kPause:
    case FaultKind::kLostDisk: return begin_down(fault, host, number);
    case FaultKind::kPartition: return begin_partition(fault, host);
    case FaultKind::kClog: return begin_clog(fault, host);
    case FaultKind::kDiskErrors:
    case FaultKind::kDiskSlow:
    case FaultKind::kDiskStall:
    case FaultKind::kDiskFull: return begin_disk(fault, host);
    case FaultKind::kBitRot:
    case FaultKind::kSectorErrors: spoil(fault, host); return {};
    case FaultKind::kDeadDisk:
      if (kill_disk(host)) add(injected_, std::string(fault_name(fault.kind)), 1);
      return {};
    case FaultKind::kWallClock:
      host.set_wall_offset(host.wall_offset() +
                           std::chrono::milliseconds(static_cast<int64_t>(fault.amount)));
      add(injected_, std::string(fault_name(fault.kind)), 1);
      return {};
    case FaultKind::kReset: return {};
  }
  return {};
}

Injector::End Injector::begin_down(const Fault& fault, Host& host, uint64_t number) {
  if (!host.up()) return {};
  if (fault.kind == FaultKind::kPause) return begin_pause(host);
  if (fault.kind == FaultKind::kLostDisk) {
    host.lose_disk();
    if (has(cluster_.metadata(), host)) blank_ = &host;
    cluster_.give_up(host);
  } else if (fault.amount > 0) {
    return begin_trap(fault, host, number);
  } else if (fault.kind == FaultKind::kKill) {
    host.crash();
  } else {
    host.power_off();
  }
  return [&host] { boot_if_down(host); };
}

Injector::End Injector::begin_pause(Host& host) {
  Process* process = host.process();
  if (process->paused()) return {};
  world_.trace().act(host.name(), "is paused");
  process->pause();
  return [this, &host, process] {
    if (host.process() != process) return;
    world_.trace().act(host.name(), "is resumed");
    process->resume();
  };
}

// The machine goes down in the middle of what its disk is asked to do.
Injector::End Injector::begin_trap(const Fault& fault, Host& host, uint64_t number) {
  const bool power = fault.kind == FaultKind::kPowerLoss;
  const Duration down = fault.duration.value_or(1s);
  host.disk_model().set_trap(fault.amount, [this, &host, number, power, down] {
    add(injected_, power ? "power_loss" : "kill", 1);
    add(injected_, power ? "power_loss_in_disk_operation" : "kill_in_disk_operation", 1);
    power ? host.power_off() : host.crash();
    note_disturbance();
    world_.after(down, [this, number] { finish(number); });
    return true;
  });
  return [&host] {
    host.disk_model().clear_trap();
    boot_if_down(host);
  };
}

// A second fault of a kind is left out: the end of the first would be that of both.
bool Injector::under_way(FaultKind kind, const Host& host) const {
  return std::ranges::any_of(active_, [&](const auto& entry) {
    return entry.second.kind == kind && entry.second.host == &host;
  });
}

void Injector::block(Host& from, Host& to) {
  if (blocks_[{&from, &to}]++ == 0) world_.fabric().block(from, to);
}

void Injector::unblock(Host& from, Host& to) {
  if (--blocks_[{&from, &to}] == 0) world_.fabric().unblock(from, to);
}

Injector::End Injector::begin_partition(const Fault& fault, Host& host) {
  std::vector<Host*> others = victims(fault.peer.empty() ? "all" : fault.peer);
  if (fault.peer.empty()) {
    others.clear();
    for (const auto& other : world_.hosts()) others.push_back(other.get());
  }
  std::erase(others, &host);
  if (others.empty()) return {};
  world_.trace().act(host.name(), "is cut off, {}",
                     fault.direction == Direction::kBoth ? "both ways"
                     : fault.direction == Direction::kIn ? "hears nothing"
                                                         : "is not heard");
  const bool in = fault.direction != Direction::kOut;
  const bool out = fault.direction != Direction::kIn;
  for (Host* other : others) {
    if (in) block(*other, host);
    if (out) block(host, *other);
  }
  return [this, &host, others, in, out] {
    world_.trace().act(host.name(), "is connected again");
    for (Host* other : others) {
      if (in) unblock(*other, host);
      if (out) unblock(host, *other);
    }
  };
}

Injector::End Injector::begin_clog(const Fault& fault, Host& host) {
  if (under_way(fault.kind, host)) return {};
  const auto extra = std::chrono::milliseconds(static_cast<int64_t>(fault.amount));
  world_.trace().act(host.name(), "has slow links, {} ms", fault.amount);
  const auto set = [this, &host](Duration delay) {
    for (const auto& other : world_.hosts()) {
      if (other.get() == &host) continue;
      world_.fabric().clog(host, *other, delay);
      world_.fabric().clog(*other, host, delay);
    }
  };
  set(extra);
  return [set] { set(Duration{}); };
}

Injector::End Injector::begin_disk(const Fault& fault, Host& host) {
  if (under_way(fault.kind, host)) return {};
  DiskModel& model = host.disk_model();
  world_.trace().act(host.name(), "has trouble with its disk: {}", fault_name(fault.kind));
  if (fault.kind == FaultKind::kDiskErrors) {
    const auto rate = static_cast<uint32_t>(std::min<uint64_t>(fault.amount, 1'000'000));
    const bool misdirects = scenario_.within_budget && &host == damaged_;
    if (misdirects) cluster_.give_up(host);
    model.set_rates({.read_error = rate / 4,
                     .write_error = rate,
                     .sync_error = rate,
                     .metadata_error = rate / 4,
                     .misdirected_write = misdirects ? rate : 0});
    return [&model] { model.set_rates({}); };
  }
  if (fault.kind == FaultKind::kDiskSlow) {
    model.set_slow_factor(static_cast<uint32_t>(fault.amount));
    return [&model] { model.set_slow_factor(1); };
  }
  if (fault.kind == FaultKind::kDiskFull) {
    DiskImage& image = host.disk_image();
    const uint64_t capacity = image.capacity();
    const Space space = image.space();
    image.set_capacity(space.total_bytes - space.free_bytes);
    if (!has(cluster_.metadata(), host))
      return [&image, capacity] { image.set_capacity(capacity); };
    full_.push_back({world_.now(), kNever});
    return [this, &image, capacity, at = full_.size() - 1] {
      image.set_capacity(capacity);
      full_[at].second = world_.now();
    };
  }
  model.stall_until(kNever);
  return [this, &model] { model.stall_until(world_.now()); };
}

// For good, and one of them at most: a server without any disk is one that lost all, and that is
// another fault. Nor one that nobody knows to be the server's yet.
bool Injector::kill_disk(Host& host) {
  const auto directories = cluster_.data_directories();
  if (directories.size() < 2 || !has(cluster_.chunk(), host)) return false;
  for (const auto& directory : directories)
    if (host.disk_image().find_durable(directory + "/identity") == nullptr) return false;
  if (host.disk_model().any_dead()) return false;
  const std::string& victim = directories[random_.below(directories.size())];
  host.disk_model().kill_below(victim);
  host.disk_image().counts().inject(DiskFault::kDeadDisk);
  world_.trace().act(host.name(), "loses {} for good", victim);
  return true;
}

// Of a metadata server it is the log that rots, and not its end: what is lost there cannot be told
// from a torn write.
void Injector::spoil(const Fault& fault, Host& host) {
  const bool metadata = has(cluster_.metadata(), host);
  DiskImage& image = host.disk_image();
  uint64_t spoiled = 0;
  for (uint64_t i = 0; i < fault.amount; ++i)
    if (fault.kind == FaultKind::kSectorErrors)
      spoiled += image.add_random_latent_error(random_);
    else
      spoiled += metadata ? image.rot_early(kLogSegments, random_) : image.rot_random(random_);
  if (spoiled == 0) return;
  if (metadata) add(injected_, "log_damaged", 1);
  if (metadata) blank_ = &host;
  // What cannot be read is never taken for a torn write: such a metadata server has to heal.
  if (!metadata || fault.kind != FaultKind::kSectorErrors) cluster_.give_up(host);
  world_.trace().act(host.name(), "has {} spoiled sectors: {}", spoiled, fault_name(fault.kind));
}

bool Injector::metadata_disk_was_full(Instant from, Instant until) const {
  return std::ranges::any_of(full_, [&](const auto& full) {
    return full.first <= until && (full.second == kNever || from <= full.second + kSpaceIsNoticed);
  });
}

void Injector::count(Tally& tally) const {
  for (const auto& [name, count] : injected_) tally[name] += count;
  const NetworkFaultCounts& network = world_.fabric().counts();
  add(tally, "partition.effect", network.pieces_held_back + network.connects_blocked);
  add(tally, "clog.effect", network.pieces_slowed);
  add(tally, "reset.effect", network.resets_seen);
  add(tally, "connection_timeout", network.timeouts);
  for (const auto* hosts : {&cluster_.metadata(), &cluster_.chunk()}) {
    for (Host* host : *hosts) {
      for (size_t i = 0; i < kDiskFaultKinds; ++i) {
        const auto kind = static_cast<DiskFault>(i);
        const auto& counted = host->disk_image().counts()[kind];
        const std::string name = fmt::format("disk.{}", disk_fault_name(kind));
        // How often the injector began a stall or slowness is counted by itself.
        if (kind != DiskFault::kStall && kind != DiskFault::kSlow)
          add(tally, name, counted.injected);
        add(tally, name + ".effect", counted.took_effect);
      }
    }
  }
}

}  // namespace dogfs::sim
