#pragma once
// Scenario: what a run does, apart from chance: the cluster, what clients ask of it, which faults
// come when, and what is demanded at the end. With a seed it is a capsule: the run is a function of
// the two. Scenarios come from a file (scenario_json.h) or are drawn from the seed (swarm.h).
//
// A fault names its victim as a host ("chunk-2") or as a role that is looked up when the fault
// comes: "metadata:leader", "metadata:follower", "chunk:any", or "all".

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/time.h"

namespace dogfs::sim {

struct ClusterShape {
  uint32_t metadata = 3;
  uint32_t chunk = 6;
  uint32_t disks = 1;  // of each chunk server
  uint64_t scrub_bytes_per_second = 0;
  uint32_t zones = 0;  // 0: each chunk server is a zone of its own
  std::string policy = "rs-4-2";
  uint64_t block_bytes = 1 << 20;
  uint32_t cell_bytes = 16 << 10;
  uint32_t inline_bytes = 4 << 10;
  // Extreme settings.
  uint64_t snapshot_after_bytes = 0;   // of log; 0: as the product has it
  std::optional<uint64_t> log_tail;    // entries kept behind a snapshot; absent: likewise
  uint64_t reserve_bytes = 256 << 10;  // of metadata servers' disks
  Duration session_silence = 600s;
  Duration lease_silence = 60s;
  uint32_t removal_step = 512;  // entries of a removed tree that one log entry takes apart
  Duration deletion_grace = 600s;
  Duration operation_limit = 10s;  // of clients
  Duration tick = 50ms;  // of Raft; elections take ten to twenty. Staged faults count on this one
  Duration latency_max = 500us;
  Duration connection_timeout = 20s;  // that a sender retransmits into silence
  int32_t drift_ppm_max = 0;
  std::optional<uint64_t> lease_drift_percent;  // absent: no leader lease
  bool pack = false;                            // clients put small files into packs
  bool known_content = false;                   // two directories share blocks, one has digests
  Duration append_idle = 30s;                   // without a record an append block is sealed
  uint64_t compaction_bytes_per_second = 8 << 20;
  Duration compact_after = 600s;  // that files have had little of a block of a pack
  bool buggify = false;
};

// Weights of what clients do.
struct Mix {
  uint32_t put = 0, get = 0, stat = 0, list = 0, mkdir = 0, rename = 0, remove = 0, copy = 0;
  uint32_t truncate = 0, concatenate = 0, quota = 0, use = 0, attributes = 0;
  uint32_t replace = 0;  // puts over the version that a stat found just before
  uint32_t total() const {
    return put + get + stat + list + mkdir + rename + remove + copy + truncate + concatenate +
           quota + use + attributes + replace;
  }
};

struct Workload {
  Duration from{};
  Duration until = 40s;
  uint32_t clients = 4;
  Mix mix;
  uint64_t size_min = 0;
  uint64_t size_max = 64 << 10;
  uint32_t at_once = 1;  // operations of each client
  uint32_t paths = 24;   // how many names they share
  // With a depth, instead: paths of up to so many names below two directories, out of so few names
  // that files and directories meet.
  uint32_t depth = 0;
  uint32_t names = 3;
  Duration think = 100ms;  // between two operations of one client, at most twice this
  uint32_t contents = 0;   // half of the puts have one of so many; 0: none is as another
};

// Clients that append records to files of their own (append_load.h).
struct Appending {
  uint32_t clients = 0;
  uint32_t at_once = 1;  // of each client
  uint32_t files = 2;
  uint64_t size_max = 4 << 10;  // of a record
  Duration think = 100ms;
  Duration until = 55s;
};

enum class FaultKind : uint8_t {
  kKill,          // kill -9; again up after `duration`. With an amount n: at the node's n-th
                  // operation on its disk from then
  kPowerLoss,     // the same, but no goodbye, and unsynced bytes are lost or torn
  kPause,         // SIGSTOP
  kPartition,     // the victim and the others (or `peer`) do not hear each other
  kClog,          // its links are slow
  kReset,         // `amount` connections, anywhere
  kDiskErrors,    // EIO: `amount` of a million reads, writes and syncs fail
  kDiskSlow,      // `amount` times as slow
  kDiskStall,     // nothing completes
  kBitRot,        // `amount` bits flip and stay so
  kSectorErrors,  // `amount` sectors cannot be read any more
  kLostDisk,      // with power: the next boot finds an empty one
  kDeadDisk,      // one of several of a chunk server fails for good
  kDiskFull,
  kWallClock,  // jumps by `amount` milliseconds
};
std::string_view fault_name(FaultKind kind);  // as in reports: "power_loss"

enum class Direction : uint8_t { kBoth, kIn, kOut };

struct Fault {
  Duration at{};
  FaultKind kind = FaultKind::kKill;
  std::string victim;
  std::string peer;  // of a partition; empty: everybody else
  Direction direction = Direction::kBoth;
  uint64_t amount = 0;
  std::optional<Duration> duration;  // absent: until the faults end
  // Waits, from `at` on, for the next metadata server to be elected, and then this long.
  std::optional<Duration> after_election;
  // Likewise, for the next time that a leader appends a configuration.
  std::optional<Duration> after_reconfiguration;
  bool exempt = false;  // from the budget: part of a sequence that is drawn as a whole
};

struct Expectation {
  bool linearizable = true;
  bool durable = true;
  uint64_t operations_min = 0;            // that are done
  std::optional<Duration> write_gap_max;  // between changes that are done, under load
  std::optional<uint64_t> elections_max;  // won, that of the new cluster included
  Duration heals_within = 60s;            // every kind of operation works again
};

struct Scenario {
  std::string name;
  ClusterShape cluster;
  std::vector<Workload> workload;
  Appending appending;
  std::vector<Fault> faults;
  std::vector<Fault> lasting;  // come when the others end, and stay: the rest must do without
  // How often, about, an operator moves leadership or a member; 0: never.
  Duration operator_every{};
  std::vector<std::string> catches;  // the planted bugs that it is meant to find
  Duration faults_until = 40s;       // then everything heals
  Duration until = 60s;              // at least
  bool within_budget = false;        // a fault that would exceed the budget is left out
  Expectation expect;
};

// "3s kill metadata:leader for 5s", for traces.
std::string describe(const Fault& fault);

}  // namespace dogfs::sim
