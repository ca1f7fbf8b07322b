#pragma once
// The few values that both sides of a connection speak of: who is there, what a call and its reply
// carry, what is counted, and the times and bounds that may be set.

#include <array>
#include <cstdint>
#include <optional>

#include "core/base/buffer.h"
#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/time.h"
#include "core/env/network.h"
#include "core/rpc/frame.h"
#include "core/rpc/method.h"

namespace dogfs::rpc {

// What a node says of itself in the handshake.
struct Identity {
  ClusterId cluster;   // zero: not known yet; takes any cluster, and a Client keeps to the first
  NodeId node;         // zero: a client
  StoreId store;       // of the data directory; zero for a client
  Buffer credentials;  // opaque, at most limits::kCredentialBytesMax
};

// What the other side said of itself, and where it is.
struct Peer {
  Identity identity;
  Address address;
  uint16_t version = 0;  // agreed format version of frames
  uint64_t window = 0;   // bytes that may be under way to it
};

struct Reply {
  Buffer message;
  Buffer bulk;
  // CRC32C of bulk. Whoever sends bytes that were checked before gives it, and saves a pass over
  // them; of what came in it was computed when the frame was checked. Absent: not known.
  std::optional<uint32_t> bulk_crc = std::nullopt;
};

// A request as its handler gets it.
struct Call {
  Method method{};
  Peer peer;
  Buffer message;
  Buffer bulk;
  std::optional<uint32_t> bulk_crc = std::nullopt;  // as in Reply
  Instant deadline = kNever;  // by this node's clock; the caller has given up then
};

struct Options {
  Duration connect_limit = 2s;  // connect and handshake; of a server, the handshake
  Duration backoff_min = 50ms;  // after a failed connect; doubles, with jitter
  Duration backoff_max = 1s;
  Duration ping_after = 2s;                          // nothing heard for this long
  Duration silent_limit = 8s;                        // then the connection is taken for dead
  Duration linger = 300ms;                           // to let the peer read why it is refused
  uint64_t window = limits::kConnectionWindowBytes;  // received bytes held for handlers or callers
};

// Counts since the start, for status. Indexed by Reason: why connections were ended.
struct Stats {
  uint64_t frames_sent = 0;
  uint64_t frames_received = 0;
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  uint64_t connections = 0;  // handshakes that succeeded
  uint64_t connect_failures = 0;
  uint64_t calls = 0;
  uint64_t calls_busy = 0;  // refused for a full queue or a busy server
  uint64_t one_ways_dropped = 0;
  uint64_t copied_bytes = 0;    // of bodies, on their way between a socket and whoever uses them
  uint64_t held_bytes_max = 0;  // most that one connection ever held of what it received
  std::array<uint64_t, kReasonCount> endings{};
};

}  // namespace dogfs::rpc
