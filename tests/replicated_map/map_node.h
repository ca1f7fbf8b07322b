#pragma once
// A three-node replicated map: the smallest thing that stands on the whole ground (seam, rpc, log,
// Raft), in either world. Used only by tests. Keys and values are text; every write appends to its
// key's value, so that a lost, repeated or reordered write shows.

#include <map>
#include <string>
#include <vector>

#include "core/rpc/server.h"
#include "nodes/metadata/raft_server.h"
#include "nodes/metadata/replicated_state.h"

namespace dogfs::nodes {

class MapState final : public ReplicatedState {
 public:
  // A command is "KEY VALUE"; the answer is the key's whole value afterwards.
  Result<Buffer> apply(LogIndex index, const Buffer& command) override;
  void skip(LogIndex index) override { applied_ = index; }
  uint64_t digest() const override;
  std::unique_ptr<Frozen> freeze() override;
  std::unique_ptr<Restoring> begin_restore() override;

  std::string get(const std::string& key) const;

 private:
  friend class MapRestoring;
  LogIndex applied_;
  std::map<std::string, std::string> values_;
};

struct MapNodeOptions {
  RaftServerOptions raft;
  Address listen;
};

// Of the server with this number, from 1, among those at the addresses, at its first start: it
// founds the group with the others. Later starts go without raft.bootstrap.
MapNodeOptions map_node_options(int number, const std::vector<Address>& servers);

// A server: append(KEY VALUE) by kMetadataExecute, get(KEY) by kMetadataQuery, plain text both.
class MapNode {
 public:
  MapNode(Env& env, MapNodeOptions options) : env_(env), options_(std::move(options)) {}
  Task<Result<void>> run();

 private:
  Task<> serve(Nursery& children, std::unique_ptr<Listener> listener);
  Task<Result<rpc::Reply>> append(rpc::Call call);
  Task<Result<rpc::Reply>> get(rpc::Call call);

  Env& env_;
  const MapNodeOptions options_;
  MapState state_;
  std::unique_ptr<RaftServer> raft_;
  std::unique_ptr<rpc::Server> server_;
  std::optional<Error> failure_;
};

// The main of a server process: the node lives in this frame.
Task<> map_node_main(Env& env, MapNodeOptions options);

}  // namespace dogfs::nodes
