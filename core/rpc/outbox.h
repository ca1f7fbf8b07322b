#pragma once
// Outbox: the frames of one side of a connection that wait to be written. Frames with a body wait
// in order for the peer's credit; small control frames go first and need none. Pure bookkeeping:
// the connection's writer takes, everybody else pushes. Outlives the tasks that use it.

#include <cstdint>
#include <deque>
#include <optional>

#include "core/base/buffer.h"
#include "core/base/time.h"
#include "core/env/event.h"
#include "core/rpc/frame.h"

namespace dogfs::rpc {

struct Outgoing {
  FrameHeader header;
  Buffer message;
  Buffer bulk;
  std::optional<uint32_t> bulk_crc = std::nullopt;  // as in Reply
  Instant deadline = kNever;  // requests; turned into what is left when written
};

class Outbox {
 public:
  using Ticket = uint64_t;

  explicit Outbox(Env& env) : changed_(env) {}

  // The frame's lengths are filled in here.
  Ticket push(Outgoing frame);
  // True if the frame was still here, and thus was not and will not be written.
  bool withdraw(Ticket ticket);
  // False when too many wait, which a peer that reads never lets happen.
  [[nodiscard]] bool push_control(const FrameHeader& header);
  // The last frame of this connection; nothing is taken after it.
  void push_goodbye(const Ending& ending);

  // A new connection: `credit` bytes may be under way, and nothing of the former one is left but
  // frames that wait.
  void restart(uint64_t credit);
  // Credit came back; false if that makes more than there was.
  [[nodiscard]] bool grant(uint64_t bytes);
  void clear();

  // The next frame that may be written now.
  std::optional<Outgoing> take();
  bool sendable() const;
  bool said_goodbye() const { return said_goodbye_; }
  Task<> wait() { return changed_.wait(); }

  size_t size() const { return size_; }
  uint64_t bytes() const { return bytes_; }  // cost of the waiting frames with a body

 private:
  void drop_empty_front();

  Event changed_;
  std::deque<FrameHeader> control_;
  std::optional<Outgoing> goodbye_;
  // By ticket, from first_ticket_ on; a withdrawn one leaves an empty place, never in front.
  std::deque<std::optional<Outgoing>> frames_;
  Ticket first_ticket_ = 1;
  size_t size_ = 0;  // of frames_, without the empty places
  uint64_t bytes_ = 0;
  uint64_t credit_ = 0;
  uint64_t window_ = 0;
  bool said_goodbye_ = false;
};

}  // namespace dogfs::rpc
