#pragma once
// Connection: one simulated TCP connection, shared by its two sockets and by the events of its
// pieces in flight. It owns bytes, never handlers: readers and writers wait in the operations of
// their own process, and stale references are simply ignored.

#include <array>
#include <deque>
#include <memory>
#include <span>
#include <string>

#include <boost/asio/buffer.hpp>

#include "core/base/time.h"
#include "core/env/network.h"

namespace dogfs::sim {

class Fabric;
class Process;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  enum class Side { kClient = 0, kServer = 1 };
  static Side other(Side side) { return side == Side::kClient ? Side::kServer : Side::kClient; }

  Connection(Fabric& fabric, Process& client, Process& server, Address client_address,
             Address server_address);

  // The application's calls (see Socket).
  void read(Side side, asio::mutable_buffer into, OperationRef op);
  void write(Side side, std::span<const asio::const_buffer> from, OperationRef op);
  void close(Side side);

  // The side's process died and its kernel says so to the peer.
  void reset_by(Side side);
  // The side lost power: it takes no part any more.
  void vanish(Side side);
  // Both ends see a reset (a middlebox, a failing cable).
  void reset_both();
  bool open() const { return !ends_[0].failure && !ends_[1].failure; }

  Process& process(Side side) const { return *end(side).process; }
  Address address(Side side) const { return end(side).address; }
  bool touches(const Process& process) const {
    return ends_[0].process == &process || ends_[1].process == &process;
  }
  // The link from host to host works again: pieces that wait may arrive.
  void retry(Side to);

 private:
  enum class Kind { kBytes, kEnd, kReset };
  struct Piece {
    Kind kind;
    std::string bytes;
    Instant arrives;
  };
  // One end: what it receives and who waits there.
  struct End {
    Process* process;
    Address address;
    bool closed = false;    // by its application
    bool vanished = false;  // lost power
    error_code failure;     // what its application now sees instead of bytes
    bool end_seen = false;  // the peer will send no more
    std::string received;   // arrived and not yet read
    size_t read_offset = 0;
    size_t window_used = 0;  // bytes towards this end that it has not read
    OperationRef reader;
    asio::mutable_buffer read_into;
    OperationRef writer;
    std::vector<asio::const_buffer> write_from;
    std::deque<Piece> incoming;  // in flight towards this end
    Instant last_arrival{};
    bool retransmitting = false;
  };

  // What a peer may have sent without its being read: the two socket buffers together.
  static constexpr size_t kWindowBytes = 512 * 1024;

  End& end(Side side) { return ends_[static_cast<size_t>(side)]; }
  const End& end(Side side) const { return ends_[static_cast<size_t>(side)]; }

  void send(Side to, Kind kind, std::string bytes);
  void arrive(Side to);
  void accept_piece(Side to, Piece piece);
  void serve_reader(Side side);
  void serve_writer(Side side);
  void fail(Side side, error_code failure);
  void start_timeout(Side to);

  Fabric& fabric_;
  std::array<End, 2> ends_;
};

// One side of a connection, owned by the Stream of a process.
class ConnectionSocket final : public Socket {
 public:
  ConnectionSocket(std::shared_ptr<Connection> connection, Connection::Side side)
      : connection_(std::move(connection)), side_(side) {}
  ~ConnectionSocket() override { connection_->close(side_); }

  void read(asio::mutable_buffer into, OperationRef op) override {
    connection_->read(side_, into, op);
  }
  void write(std::span<const asio::const_buffer> from, OperationRef op) override {
    connection_->write(side_, from, op);
  }
  void close() override { connection_->close(side_); }
  Address peer() const override { return connection_->address(Connection::other(side_)); }

 private:
  std::shared_ptr<Connection> connection_;
  Connection::Side side_;
};

}  // namespace dogfs::sim
