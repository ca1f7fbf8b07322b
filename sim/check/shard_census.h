#pragma once
// ShardCensus: looks at the disks. What the metadata call durable must lie there, soundly, on the
// durable view of the server's disk, at any time, whoever is up: reads through the cluster cannot
// tell, since they are content with any k shards of a block.
//
// An excuse is as narrow as the damage: a file whose own bytes were spoiled, or a shard of a node
// whose whole disk was lost. Everything else that is missing, unsynced, stale or wrong is a
// violation, on whichever server.
//
// In reverse, a shard file that no row names: of a block that was never allocated, on a server that
// its row does not name, or of a shard that had been recorded as durable and whose deletion was
// confirmed, it is a violation. Not demanded, because nothing promises it yet: that what a writer
// left behind whose block was never committed, or whose copy arrived after the block was gone,
// disappears. Such orphans are only counted, until the cluster collects them.
//
// Pure. The state must be of a log that holds everything that any server has applied.

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/chunk/shard_file.h"
#include "core/namespace/schema.h"
#include "core/namespace/state_machine.h"
#include "sim/check/durable_disk.h"
#include "sim/check/durable_log.h"
#include "sim/check/linearizability.h"
#include "sim/check/violation.h"

namespace dogfs::sim {

struct CensusCounts {
  uint64_t shards = 0;   // found sound
  uint64_t stripes = 0;  // whose sound cells were seen to be one code word
  uint64_t excused = 0;  // shards
  uint64_t orphans = 0;
  uint64_t logs = 0;  // of append blocks, found sound
};

class ShardCensus {
 public:
  using Disks = std::vector<const DurableDisk*>;

  // All outlive it.
  ShardCensus(const metadata::StateMachine& state, const Disks& disks, CensusCounts& counts,
              Violations& violations);

  // Every sealed block. kDurability for a shard that is not there, soundly, and for a block whose
  // sound shards are not all of one code word.
  void check_blocks();
  // The blocks of one file, at the moment that its writer is told it is done: as check_blocks(),
  // and at least min_shards of each must have become durable (P2).
  void check_acknowledged(metadata::FileHandle file);
  // The logs of a block that bytes of a file were moved to, which end there: as of a packed put.
  void check_moved(BlockId block, uint64_t end);
  // An append block, at the moment that its length is fixed: its holders have its bytes and the
  // epoch of its seal durably (kDurability, kPersistence) and alike (kInvariants).
  void check_sealed(BlockId id);
  // kInvariants for a shard file that should not be. `commands` is the log that made the state.
  void check_files(const std::vector<CommittedCommand>& commands);

 private:
  struct Sound {
    uint32_t shard;
    ByteView bytes;  // without table and footer
  };

  // Shards that are sound or excused.
  uint32_t check_block(BlockId id, const metadata::BlockRow& row);
  // Nothing when there is an excuse for whatever is there.
  std::optional<Result<DurableLog>> look_at_log(const chunk::ShardName& name, NodeId node) const;
  // Holders of an append log that are sound or excused, and hold the same bytes.
  uint32_t check_logs(BlockId id, const metadata::BlockRow& row);
  void check_packed(BlockId id, const metadata::BlockRow& row, uint64_t end);
  void check_code(BlockId id, const ec::StripeShape& shape, const std::vector<Sound>& sound);
  void check_file(const DurableDisk& disk, NodeId node, const chunk::ShardName& name,
                  const std::set<chunk::ShardName>& committed);
  const DurableDisk* disk_of(NodeId node) const;

  const metadata::StateMachine& state_;
  const Disks& disks_;
  CensusCounts& counts_;
  Violations& violations_;
};

}  // namespace dogfs::sim
