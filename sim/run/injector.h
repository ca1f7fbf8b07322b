#pragma once
// Injector: makes the faults of a scenario happen in a world, when their time has come, and ends
// them. Looks roles up at that moment. Within the budget it leaves out what would exceed it, and
// counts that; README.md says what the budget is. Owned by the run.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/random.h"
#include "sim/check/availability.h"
#include "sim/check/floors.h"
#include "sim/run/scenario.h"

namespace dogfs::sim {

class Cluster;
class Host;
class RaftWatch;
class World;

class Injector {
 public:
  Injector(World& world, Cluster& cluster, RaftWatch& watch, const Scenario& scenario);

  // Schedules every fault.
  void start();
  // Ends every fault under way; none comes any more but those of Scenario::lasting, which come now
  // and stay. All other machines have power and run.
  void heal();
  // An operator asks for something, or was answered.
  void note_by_hand();
  // Each time that the metadata servers were less or more well than before.
  const std::vector<Disturbance>& disturbances() const { return disturbances_; }
  // Whether a metadata server's disk was full then, or had been a moment before.
  bool metadata_disk_was_full(Instant from, Instant until) const;
  // Adds how often each kind was injected, and how often it took effect.
  void count(Tally& tally) const;

 private:
  using End = std::function<void()>;
  struct Active {
    Host* host;
    FaultKind kind;
    bool impairs;  // counts against the budget
    End end;
  };

  void arm_or_inject(const Fault& fault);
  // `awaited` says for which time after what faults wait; they come that much later.
  using Awaited = std::optional<Duration> Fault::*;
  void release(Awaited awaited);
  void reconfigured();
  void inject(const Fault& fault);
  void note_disturbance();
  bool is_well(Host& host) const;
  bool majority_is_well() const;
  void inject_into(const Fault& fault, Host& host);
  std::vector<Host*> victims(const std::string& name);
  Host* role(const std::string& name);
  bool within_budget(const Fault& fault, const Host& host) const;
  bool may_lose_disk(const Host& host) const;
  // What the fault does. The end undoes it; empty when nothing happened.
  End begin(const Fault& fault, Host& host, uint64_t number);
  End begin_down(const Fault& fault, Host& host, uint64_t number);
  End begin_pause(Host& host);
  End begin_trap(const Fault& fault, Host& host, uint64_t number);
  End begin_partition(const Fault& fault, Host& host);
  End begin_clog(const Fault& fault, Host& host);
  End begin_disk(const Fault& fault, Host& host);
  bool under_way(FaultKind kind, const Host& host) const;
  bool kill_disk(Host& host);
  void spoil(const Fault& fault, Host& host);
  void block(Host& from, Host& to);
  void unblock(Host& from, Host& to);
  void finish(uint64_t number);

  World& world_;
  Cluster& cluster_;
  const RaftWatch& watch_;
  const Scenario& scenario_;
  Random random_;
  Host* damaged_;                    // the one chunk server whose durable bytes may suffer
  std::vector<const Fault*> armed_;  // wait for an election, or a change of the members
  Host* blank_ = nullptr;  // the one metadata server whose disk may be lost or spoiled, once it is
  std::map<uint64_t, Active> active_;
  std::map<std::pair<Host*, Host*>, int> blocks_;
  uint64_t next_number_ = 0;
  bool healed_ = false;
  std::vector<Disturbance> disturbances_;
  std::vector<std::pair<Instant, Instant>> full_;  // when metadata servers' disks were
  Tally injected_;
};

}  // namespace dogfs::sim
