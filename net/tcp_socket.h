#pragma once
// TcpSocket: a TCP connection. It never lends its user's memory to the reactor: it reads and writes
// what is possible at once, and otherwise waits only for readiness and looks again whether the
// operation is still pending. Handlers in the reactor know it weakly, so it may be destroyed at any
// time.

#include <array>
#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "core/env/network.h"

namespace dogfs::net {

class TcpSocket final : public Socket {
 public:
  // Takes over a connected socket.
  TcpSocket(Operations& operations, asio::ip::tcp::socket socket);
  ~TcpSocket() override;

  void read(asio::mutable_buffer into, OperationRef op) override;
  void write(std::span<const asio::const_buffer> from, OperationRef op) override;
  void close() override;
  Address peer() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// "host:port" of an endpoint.
Address address_of(const asio::ip::tcp::endpoint& endpoint);

}  // namespace dogfs::net
