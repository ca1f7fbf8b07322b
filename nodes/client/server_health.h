#pragma once
// ServerHealth: what this client saw of the chunk servers lately: which failed or were slow a
// moment ago, and how long reads take. Reads ask others first, writes give up sooner on those that
// failed; nothing is ever refused because of it. A plain object of one Client.

#include <algorithm>
#include <array>
#include <map>

#include "core/base/ids.h"
#include "core/base/time.h"

namespace dogfs::nodes {

class ServerHealth {
 public:
  void failed(NodeId server, Instant now) { failures_[server] = now; }
  void answered(NodeId server) {
    failures_.erase(server);
    slow_.erase(server);
    laggards_.erase(server);
  }
  // A block was settled without it, because it held the others up.
  void lagged(NodeId server, Instant now) { laggards_[server] = now; }
  // A read took longer than hedge_after(): for reads only it is as if it had failed.
  void was_slow(NodeId server, Instant now) { slow_[server] = now; }

  bool doubtful(NodeId server, Instant now) const { return recent(failures_, server, now); }
  bool laggard(NodeId server, Instant now) const { return recent(laggards_, server, now); }
  bool doubtful_for_reads(NodeId server, Instant now) const {
    return doubtful(server, now) || recent(slow_, server, now);
  }

  // A read was answered after so long.
  void took(Duration latency);
  // A read that takes longer is out of the ordinary: twice what one in twenty exceeded lately, not
  // below a floor that scheduling alone may cost, at most `longest`, which it is while little is
  // known.
  Duration hedge_after(Duration longest) const;

 private:
  static constexpr Duration kMemory = 5s;
  static constexpr Duration kHedgeFloor = 50ms;
  static constexpr size_t kRemembered = 128;
  static constexpr size_t kEnough = 16;
  static constexpr size_t kRenewEvery = 16;

  static bool recent(const std::map<NodeId, Instant>& events, NodeId server, Instant now) {
    const auto found = events.find(server);
    return found != events.end() && now - found->second < kMemory;
  }

  std::map<NodeId, Instant> failures_;  // the last one of each
  std::map<NodeId, Instant> slow_;
  std::map<NodeId, Instant> laggards_;
  std::array<Duration, kRemembered> latencies_{};  // a ring
  size_t seen_ = 0;
  Duration exceeded_by_few_{};  // by one in twenty of latencies_, from time to time
};

inline void ServerHealth::took(Duration latency) {
  latencies_[seen_++ % kRemembered] = latency;
  if (seen_ % kRenewEvery != 0) return;
  auto sorted = latencies_;
  const size_t count = std::min(seen_, kRemembered);
  const auto place = sorted.begin() + static_cast<std::ptrdiff_t>(count - 1 - count / 20);
  std::nth_element(sorted.begin(), place, sorted.begin() + static_cast<std::ptrdiff_t>(count));
  exceeded_by_few_ = *place;
}

inline Duration ServerHealth::hedge_after(Duration longest) const {
  if (seen_ < kEnough) return longest;
  return std::clamp(2 * exceeded_by_few_, std::min(kHedgeFloor, longest), longest);
}

}  // namespace dogfs::nodes
