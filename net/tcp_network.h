#pragma once
// TcpNetwork: connect and listen over TCP, for one process. Hosts may be numeric (no look-up is
// made then) or names, whose addresses are tried one after the other.

#include <memory>

#include "core/env/env.h"
#include "core/env/network.h"

namespace boost::asio {
class io_context;
}

namespace dogfs::net {

class TcpNetwork final : public Network {
 public:
  TcpNetwork(asio::io_context& io, Operations& operations) : io_(io), operations_(operations) {}
  // The Env is made after the parts of which it consists.
  void attach(Env& env) { env_ = &env; }

  Task<Result<Stream>> connect(Address address) override;
  Result<std::unique_ptr<Listener>> listen(Address address) override;

 private:
  asio::io_context& io_;
  Operations& operations_;
  Env* env_ = nullptr;
};

}  // namespace dogfs::net
