#pragma once
// FrameReader: frames from a stream, one after the other, each checked before anybody sees it. A
// body is read into memory of its own, allocated only when its header has been believed. Belongs to
// one connection; the stream outlives it.

#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/env/network.h"
#include "core/rpc/types.h"

namespace dogfs {
class Env;
}

namespace dogfs::rpc {

class FrameReader {
 public:
  FrameReader(Env& env, Stream& stream, Stats& stats);

  // The next frame, or why there is none: then the connection is over.
  Task<std::expected<Frame, Ending>> next();
  // The same for a frame that is there already, whole; nothing when next() has to wait.
  std::optional<std::expected<Frame, Ending>> next_read();
  // What the peer may still send. A frame that costs more is refused unread; none before a grant.
  uint64_t credit() const { return credit_; }
  void grant(uint64_t bytes) { credit_ += bytes; }
  // Reads and forgets until the stream ends or fails, so that the peer can read our goodbye.
  Task<> drain();
  // When bytes last came.
  Instant heard() const { return heard_; }

 private:
  Task<std::expected<size_t, Ending>> read_some(asio::mutable_buffer into);
  Task<std::expected<void, Ending>> fill(size_t bytes);
  Task<std::expected<Buffer, Ending>> read_body(size_t bytes);
  // A header that was believed and stands at begin_ is paid for and used up.
  std::optional<Ending> take(const FrameHeader& header);
  Buffer take_read(size_t bytes);
  std::expected<Frame, Ending> checked(const FrameHeader& header, Buffer message, Buffer bulk);

  Env& env_;
  Stream& stream_;
  Stats& stats_;
  Instant heard_;
  std::vector<uint8_t> ahead_;  // read, from begin_ to end_ not yet used
  size_t begin_ = 0;
  size_t end_ = 0;
  bool within_frame_ = false;
  uint64_t credit_ = 0;
};

}  // namespace dogfs::rpc
