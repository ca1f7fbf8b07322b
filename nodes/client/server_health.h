#pragma once
// ServerHealth: which chunk servers failed this client a moment ago. Reads ask others first, and
// writes give up on them sooner; nothing is ever refused because of it. A plain object of one
// Client.

#include <map>

#include "core/base/ids.h"
#include "core/base/time.h"

namespace dogfs::nodes {

class ServerHealth {
 public:
  void failed(NodeId server, Instant now) { failures_[server] = now; }
  void answered(NodeId server) { failures_.erase(server); }
  bool doubtful(NodeId server, Instant now) const {
    const auto found = failures_.find(server);
    return found != failures_.end() && now - found->second < kMemory;
  }

 private:
  static constexpr Duration kMemory = 5s;
  std::map<NodeId, Instant> failures_;  // the last one of each
};

}  // namespace dogfs::nodes
