#pragma once
// SpaceCensus: looks for what lies on disks and is of no use to anybody. Every file of a shard or
// of an append log must be where the log, once, placed it, no longer than what was to be stored
// there, and of one of these classes, each bounded because each name is:
//
//   used         the block's row names it
//   garbage      likewise, as garbage or as a former generation that waits for its deletion
//   uncommitted  no row names it any more, and none ever called it durable: of a writer that
//   failed,
//                or that came too late. The cluster does not collect these yet, so nothing bounds
//                how many there are; they are counted
//   seals        an append log without entries that was made only to be sealed, by whom comes late
//   unfinished   still being written, or left by a process that died; gone at its next start
//
// What rows forgot as deleted, and lies there still, is a violation: of shards by the ShardCensus,
// of append logs here. Pure.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/shard_file.h"
#include "core/namespace/state_machine.h"
#include "sim/check/durable_disk.h"
#include "sim/check/linearizability.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

struct SpaceCounts {
  struct Share {
    uint64_t files = 0;
    uint64_t bytes = 0;
  };
  Share used, garbage, uncommitted, seals, unfinished;
};

class SpaceCensus {
 public:
  using Disks = std::vector<const DurableDisk*>;

  // All outlive it. `commands` is the log that made the state.
  SpaceCensus(const metadata::StateMachine& state, const std::vector<CommittedCommand>& commands,
              const Disks& disks, SpaceCounts& counts, Violations& violations);

  // kSpace, naming server, file and class, for each file that should not be, or not so long.
  void check_files();

 private:
  // Where the log put a shard or a log.
  struct Place {
    NodeId node;
    uint64_t bytes_max = 0;  // of a shard's file; of the block's bytes in an append log
    bool log = false;
    bool durable = false;  // so the log said, once
  };
  using Places = std::map<chunk::ShardName, Place>;
  struct Reader;  // of the log

  struct Named {
    chunk::ShardName name;
    bool log = false;
    bool unfinished = false;
  };
  static std::optional<Named> parse(std::string_view path);
  void check_file(const DurableDisk& disk, NodeId node, const std::string& path);
  void check_length(const DurableDisk& disk, const std::string& path, const Named& named,
                    const Place& place, const DurableDisk::File& file);
  SpaceCounts::Share& classify(const DurableDisk& disk, NodeId node, const std::string& path,
                               const Named& named, const Place& place, uint64_t bytes);

  const metadata::StateMachine& state_;
  const Disks& disks_;
  SpaceCounts& counts_;
  Violations& violations_;
  Places places_;
};

}  // namespace dogfs::sim
