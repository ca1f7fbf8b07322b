#pragma once
// ChunkNode: one chunk server. It owns the disks with their shards, the upload sessions, the rpc
// server and client and the heartbeat, and runs them in one nursery. The object lives in the frame
// of the node's root task, in either world.
//
// A server whose data directories are all blank joins the cluster as a new one: it draws a store
// id, is given a node id by the cluster, and only then they become stores. From then on each of
// them says who it is; only one that lost them all is another server (core/chunk/disks.h).

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/chunk/disks.h"
#include "core/env/event.h"
#include "core/env/network.h"
#include "core/env/task.h"
#include "nodes/chunk/append_limits.h"
#include "nodes/chunk/compactor.h"
#include "nodes/chunk/heartbeat.h"
#include "nodes/chunk/scrub.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::nodes {

struct ChunkNodeOptions {
  std::string name;   // "chunk-3"
  std::string zone;   // "" is a zone of its own
  ClusterId cluster;  // 0: the cluster of the first metadata server that answers
  Address listen;
  Address advertise;  // as others reach it; port 0: the one that listen got
  std::vector<Address> metadata;
  std::vector<chunk::DataDirectory> directories = {chunk::DataDirectory()};  // one a disk
  bool replace_lost = false;    // blank ones take the place of those that are missing
  bool format_if_blank = true;  // false: kNotFound for a blank directory
  Duration heartbeat_interval = 500ms;
  ScrubOptions scrub;
  Duration upload_silence = 30s;  // then an upload is given up
  Duration shard_lag = 3s;        // of conversions, as of ClientOptions
  AppendLimits append;
  CompactorOptions compaction;
};

class ChunkNode {
 public:
  ChunkNode(Env& env, ChunkNodeOptions options);
  ~ChunkNode();
  ChunkNode(const ChunkNode&) = delete;
  ChunkNode& operator=(const ChunkNode&) = delete;

  // Serves until it fails or is cancelled. kPrecondition: a directory belongs to another cluster or
  // server, or all are blank and one has shards and no identity; kExists: the address is in use;
  // kNotFound: blank and not to be formatted; kDenied, kInvalid: the cluster refuses it for good;
  // kCorrupt, kUnsupported, kIo, kNoSpace: the disks, all of them.
  Task<Result<void>> run();

  // 0 until it is known. The map is empty until the first heartbeat was answered.
  NodeId id() const;
  const placement::ClusterMap& cluster_map() const;
  // Bytes of shards that were copied from one piece of memory to another on their way, so far.
  uint64_t copied_bytes() const;

 private:
  struct Parts;
  Task<> serve(Nursery& children, std::optional<chunk::StoreIdentity> identity,
               std::unique_ptr<Listener> listener);
  Task<Result<void>> open(std::optional<chunk::StoreIdentity> identity, Address listening);
  Task<Result<chunk::StoreIdentity>> join(Registration registration);
  Task<> stay_known();
  Task<> watch_disks();
  void end(Error failure);

  Env& env_;
  const ChunkNodeOptions options_;
  std::unique_ptr<chunk::Disks> disks_;
  std::unique_ptr<Parts> parts_;
  Event failed_;
  std::optional<Error> failure_;
};

}  // namespace dogfs::nodes
