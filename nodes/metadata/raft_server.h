#pragma once
// RaftServer: the replicated half of a metadata server: its data directory (identity, write-ahead
// log, snapshots), its raft host and its connections to the other members, for whatever
// ReplicatedState it is given. Owned by the node; the state outlives it.
//
// A blank data directory is given a new store id, and a member is known by node and store id: a
// server that lost its directory never votes with what it forgot. Only a bootstrap, once and
// explicitly, makes a blank directory a voter. A damaged directory is as good as lost: where there
// are other members to heal from, it is set aside for a person and is blank from then on.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/env/network.h"
#include "core/rpc/client.h"
#include "core/rpc/server.h"
#include "core/wal/wal.h"
#include "nodes/metadata/raft_host.h"
#include "nodes/metadata/raft_peers.h"

namespace dogfs::nodes {

struct MetadataPeer {
  NodeId node;
  std::string name;  // "meta-2"
  Address address;   // as others reach it
};

// Given to the first members of a new cluster at their first start, and never again, or a server
// that lost its directory would vote with what it forgot.
struct Bootstrap {
  StoreId store;                     // of this server
  std::vector<raft::Member> voters;  // all first members, this one included
};

struct RaftServerOptions {
  NodeId node;
  ClusterId cluster;
  std::vector<MetadataPeer> peers;  // metadata servers that are known beforehand, this one, too
  std::vector<Address> seeds;       // further ones, to ask for the group
  std::optional<Bootstrap> bootstrap;
  // Called, if set, when the directory belongs to this server durably, before it takes part in the
  // group: from then on a bootstrap must not be given again. An error ends the server.
  std::function<Result<void>()> founded;
  Duration tick = RaftHostOptions().tick;
  uint64_t snapshot_after_bytes = 16 * limits::kMiB;
  uint64_t tail_entries = 1024;                       // kept behind a snapshot for slow followers
  uint64_t segment_bytes = limits::kWalSegmentBytes;  // of the log
  uint64_t reserve_bytes = 0;                   // of disk, for votes and removals when it is full
  std::optional<uint64_t> lease_drift_percent;  // as raft::Options; absent: no leader lease
  metadata::RaftObserver* observer = nullptr;
};

class RaftServer {
 public:
  // Reads the directory back. kPrecondition: it belongs to another cluster or node; kCorrupt: the
  // log is damaged, and there are no peers; kUnsupported; kIo.
  static Task<Result<std::unique_ptr<RaftServer>>> open(Env& env, RaftServerOptions options,
                                                        ReplicatedState& state);
  RaftServer(const RaftServer&) = delete;
  RaftServer& operator=(const RaftServer&) = delete;

  // The calls of other members.
  void register_with(rpc::Server& server);
  // Takes part in the group until that fails or is cancelled.
  Task<Result<void>> run();

  const rpc::Identity& identity() const { return identity_; }
  RaftHost& host() { return host_; }
  RaftPeers& peers() { return peers_; }
  // Its connections; run() keeps them.
  rpc::Client& client() { return client_; }

 private:
  // What open() found.
  struct Found {
    StoreId store;
    bool blank = false;                       // no identity yet
    std::optional<raft::SnapshotMeta> birth;  // to be written before anything else
    std::unique_ptr<wal::Wal> wal;
    raft::Recovered recovered;
  };
  RaftServer(Env& env, const RaftServerOptions& options, Found found, ReplicatedState& state);
  static Task<Result<Found>> read_back(Env& env, RaftServerOptions options);
  static Task<Result<Found>> read_back_log(Env& env, RaftServerOptions options,
                                           std::optional<StoreId> store);
  Task<Result<void>> make_whole();
  Task<> receive_messages(rpc::Call call);
  Task<Result<rpc::Reply>> receive_snapshot_piece(rpc::Call call);
  Task<> drive(Nursery& children);

  Env& env_;
  const bool has_peers_;
  const rpc::Identity identity_;
  Found found_;
  rpc::Client client_;
  RaftPeers peers_;
  RaftHost host_;
  const std::function<Result<void>()> founded_;
  std::optional<Error> ended_;
};

}  // namespace dogfs::nodes
