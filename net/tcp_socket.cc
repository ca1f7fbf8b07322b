#include "net/tcp_socket.h"

#include <algorithm>

#include "core/base/check.h"

namespace dogfs::net {
namespace {

bool must_wait(const error_code& error) {
  return error == asio::error::would_block || error == asio::error::try_again;
}

}  // namespace

Address address_of(const asio::ip::tcp::endpoint& endpoint) {
  return {.host = endpoint.address().to_string(), .port = endpoint.port()};
}

struct TcpSocket::State : std::enable_shared_from_this<State> {
  State(Operations& o, asio::ip::tcp::socket s) : operations(o), socket(std::move(s)) {}

  void serve_reader();
  void serve_writer();
  void wait_readable();
  void wait_writable();

  Operations& operations;
  asio::ip::tcp::socket socket;
  Address peer;
  bool closed = false;

  OperationRef reader;
  asio::mutable_buffer into;
  bool waits_readable = false;

  OperationRef writer;
  std::array<asio::const_buffer, Stream::kGatherMax> from;
  size_t from_count = 0;
  bool waits_writable = false;
};

void TcpSocket::State::serve_reader() {
  if (!operations.pending(reader)) return;  // the memory may be gone
  error_code error = asio::error::interrupted;
  size_t count = 0;
  while (error == asio::error::interrupted) count = socket.read_some(std::array{into}, error);
  if (must_wait(error)) return wait_readable();
  operations.complete(reader, error, count);
}

void TcpSocket::State::serve_writer() {
  if (!operations.pending(writer)) return;
  error_code error = asio::error::interrupted;
  size_t count = 0;
  while (error == asio::error::interrupted)
    count = socket.write_some(std::span(from).first(from_count), error);
  if (must_wait(error)) return wait_writable();
  operations.complete(writer, error, count);
}

// A wait outlives an operation that was cancelled, and then serves the next one.
void TcpSocket::State::wait_readable() {
  if (std::exchange(waits_readable, true)) return;
  socket.async_wait(asio::socket_base::wait_read, [weak = weak_from_this()](error_code) {
    const auto self = weak.lock();
    if (!self || self->closed) return;
    self->waits_readable = false;
    self->serve_reader();
  });
}

void TcpSocket::State::wait_writable() {
  if (std::exchange(waits_writable, true)) return;
  socket.async_wait(asio::socket_base::wait_write, [weak = weak_from_this()](error_code) {
    const auto self = weak.lock();
    if (!self || self->closed) return;
    self->waits_writable = false;
    self->serve_writer();
  });
}

TcpSocket::TcpSocket(Operations& operations, asio::ip::tcp::socket socket)
    : state_(std::make_shared<State>(operations, std::move(socket))) {
  // Where these fail the connection has ended already, and reading or writing will say how.
  error_code error;
  state_->socket.non_blocking(true, error);
  state_->socket.set_option(asio::ip::tcp::no_delay(true), error);
  state_->peer = address_of(state_->socket.remote_endpoint(error));
}

TcpSocket::~TcpSocket() { close(); }

void TcpSocket::read(asio::mutable_buffer into, OperationRef op) {
  State& state = *state_;
  CHECK(!state.operations.pending(state.reader), "two reads at a time");
  if (state.closed) return state.operations.complete(op, asio::error::operation_aborted);
  if (into.size() == 0) return state.operations.complete(op, {});
  state.reader = op;
  state.into = into;
  state.serve_reader();
}

void TcpSocket::write(std::span<const asio::const_buffer> from, OperationRef op) {
  State& state = *state_;
  CHECK(!state.operations.pending(state.writer), "two writes at a time");
  if (state.closed) return state.operations.complete(op, asio::error::operation_aborted);
  if (from.empty()) return state.operations.complete(op, {});
  state.writer = op;
  state.from_count = from.size();
  std::copy(from.begin(), from.end(), state.from.begin());
  state.serve_writer();
}

void TcpSocket::close() {
  State& state = *state_;
  if (std::exchange(state.closed, true)) return;
  state.operations.complete(state.reader, asio::error::operation_aborted);
  state.operations.complete(state.writer, asio::error::operation_aborted);
  error_code ignored;
  state.socket.close(ignored);  // the kernel sends what it has, then the end
}

Address TcpSocket::peer() const { return state_->peer; }

}  // namespace dogfs::net
