#pragma once
// The two forms of proto::MetadataReply: what the leader answers, and, from a server that does not
// lead, where the leader is. Pure; every service of a metadata server answers by them.
// The client's side is nodes/client/metadata_calls.h.

#include <string_view>

#include "core/raft/core.h"
#include "core/rpc/server.h"
#include "nodes/metadata/raft_peers.h"

namespace dogfs::nodes {

// `body` is the answer itself, as of the state with everything up to `index`.
rpc::Reply leader_reply(LogIndex index, std::string_view body);

// For who came to a server that does not lead.
rpc::Reply redirection(const raft::Core& core, const RaftPeers& peers);

}  // namespace dogfs::nodes
