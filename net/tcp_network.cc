#include "net/tcp_network.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <fcntl.h>

#include "core/base/check.h"
#include "net/tcp_connect.h"
#include "net/tcp_listener.h"
#include "net/tcp_socket.h"

namespace dogfs::net {
namespace {

using asio::ip::tcp;

Result<tcp::endpoint> local_endpoint(asio::io_context& io, const Address& address) {
  error_code error;
  const auto numeric = asio::ip::make_address(address.host, error);
  if (!error) return tcp::endpoint(numeric, address.port);
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
  if (error || found.empty())
    return fail(Code::kInvalid, "cannot listen on {}: {}", address.to_string(), error.message());
  return found.begin()->endpoint();
}

Code listen_code(const error_code& error) {
  if (error == asio::error::address_in_use) return Code::kExists;
  if (error == boost::system::errc::address_not_available) return Code::kInvalid;
  if (error == asio::error::access_denied) return Code::kInvalid;
  return Code::kIo;
}

error_code start_listening(tcp::acceptor& acceptor, const tcp::endpoint& endpoint) {
  error_code error;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(tcp::acceptor::max_listen_connections, error);
  if (!error) acceptor.non_blocking(true, error);
  if (!error) fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
  return error;
}

}  // namespace

Task<Result<Stream>> TcpNetwork::connect(Address address) {
  auto attempt = std::make_shared<TcpConnect>(io_, operations_, address);
  co_await suspend(operations_, [attempt](OperationRef op) { attempt->start(op); });
  if (!attempt->refusal().empty())
    co_return fail(Code::kUnavailable, "cannot connect to {}: {}", address.to_string(),
                   attempt->refusal());
  co_return Stream(operations_, std::make_unique<TcpSocket>(operations_, attempt->take_socket()));
}

Result<std::unique_ptr<Listener>> TcpNetwork::listen(Address address) {
  CHECK(env_ != nullptr);
  TRY(endpoint, local_endpoint(io_, address));
  tcp::acceptor acceptor(io_);
  if (const error_code error = start_listening(acceptor, endpoint))
    return fail(listen_code(error), "cannot listen on {}: {}", address.to_string(),
                error.message());
  return std::make_unique<TcpListener>(*env_, std::move(acceptor), std::move(address));
}

}  // namespace dogfs::net
