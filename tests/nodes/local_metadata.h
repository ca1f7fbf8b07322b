#pragma once
// LocalMetadata: a metadata server for tests of clients and chunk servers: the real state machine,
// applied at once, without a log or Raft. It judges liveness, orders deletion without grace, hands
// out blocks to be compacted, and can lose replies. The state is the test's and outlives the
// process that serves it.

#include <functional>
#include <map>
#include <vector>

#include "core/env/env.h"
#include "core/namespace/state_machine.h"
#include "core/rpc/server.h"

namespace dogfs::nodes::testing {

struct MetadataModel {
  MetadataModel(ClusterId cluster, placement::Policy policy, uint64_t block_bytes,
                uint32_t cell_bytes, uint32_t inline_bytes = 0);
  metadata::Response apply(metadata::Operation operation);

  metadata::StateMachine machine;
  uint64_t index = 0;
  const ClusterId cluster;
  Duration suspect_after = 1500ms;
  // What a test sees and turns.
  int executed = 0;         // commands that reached the machine, repeated ones included
  int replies_to_lose = 0;  // of the next commands
  bool compacts = false;    // hands sparse blocks out, at every heartbeat
  int moves = 0;            // of bytes in packs, that were done
  int reports = 0;          // shards that were reported
};

class LocalMetadata {
 public:
  LocalMetadata(Env& env, MetadataModel& model, Address address);
  Task<> run();

 private:
  Task<Result<rpc::Reply>> execute(rpc::Call call);
  Task<Result<rpc::Reply>> query(rpc::Call call);
  Task<Result<rpc::Reply>> register_node(rpc::Call call);
  Task<Result<rpc::Reply>> heartbeat(rpc::Call call);
  Task<Result<rpc::Reply>> shard_report(rpc::Call call);
  rpc::Reply answer(std::string body) const;
  NodeId first_live(const std::vector<NodeId>& nodes) const;
  Task<> serve(Nursery& children);
  void watch();

  Env& env_;
  MetadataModel& model_;
  const Address address_;
  rpc::Server server_;
  std::map<NodeId, Instant> heard_;
};

}  // namespace dogfs::nodes::testing
