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
#include "core/proto/cluster_codec.h"
#include "core/rpc/server.h"

namespace dogfs::proto {
class HeartbeatReply;
}

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
  int64_t lost = 0;         // verdicts against shards and logs
  // Append blocks that are damaged, or sealed, at every heartbeat.
  bool hands_out_appends = false;
  int reports = 0;                                      // shards that were reported
  std::map<NodeId, proto::CompactionReport> compacted;  // as each server said last
  // What a client sends, changed before it is executed, as one that lies would have said it.
  std::function<void(metadata::Operation&)> falsify = [](metadata::Operation&) {};
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
  void hand_out_appends(NodeId node, proto::HeartbeatReply& reply) const;
  Task<> serve(Nursery& children);
  void watch();

  Env& env_;
  MetadataModel& model_;
  const Address address_;
  rpc::Server server_;
  std::map<NodeId, Instant> heard_;
};

}  // namespace dogfs::nodes::testing
