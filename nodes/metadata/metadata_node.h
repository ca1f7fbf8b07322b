#pragma once
// MetadataNode: one metadata server: the replicated state, the calls it answers and, while it
// leads, the loops that keep the cluster in order. The object lives in the frame of the node's root
// task, in either world.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/placement/policy.h"
#include "nodes/metadata/admission.h"
#include "nodes/metadata/append_tasks.h"
#include "nodes/metadata/compaction.h"
#include "nodes/metadata/deletion.h"
#include "nodes/metadata/expiry.h"
#include "nodes/metadata/liveness.h"
#include "nodes/metadata/metadata_state.h"
#include "nodes/metadata/raft_server.h"
#include "nodes/metadata/trash.h"

namespace dogfs::nodes {

// What a new cluster is to be. Its first leader records it; later it is ignored.
struct Founding {
  placement::Policy policy;  // of directories that set none
  uint64_t block_bytes = limits::kBlockBytesDefault;
  uint32_t cell_bytes = limits::kCellBytesDefault;
  uint32_t inline_bytes = limits::kInlineBytesDefault;
};

struct MetadataNodeOptions {
  RaftServerOptions raft;
  std::string name;  // of this server, if no peer is it
  Address listen;
  Address advertise;  // where others reach it, if no peer is it; empty: `listen`
  Founding founding;
  LivenessOptions liveness;
  ExpiryOptions expiry;
  DeletionOptions deletion;
  AppendTaskOptions append_tasks;
  CompactionOptions compaction;
  TrashOptions trash;
};

class MetadataNode {
 public:
  MetadataNode(Env& env, MetadataNodeOptions options);
  ~MetadataNode();
  MetadataNode(const MetadataNode&) = delete;
  MetadataNode& operator=(const MetadataNode&) = delete;

  // Serves until it fails or is cancelled. Errors of RaftServer::open; kExists: the address is in
  // use; kIo: the disk failed.
  Task<Result<void>> run();

 private:
  struct Parts;
  Task<> serve(Nursery& children, std::unique_ptr<Listener> listener);
  Task<> announce();
  Admission::Self self() const;
  std::vector<Address> seeds() const;
  Task<> learn_addresses();
  std::vector<metadata::Operation> missing() const;
  bool is_news(const placement::Node& known) const;

  Env& env_;
  const MetadataNodeOptions options_;
  MetadataState state_;
  std::unique_ptr<Parts> parts_;
  PeerAddresses known_;
  std::optional<Error> failure_;
};

}  // namespace dogfs::nodes
