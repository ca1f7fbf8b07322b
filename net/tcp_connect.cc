#include "net/tcp_connect.h"

#include <fcntl.h>

namespace dogfs::net {

using asio::ip::tcp;

void TcpConnect::start(OperationRef op) {
  op_ = op;
  error_code error;
  const auto numeric = asio::ip::make_address(address_.host, error);
  if (!error) {
    endpoints_.emplace_back(numeric, address_.port);
    return try_next();
  }
  resolver_.async_resolve(address_.host, std::to_string(address_.port),
                          [weak = weak_from_this()](error_code failed, auto found) {
                            const auto self = weak.lock();
                            if (!self) return;
                            if (failed) return self->finish(failed.message());
                            for (const auto& entry : found)
                              self->endpoints_.push_back(entry.endpoint());
                            self->try_next();
                          });
}

void TcpConnect::try_next() {
  if (next_ == endpoints_.size()) return finish(refusal_);
  const tcp::endpoint endpoint = endpoints_[next_++];
  error_code error;
  socket_.close(error);
  socket_.open(endpoint.protocol(), error);
  if (error) return connected(error);
  fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
  socket_.async_connect(endpoint, [weak = weak_from_this()](error_code failed) {
    if (const auto self = weak.lock()) self->connected(failed);
  });
}

void TcpConnect::connected(error_code error) {
  // A port of this machine that nobody listens on may be the one that this socket was given, and
  // then TCP connects it with itself.
  error_code ignored;
  if (!error && socket_.local_endpoint(ignored) == socket_.remote_endpoint(ignored))
    error = asio::error::connection_refused;
  if (!error) return finish({});
  refusal_ = error.message();
  try_next();
}

void TcpConnect::finish(std::string refusal) {
  refusal_ = std::move(refusal);
  operations_.complete(op_, {});
}

}  // namespace dogfs::net
