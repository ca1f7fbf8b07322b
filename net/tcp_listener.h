#pragma once
// TcpListener: a listening TCP socket. Any number of tasks may accept from it at a time; those that
// wait when it is destroyed hear kClosed.

#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "core/env/env.h"
#include "core/env/network.h"

namespace dogfs::net {

class TcpListener final : public Listener {
 public:
  // Takes over a listening, non-blocking acceptor; `address` is what was asked for.
  TcpListener(Env& env, asio::ip::tcp::acceptor acceptor, Address address);
  ~TcpListener() override;

  Task<Result<Stream>> accept() override;
  Address address() const override { return address_; }

 private:
  struct State;
  static Task<Result<Stream>> accept_from(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
  Address address_;
};

}  // namespace dogfs::net
