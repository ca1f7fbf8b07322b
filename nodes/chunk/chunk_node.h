#pragma once
// ChunkNode: one chunk server. It owns the shard store, the upload sessions, the rpc server and
// client and the heartbeat, and runs them in one nursery. The object lives in the frame of the
// node's root task, in either world.
//
// A blank data directory joins the cluster as a new server: it draws a store id, is given a node id
// by the cluster, and only then becomes a store. From then on the directory says who it is; a
// server that lost its directory is another server.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/chunk/store_identity.h"
#include "core/env/event.h"
#include "core/env/network.h"
#include "core/env/task.h"
#include "nodes/chunk/heartbeat.h"

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
  std::string directory;        // "" is the disk's root
  bool format_if_blank = true;  // false: kNotFound for a blank directory
  Duration heartbeat_interval = 500ms;
  Duration upload_silence = 30s;  // then an upload is given up
};

class ChunkNode {
 public:
  ChunkNode(Env& env, ChunkNodeOptions options);
  ~ChunkNode();
  ChunkNode(const ChunkNode&) = delete;
  ChunkNode& operator=(const ChunkNode&) = delete;

  // Serves until it fails or is cancelled. kPrecondition: the directory belongs to another cluster,
  // or has shards and no identity; kExists: the address is in use; kNotFound: blank and not to be
  // formatted; kDenied, kInvalid: the cluster refuses it for good; kCorrupt, kUnsupported, kIo,
  // kNoSpace: the disk.
  Task<Result<void>> run();

  // 0 until it is known. The map is empty until the first heartbeat was answered.
  NodeId id() const;
  const placement::ClusterMap& cluster_map() const;

 private:
  struct Parts;
  Task<> serve(Nursery& children, std::optional<chunk::StoreIdentity> identity,
               std::unique_ptr<Listener> listener);
  Task<Result<void>> open(std::optional<chunk::StoreIdentity> identity, Address listening);
  Task<Result<chunk::StoreIdentity>> join(Registration registration);
  Task<> stay_known();

  Env& env_;
  const ChunkNodeOptions options_;
  std::unique_ptr<Parts> parts_;
  Event failed_;
  std::optional<Error> failure_;
};

}  // namespace dogfs::nodes
