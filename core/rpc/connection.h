#pragma once
// Connection: one stream after it was opened, on either side. First the handshake (greet on the
// side that connected, welcome on the other), then run(): a reader, a writer and a watch over
// silence, until the connection ends. What a request or a reply means is the Receiver's business:
// a client's Channel or a server's Session.
//
// A connection never holds more of what it received than its window: the reader refuses what goes
// beyond, and the peer gets credit back only through consumed(). README.md shows why that cannot
// lead to a deadlock.

#include <expected>
#include <optional>

#include "core/env/event.h"
#include "core/rpc/frame_reader.h"
#include "core/rpc/outbox.h"
#include "core/rpc/types.h"

namespace dogfs {
class Nursery;
}

namespace dogfs::rpc {

class Connection {
 public:
  class Receiver {
   public:
    virtual ~Receiver() = default;
    // A checked frame of type request, response, one-way or cancel. Must not wait. An Ending ends
    // the connection.
    virtual std::optional<Ending> receive(Frame frame) = 0;
    // Frames were taken from the outbox and written.
    virtual void wrote() {}
  };

  Connection(Env& env, Stream stream, const Options& options, Stats& stats);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The handshake. If it fails on our judgement the peer has been told why, when that was possible.
  // Who greets limits the time; a welcome ends by itself after Options::connect_limit.
  Task<std::expected<Peer, Ending>> greet(Identity self);
  Task<std::expected<Peer, Ending>> welcome(Identity self);
  // Says goodbye instead of a handshake.
  Task<> turn_away(Ending ending);

  // After a handshake. Returns why it ended; both outlive it.
  Task<Ending> run(Outbox& outbox, Receiver& receiver);
  // What cost that much is no longer held. Only while run() runs is it of any effect.
  void consumed(uint64_t cost);
  uint64_t held() const { return options_.window - reader_.credit() - owed_; }

 private:
  Task<std::expected<Peer, Ending>> read_hello(FrameType expected, Identity self);
  Task<std::expected<Peer, Ending>> answer_hello(Identity self);
  Task<std::optional<Ending>> write_now(Outgoing frame);
  Task<> work(Nursery& children, Outbox& outbox, Receiver& receiver);
  Task<> read(Outbox& outbox, Receiver& receiver);
  Task<> write(Outbox& outbox, Receiver& receiver);
  Task<> watch(Outbox& outbox);
  Task<> part(Outbox& outbox);
  std::optional<Ending> dispatch(Frame frame, Outbox& outbox, Receiver& receiver);
  // The first ending counts.
  void end(Ending ending);

  Env& env_;
  Stream stream_;
  const Options& options_;
  Stats& stats_;
  FrameReader reader_;
  Outbox* outbox_ = nullptr;  // while run() runs
  uint64_t owed_ = 0;         // consumed, and not yet given back
  std::optional<Ending> ending_;
  Event ended_;
  Event reader_done_;
  Event writer_done_;
};

}  // namespace dogfs::rpc
