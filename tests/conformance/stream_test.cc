// Streams: what both networks promise of a connection.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/write.hpp>

#include "core/base/limits.h"
#include "core/base/random.h"
#include "core/env/deadline.h"

#include "tests/conformance/connected.h"

#include "tests/doctest.h"

namespace dogfs::conformance {
namespace {

using limits::kKiB;
using limits::kMiB;

// Byte number i of what a seed sends.
char byte_at(uint64_t seed, size_t i) {
  return static_cast<char>((seed + i * 0x9e3779b97f4a7c15) >> 40);
}

Task<> send_all(Stream& stream, uint64_t seed, size_t total) {
  Random sizes(seed);
  for (size_t sent = 0; sent < total;) {
    std::string piece(std::min(total - sent, sizes.between(1, 200 * kKiB)), '\0');
    for (size_t i = 0; i < piece.size(); ++i) piece[i] = byte_at(seed, sent + i);
    sent += piece.size();
    CHECK_FALSE(co_await write_bytes(stream, std::move(piece)));
  }
}

Task<> receive_all(Stream& stream, uint64_t seed, size_t total) {
  size_t wrong = 0;
  for (size_t received = 0; received < total;) {
    const Got got = co_await read_some(stream, 100 * kKiB);
    if (got.error) {
      FAIL_CHECK(got.error.message());
      co_return;
    }
    for (size_t i = 0; i < got.bytes.size(); ++i)
      wrong += got.bytes[i] != byte_at(seed, received + i);
    received += got.bytes.size();
  }
  CHECK_EQ(wrong, 0);
}

Task<> send_and_receive(Nursery& children, Stream& stream, uint64_t out, uint64_t in,
                        size_t total) {
  children.spawn(send_all(stream, out, total));
  children.spawn(receive_all(stream, in, total));
  co_await children.join();
}

IN_BOTH_WORLDS("more than any buffer holds crosses both ways at once, whole and in order") {
  Connected pair(world);
  constexpr size_t kTotal = 12 * kMiB;
  bool server_ended = false;
  start_root(pair.server.env(),
             nursery(pair.server.env(),
                     [&](Nursery& children) {
                       return send_and_receive(children, pair.server_stream, 2, 1, kTotal);
                     }),
             [&] { server_ended = true; });
  world.run(pair.client, nursery(pair.client.env(), [&](Nursery& children) {
              return send_and_receive(children, pair.client_stream, 1, 2, kTotal);
            }));
  world.run_until([&] { return server_ended; });
}

Task<> write_counted(Stream& stream, size_t total, size_t& written) {
  while (written < total) {
    if (co_await write_bytes(stream, std::string(256 * kKiB, 'w'))) co_return;
    written += 256 * kKiB;
  }
}

IN_BOTH_WORLDS("a writer stalls while nobody reads, and goes on when somebody does") {
  Connected pair(world);
  constexpr size_t kTotal = 48 * kMiB;
  size_t written = 0;
  start_root(pair.client.env(), write_counted(pair.client_stream, kTotal, written), {});
  size_t before = SIZE_MAX;
  while (written != before) {
    before = written;
    world.run_for(20ms);
  }
  CHECK(written < kTotal);
  CHECK_EQ(read_bytes(world, pair.server, pair.server_stream, kTotal).bytes.size(), kTotal);
  world.run_until([&] { return written == kTotal; });
}

IN_BOTH_WORLDS("after a close the peer reads what was sent, then the end, again and again") {
  Connected pair(world);
  CHECK_FALSE(write_bytes(world, pair.client, pair.client_stream, "last words"));
  pair.client_stream.close();
  pair.client_stream.close();
  CHECK_EQ(read_bytes(world, pair.server, pair.server_stream, 10).bytes, "last words");
  for (int i = 0; i < 2; ++i)
    CHECK(read_bytes(world, pair.server, pair.server_stream, 1).error == asio::error::eof);
}

IN_BOTH_WORLDS("a destroyed stream is closed") {
  Connected pair(world);
  pair.client_stream = Stream();
  CHECK(read_bytes(world, pair.server, pair.server_stream, 1).error == asio::error::eof);
}

IN_BOTH_WORLDS("a stream closed with unread bytes is an error to its peer, not an end") {
  Connected pair(world);
  CHECK_FALSE(write_bytes(world, pair.client, pair.client_stream, "two words"));
  CHECK_EQ(read_bytes(world, pair.server, pair.server_stream, 3).bytes, "two");
  pair.server_stream.close();
  const Got got = read_bytes(world, pair.client, pair.client_stream, 1);
  CHECK(got.error == asio::error::connection_reset);
  const error_code error = write_bytes(world, pair.client, pair.client_stream, "more");
  CHECK((error == asio::error::broken_pipe || error == asio::error::connection_reset));
}

Task<> write_until_failure(Stream& stream, error_code& error) {
  while (!error) error = co_await write_bytes(stream, std::string(64 * kKiB, 'w'));
}

IN_BOTH_WORLDS("who writes to a peer that has gone gets an error") {
  Connected pair(world);
  error_code error;
  start_root(pair.client.env(), write_until_failure(pair.client_stream, error), {});
  world.run_for(5ms);
  pair.server_stream.close();
  world.run_until([&] { return static_cast<bool>(error); });
  CHECK((error == asio::error::broken_pipe || error == asio::error::connection_reset));
}

IN_BOTH_WORLDS(
    "of a message half written by a node that dies the reader gets the half and an error") {
  Connected pair(world);
  CHECK_FALSE(write_bytes(world, pair.client, pair.client_stream, "half"));
  world.run_for(5ms);
  Got got;
  bool ended = false;
  start_root(
      pair.server.env(),
      [](Stream& stream, Got& out) -> Task<> { out = co_await read_bytes(stream, 8); }(
                                       pair.server_stream, got),
      [&] { ended = true; });
  world.run_for(5ms);
  CHECK_FALSE(ended);
  pair.client.kill();
  pair.client_stream = Stream();  // the kill destroys what frames own; this one stood outside
  world.run_until([&] { return ended; });
  CHECK_EQ(got.bytes, "half");
  CHECK((got.error == asio::error::eof || got.error == asio::error::connection_reset));
}

Task<> note_read(Stream& stream, error_code& error) {
  error = (co_await read_bytes(stream, 1)).error;
}

IN_BOTH_WORLDS("closing a stream ends its own reads and writes, those under way and later ones") {
  Connected pair(world);
  error_code read;
  error_code write;
  start_root(pair.client.env(), note_read(pair.client_stream, read), {});
  start_root(pair.client.env(), write_until_failure(pair.client_stream, write), {});
  world.run_for(20ms);
  CHECK_FALSE(read);
  CHECK_FALSE(write);
  pair.client_stream.close();
  CHECK_FALSE(read);
  world.run_until([&] { return read && write; });
  CHECK(read == asio::error::operation_aborted);
  CHECK(write == asio::error::operation_aborted);
  CHECK(read_bytes(world, pair.client, pair.client_stream, 1).error ==
        asio::error::operation_aborted);
  CHECK(write_bytes(world, pair.client, pair.client_stream, "late") ==
        asio::error::operation_aborted);
}

IN_BOTH_WORLDS("rule 8: a write gathers its buffers, also when some are empty or there are many") {
  Connected pair(world);
  std::string text;
  std::vector<std::string> parts;
  for (int i = 0; i < 60; ++i) parts.push_back(i % 3 == 0 ? "" : std::to_string(i));
  std::vector<asio::const_buffer> buffers;
  for (const auto& part : parts) {
    buffers.push_back(asio::buffer(part));
    text += part;
  }
  bool written = false;
  asio::async_write(pair.client_stream, buffers, [&](error_code error, size_t count) {
    CHECK_FALSE(error);
    CHECK_EQ(count, text.size());
    written = true;
  });
  CHECK_FALSE(written);
  CHECK_EQ(read_bytes(world, pair.server, pair.server_stream, text.size()).bytes, text);
  world.run_until([&] { return written; });
}

IN_BOTH_WORLDS("rule 8: reading into nothing and writing nothing succeed with nothing, later") {
  Connected pair(world);
  int ended = 0;
  const auto handler = [&](error_code error, size_t count) {
    CHECK_FALSE(error);
    CHECK_EQ(count, 0);
    ++ended;
  };
  const std::array<asio::const_buffer, 2> nothing;
  const std::array<asio::mutable_buffer, 2> nowhere;
  pair.client_stream.async_write_some(nothing, handler);
  pair.client_stream.async_read_some(nowhere, handler);
  CHECK_EQ(ended, 0);
  world.run_until([&] { return ended == 2; });
}

IN_BOTH_WORLDS("rule 8: a read skips empty buffers") {
  Connected pair(world);
  CHECK_FALSE(write_bytes(world, pair.server, pair.server_stream, "x"));
  char into = 0;
  const std::array<asio::mutable_buffer, 2> buffers{asio::mutable_buffer(),
                                                    asio::mutable_buffer(&into, 1)};
  size_t got = 0;
  pair.client_stream.async_read_some(buffers, [&](error_code, size_t count) { got = count; });
  world.run_until([&] { return got == 1; });
  CHECK_EQ(into, 'x');
}

IN_BOTH_WORLDS(
    "neither a read of bytes that are there nor a write that fits ends inside its call") {
  Connected pair(world);
  CHECK_FALSE(write_bytes(world, pair.server, pair.server_stream, "ready"));
  world.run_for(5ms);
  int ended = 0;
  const auto handler = [&](error_code, size_t) { ++ended; };
  std::array<char, 5> into;
  pair.client_stream.async_read_some(asio::buffer(into), handler);
  pair.client_stream.async_write_some(asio::buffer("abc", 3), handler);
  CHECK_EQ(ended, 0);
  world.run_until([&] { return ended == 2; });
  world.run_for(5ms);
  CHECK_EQ(ended, 2);
}

IN_BOTH_WORLDS("memory lent to a read is not touched after the read was cancelled") {
  Connected pair(world);
  std::string lent(16, '-');
  asio::cancellation_signal signal;
  error_code error;
  pair.client_stream.async_read_some(
      asio::buffer(lent),
      asio::bind_cancellation_slot(signal.slot(), [&](error_code e, size_t) { error = e; }));
  world.run_for(2ms);
  signal.emit(asio::cancellation_type::terminal);
  CHECK_FALSE(error);
  CHECK_FALSE(write_bytes(world, pair.server, pair.server_stream, "fresh"));
  world.run_until([&] { return static_cast<bool>(error); });
  CHECK(error == asio::error::operation_aborted);
  world.run_for(5ms);
  CHECK_EQ(lent, std::string(16, '-'));
}

Task<> connect_to(Env& env, Address address, Result<Stream>& result) {
  result = co_await env.network().connect(address);
}

Result<Stream> connect_to(World& world, Node& node, Address address) {
  Result<Stream> result;
  world.run(node, connect_to(node.env(), address, result));
  return result;
}

IN_BOTH_WORLDS("rule 11: a refused connection is a value, not an exception") {
  Node& client = world.add_node();
  Node& server = world.add_node();
  Address address;
  {
    const auto listener = server.env().network().listen({server.host(), 0});
    REQUIRE(listener);
    address = (*listener)->address();
  }
  const auto stream = connect_to(world, client, address);
  REQUIRE_FALSE(stream);
  CHECK_EQ(stream.error().code, Code::kUnavailable);
  CHECK(stream.error().message.contains(address.to_string()));
}

IN_BOTH_WORLDS("connecting to a name that does not exist is refused") {
  Node& client = world.add_node();
  const auto stream = connect_to(world, client, {"no..such..host", 1});
  REQUIRE_FALSE(stream);
  CHECK_EQ(stream.error().code, Code::kUnavailable);
}

Task<> connect_within(Env& env, Address address, Code& code) {
  const auto stream = co_await within(env, 5ms, env.network().connect(address));
  if (!stream) code = stream.error().code;
}

IN_BOTH_WORLDS("connecting to silence lasts until its limit") {
  Node& client = world.add_node();
  Code code = Code::kInvalid;
  world.run(client, connect_within(client.env(), world.silent_address(client), code));
  CHECK_EQ(code, Code::kDeadline);
}

IN_BOTH_WORLDS("an address can be listened on once at a time, and only by its own node") {
  Node& node = world.add_node();
  auto first = node.env().network().listen({node.host(), 0});
  REQUIRE(first);
  const Address address = (*first)->address();
  CHECK_NE(address.port, 0);
  const auto second = node.env().network().listen(address);
  REQUIRE_FALSE(second);
  CHECK_EQ(second.error().code, Code::kExists);
  first->reset();
  CHECK(node.env().network().listen(address));
  const auto foreign = node.env().network().listen({"192.0.2.1", 7});
  REQUIRE_FALSE(foreign);
  CHECK_EQ(foreign.error().code, Code::kInvalid);
}

IN_BOTH_WORLDS("both ends know each other's address") {
  Connected pair(world);
  CHECK_EQ(pair.client_stream.peer(), pair.listener->address());
  CHECK_EQ(pair.server_stream.peer().host, pair.client.host());
}

Task<> accept_one(Listener& listener, std::vector<Stream>& accepted) {
  auto stream = co_await listener.accept();
  if (stream) accepted.push_back(std::move(*stream));
}

IN_BOTH_WORLDS("each of several that accept gets a connection of its own") {
  Node& client = world.add_node();
  Node& server = world.add_node();
  const auto listener = server.env().network().listen({server.host(), 0});
  REQUIRE(listener);
  std::vector<Stream> accepted;
  for (int i = 0; i < 3; ++i) start_root(server.env(), accept_one(**listener, accepted), {});
  world.run_for(1ms);
  std::vector<Stream> connected;
  for (int i = 0; i < 3; ++i) {
    auto stream = connect_to(world, client, (*listener)->address());
    REQUIRE(stream);
    connected.push_back(std::move(*stream));
  }
  world.run_until([&] { return accepted.size() == 3; });
  for (auto& stream : connected) CHECK_FALSE(write_bytes(world, client, stream, "hello"));
  for (auto& stream : accepted) CHECK_EQ(read_bytes(world, server, stream, 5).bytes, "hello");
}

Task<> note_accept(Listener& listener, Code& code) {
  const auto stream = co_await listener.accept();
  if (!stream) code = stream.error().code;
}

IN_BOTH_WORLDS("stopping a listener ends the waits of those who accept") {
  Node& node = world.add_node();
  auto listener = node.env().network().listen({node.host(), 0});
  REQUIRE(listener);
  Code code = Code::kInvalid;
  start_root(node.env(), note_accept(**listener, code), {});
  world.run_for(1ms);
  listener->reset();
  world.run_until([&] { return code != Code::kInvalid; });
  CHECK_EQ(code, Code::kClosed);
}

IN_BOTH_WORLDS("a connection that nobody accepted is reset when its listener stops") {
  Node& client = world.add_node();
  Node& server = world.add_node();
  auto listener = server.env().network().listen({server.host(), 0});
  REQUIRE(listener);
  auto stream = connect_to(world, client, (*listener)->address());
  REQUIRE(stream);
  listener->reset();
  CHECK(read_bytes(world, client, *stream, 1).error == asio::error::connection_reset);
}

}  // namespace
}  // namespace dogfs::conformance
