#pragma once
// The file "peers" of a metadata server's data directory: where the members of its group are, as
// the cluster map said last. The map itself is known only when the log is committed, and to commit
// it the others must be reached: servers that joined later are in nobody's configuration file.

#include <map>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/env/env.h"
#include "core/env/network.h"

namespace dogfs::nodes {

using PeerAddresses = std::map<NodeId, Address>;

// Nothing when there is no file, or none that can be read: it is a hint.
Task<PeerAddresses> read_peer_file(Env& env);
// Durable when it returns.
Task<Result<void>> write_peer_file(Env& env, PeerAddresses addresses);

}  // namespace dogfs::nodes
