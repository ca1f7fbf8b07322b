#include "tests/conformance/connected.h"

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

Task<> connect_one(Env& env, Address address, Stream& out) {
  auto stream = co_await env.network().connect(address);
  REQUIRE(stream);
  out = std::move(*stream);
}

Task<> accept_one(Listener& listener, Stream& out) {
  auto stream = co_await listener.accept();
  REQUIRE(stream);
  out = std::move(*stream);
}

Task<> read_into(Stream& stream, size_t length, Got& got) {
  got = co_await read_bytes(stream, length);
}

Task<> write_from(Stream& stream, std::string bytes, error_code& error) {
  error = co_await write_bytes(stream, std::move(bytes));
}

}  // namespace

Connected::Connected(World& world) : client(world.add_node()), server(world.add_node()) {
  auto listening = server.env().network().listen({server.host(), 0});
  REQUIRE(listening);
  listener = std::move(*listening);
  start_root(client.env(), connect_one(client.env(), listener->address(), client_stream), {});
  world.run(server, accept_one(*listener, server_stream));
  world.run_until([this] { return client_stream.is_open(); });
}

Task<Got> read_bytes(Stream& stream, size_t length) {
  Got got{.bytes = std::string(length, '\0')};
  const auto [error, count] = co_await asio::async_read(stream, asio::buffer(got.bytes), kAsTuple);
  got.bytes.resize(count);
  got.error = error;
  co_return got;
}

Task<Got> read_some(Stream& stream, size_t length) {
  Got got{.bytes = std::string(length, '\0')};
  const auto [error, count] = co_await stream.async_read_some(asio::buffer(got.bytes), kAsTuple);
  got.bytes.resize(count);
  got.error = error;
  co_return got;
}

Task<error_code> write_bytes(Stream& stream, std::string bytes) {
  const auto [error, count] = co_await asio::async_write(stream, asio::buffer(bytes), kAsTuple);
  if (!error) CHECK_EQ(count, bytes.size());
  co_return error;
}

Got read_bytes(World& world, Node& node, Stream& stream, size_t length) {
  Got got;
  world.run(node, read_into(stream, length, got));
  return got;
}

error_code write_bytes(World& world, Node& node, Stream& stream, std::string bytes) {
  error_code error;
  world.run(node, write_from(stream, std::move(bytes), error));
  return error;
}

}  // namespace dogfs::conformance
