#pragma once
// TcpConnect: one attempt to connect: look the host up, then try its addresses in their order until
// one answers. Owned by the frame that waits; the reactor knows it weakly, so an attempt that is
// given up closes its socket at once.

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "core/env/network.h"

namespace dogfs::net {

class TcpConnect : public std::enable_shared_from_this<TcpConnect> {
 public:
  TcpConnect(asio::io_context& io, Operations& operations, Address address)
      : operations_(operations), address_(std::move(address)), resolver_(io), socket_(io) {}

  // Completes `op` with success when connected or when refusal() says why not.
  void start(OperationRef op);
  const std::string& refusal() const { return refusal_; }
  asio::ip::tcp::socket take_socket() { return std::move(socket_); }

 private:
  void try_next();
  void connected(error_code error);
  void finish(std::string refusal);

  Operations& operations_;
  const Address address_;
  asio::ip::tcp::resolver resolver_;
  asio::ip::tcp::socket socket_;
  OperationRef op_;
  std::vector<asio::ip::tcp::endpoint> endpoints_;
  size_t next_ = 0;
  std::string refusal_ = "no address";
};

}  // namespace dogfs::net
