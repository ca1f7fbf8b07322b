#pragma once
// Network: connect and listen, giving byte streams. In one world TCP, in the other an in-memory
// network with latency, partitions and resets.
//
// A Stream models Asio's AsyncReadStream and AsyncWriteStream, so asio::async_read, async_write and
// Boost.Beast work on it in both worlds. It belongs to one node and is closed when destroyed. One
// read and one write may be under way at a time. After a timed-out or cancelled read or write
// close it: part of a message may have been taken.

#include <array>
#include <memory>
#include <span>
#include <string>

#include <boost/asio/async_result.hpp>
#include <boost/asio/buffer.hpp>

#include "core/base/error.h"
#include "core/env/operations.h"

namespace dogfs {

struct Address {
  std::string host;
  uint16_t port = 0;

  // "host:port"; kInvalid for anything else.
  static Result<Address> parse(std::string_view text);
  std::string to_string() const;
  auto operator<=>(const Address&) const = default;
};

// What a world implements of a stream. Memory lent to read and write may be touched only while the
// operation is pending. Failures are Asio errors: eof, connection_reset, broken_pipe, timed_out,
// operation_aborted (cancelled or closed here).
class Socket {
 public:
  virtual ~Socket() = default;  // closes
  // Completes with at least one byte (an empty buffer: zero, at once).
  virtual void read(asio::mutable_buffer into, OperationRef op) = 0;
  // Gathers; completes with how many bytes were taken, at least one.
  virtual void write(std::span<const asio::const_buffer> from, OperationRef op) = 0;
  // Ends the connection in order: the peer reads what was sent, then eof.
  virtual void close() = 0;
  virtual Address peer() const = 0;
};

class Stream {
 public:
  using executor_type = asio::any_io_executor;
  static constexpr size_t kGatherMax = 16;

  Stream() = default;
  Stream(Operations& operations, std::unique_ptr<Socket> socket)
      : operations_(&operations), socket_(std::move(socket)) {}

  executor_type get_executor() const noexcept { return operations_->executor(); }
  bool is_open() const { return socket_ != nullptr; }
  Address peer() const { return socket_->peer(); }
  // Pending operations end with operation_aborted.
  void close() {
    if (socket_) socket_->close();
  }

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    asio::mutable_buffer into;  // the first that is not empty: short reads are allowed
    for (auto i = asio::buffer_sequence_begin(buffers);
         i != asio::buffer_sequence_end(buffers) && into.size() == 0; ++i)
      into = *i;
    return initiate<void(error_code, size_t)>(
        *operations_, std::forward<Token>(token),
        [socket = socket_.get(), into](OperationRef op) { socket->read(into, op); });
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    std::array<asio::const_buffer, kGatherMax> from;
    size_t count = 0;
    for (auto i = asio::buffer_sequence_begin(buffers);
         i != asio::buffer_sequence_end(buffers) && count < from.size(); ++i)
      if (const asio::const_buffer buffer = *i; buffer.size() > 0) from[count++] = buffer;
    return initiate<void(error_code, size_t)>(
        *operations_, std::forward<Token>(token),
        [socket = socket_.get(), from, count](OperationRef op) {
          socket->write(std::span(from).first(count), op);
        });
  }

 private:
  Operations* operations_ = nullptr;
  std::unique_ptr<Socket> socket_;
};

class Listener {
 public:
  virtual ~Listener() = default;  // stops listening; waiting connections are reset
  // The next connection. Errors: kClosed after the listener was stopped, kIo. May be cancelled.
  virtual Task<Result<Stream>> accept() = 0;
  // With the real port where 0 was asked for.
  virtual Address address() const = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  // Errors: kUnavailable (refused, unreachable, name not found). Waits as long as the network does:
  // give it a limit with within().
  virtual Task<Result<Stream>> connect(Address address) = 0;
  // Errors: kExists (the address is in use), kInvalid (not an address of this node).
  virtual Result<std::unique_ptr<Listener>> listen(Address address) = 0;
};

}  // namespace dogfs
